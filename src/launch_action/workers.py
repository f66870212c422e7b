"""Tasks at once, each in a process of its own: what one tells is heard as it is told.

A process and not a thread: it can be interrupted in the middle of anything and cleans up after
itself, shares no state, and takes the others along neither when it fails nor when it is killed. It
is forked, so that what it needs (logins among it) passes through no argument, file or environment.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from select import select
from types import FrameType
from typing import IO, Any, NoReturn

from launch_action.core.dataclass import dataclass

Message = Mapping[str, Any]
Tell = Callable[[Message], None]
Task = Callable[[Tell], None]
# What a task tells that from now on only waits for others: another may begin beside it.
WAITS: Message = {"waits": True}

# Seconds that an interrupted worker has to clean up, and that the foreman has for all of them.
_GRACE, _LONGER = 10.0, 12.0
_CHUNK = 64 * 1024
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# Ends of our pipes that a process to be forked must not hold: whoever waits at the other end for
# this one's death would wait for that of the new one too.
_not_for_others: set[int] = set()


@dataclass(slots=True)
class _Worker:
    place: int
    pid: int
    pipe: int
    unread: bytes = b""
    waits: bool = False  # for others, so that it takes no room


@dataclass(frozen=True, slots=True)
class Begun:
    """Work on a task begins; tasks are known by their number."""

    task: int


@dataclass(frozen=True, slots=True)
class Heard:
    """What a task tells: JSON values."""

    task: int
    message: Message


@dataclass(frozen=True, slots=True)
class Ended:
    """A task's process has ended: 0, another exit code, or the negative number of a signal."""

    task: int
    code: int


Event = Begun | Heard | Ended
_KINDS: Mapping[str, Callable[[int, Any], Event]] = {
    "begun": lambda task, _: Begun(task),
    "heard": Heard,
    "ended": Ended,
}


@contextmanager
def workers(tasks: Sequence[Task], most: int) -> Iterator[Iterator[Event]]:
    """The tasks as they go on, at most so many at a time, begun in their order.

    All is forked by a foreman, a process without threads, which is made when the block is entered:
    nobody may have a thread running then, later anybody may. It waits for the first event to be
    asked for. When the block is left before the last, by a signal's exception perhaps, the workers
    are told to end, and waited for.
    """
    waiting, go = os.pipe()
    _not_for_others.add(go)
    one = _fork(lambda tell: _lead(waiting, tasks, most, tell), 0)
    os.close(waiting)
    _not_for_others.discard(go)  # nothing else is forked from here
    try:
        with os.fdopen(go, "wb", buffering=0) as start:
            yield _events(one, start, len(tasks))
    except BaseException as error:
        _end([one], _telling(error), _LONGER)
        raise
    _end([one], signal.SIGTERM, _LONGER)


def _events(foreman: _Worker, start: IO[bytes], tasks: int) -> Iterator[Event]:
    left = set(range(tasks))
    with suppress(BrokenPipeError):
        start.write(b"!")
    while chunk := os.read(foreman.pipe, _CHUNK):
        for message in _lines(foreman, chunk):
            (kind, (task, value)), *_ = message.items()
            if kind == "ended":
                left.discard(task)
            yield _KINDS[kind](task, value)
    # A foreman that was killed: its workers end when they have something to tell.
    for task in sorted(left):
        yield Ended(task, -signal.SIGKILL)


def _lead(waiting: int, tasks: Sequence[Task], most: int, tell: Tell) -> None:
    """What the foreman does, once it is told to begin."""
    begin = os.read(waiting, 1)
    os.close(waiting)
    if begin:
        _run_all(tasks, most, tell)


def _run_all(tasks: Sequence[Task], most: int, tell: Tell) -> None:
    waiting = iter(enumerate(tasks))
    working: dict[int, _Worker] = {}
    try:
        while _fill(working, waiting, most, tell):
            ready, _, _ = select(list(working), [], [])
            for pipe in ready:
                _read(working, pipe, tell)
    except BaseException as error:
        _end(list(working.values()), _telling(error), _GRACE)
        raise


def _fill(
    working: dict[int, _Worker], waiting: Iterator[tuple[int, Task]], most: int, tell: Tell
) -> bool:
    """Begin what there is room for; False when nothing is left."""
    while sum(not one.waits for one in working.values()) < most:
        if (task := next(waiting, None)) is None:
            break
        tell({"begun": [task[0], None]})
        one = _fork(task[1], task[0])
        working[one.pipe] = one
    return bool(working)


def _read(working: dict[int, _Worker], pipe: int, tell: Tell) -> None:
    worker = working[pipe]
    chunk = os.read(pipe, _CHUNK)
    for message in _lines(worker, chunk):
        if message == WAITS:
            worker.waits = True
        else:
            tell({"heard": [worker.place, message]})
    if not chunk:
        del working[pipe]
        tell({"ended": [worker.place, _sweep(worker)]})


def _lines(worker: _Worker, chunk: bytes) -> list[Any]:
    """The messages that are whole with this chunk."""
    *lines, worker.unread = (worker.unread + chunk).split(b"\n")
    return [json.loads(line) for line in lines]


def _fork(task: Task, place: int) -> _Worker:
    """Fork. Signals wait until either process knows which of the two it is."""
    reading, writing = os.pipe()
    _not_for_others.add(reading)
    sys.stdout.flush()
    sys.stderr.flush()
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pid = os.fork()
    if pid == 0:
        _work(task, writing, blocked)
    os.close(writing)
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    return _Worker(place, pid, reading)


def _work(task: Task, writing: int, blocked: set[signal.Signals | int]) -> NoReturn:
    """All that a worker does. Nothing of the frames above, which are the other's, is unwound."""
    code = 1
    try:
        # A session of its own: what a terminal sends to all reaches it once, by us; and who would
        # ask at the terminal fails at once, where several would ask and none is in front.
        os.setsid()
        _leave_pipes(writing)
        _leave_streams()
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _leave)  # by an exception, which cleans up
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        one_at_a_time = threading.Lock()
        task(lambda message: _tell(writing, message, one_at_a_time))
        code = 0
    except BaseException as error:  # it ends here, whatever it is
        code = 128 + _telling(error) if not isinstance(error, Exception) else 1
    finally:
        os._exit(code)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _leave_pipes(own: int) -> None:
    for pipe in _not_for_others:
        os.close(pipe)
    _not_for_others.clear()
    _not_for_others.add(own)


def _leave_streams() -> None:
    """The standard streams are the other's: who prints past what it is given prints nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(nowhere, handle)


def _tell(writing: int, message: Message, one_at_a_time: threading.Lock) -> None:
    """Write one line. Raises BrokenPipeError when nobody is there any more."""
    left = memoryview(json.dumps(message).encode("ascii") + b"\n")
    with one_at_a_time:
        while left:
            left = left[os.write(writing, left) :]


def _telling(error: BaseException) -> int:
    return signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM


def _end(workers: Sequence[_Worker], number: int, grace: float) -> None:
    """Tell the workers to end, and see that they do in so many seconds."""
    for worker in workers:
        with suppress(ProcessLookupError):
            os.kill(worker.pid, number)
    until = time.monotonic() + grace
    left = {worker.pipe: worker for worker in workers}
    while left and (remaining := until - time.monotonic()) > 0:
        ready, _, _ = select(list(left), [], [], remaining)
        for pipe in ready:
            if not os.read(pipe, _CHUNK):
                _sweep(left.pop(pipe))
    for worker in left.values():
        _sweep(worker)


def _sweep(worker: _Worker) -> int:
    """End what is left of a worker and of its group, in which may be what a tool has started.

    Its exit code stands since before its pipe was closed.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)
    os.close(worker.pipe)
    _not_for_others.discard(worker.pipe)
    return os.waitstatus_to_exitcode(os.waitpid(worker.pid, 0)[1])
