"""Watch over a started job: its log, its time, our own signals, and that nothing of it is left."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

from launch_action.core.dataclass import dataclass
from launch_action.core.run import RunPlan, RunResult, RunStatus, exit_code

# Seconds from asking a job to end to ending it.
GRACE = 10.0
# Seconds between two looks at the clock and at our signals.
_TICK = 0.1
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Started(Protocol):
    """A job that runs."""

    def output(self) -> Generator[bytes, None, None]:
        """What it writes, until it ends; read in a thread of its own."""
        ...

    def wait(self) -> int:
        """Wait for its end, after its output: the exit code, negative for a signal."""
        ...

    def ended(self) -> bool:
        """Whether it has ended although something still holds its output open."""
        ...

    def signal(self, number: int) -> None:
        """Send a signal to it and to what it started."""
        ...

    def kill(self) -> None:
        """End it and everything it started, now; nothing happens when all is gone."""
        ...


@dataclass(slots=True)
class Interruption:
    """The signals that asked us to stop: how many, and the first of them."""

    count: int = 0
    number: int = 0

    def note(self, number: int, _: FrameType | None = None) -> None:
        """A signal handler."""
        self.count += 1
        self.number = self.number or number


@dataclass(frozen=True, slots=True)
class Ended:
    """How a job ended; `seconds` since `supervise` was called, `signal` 0 or that we were sent."""

    status: RunStatus
    exit_code: int
    seconds: float
    signal: int

    def result(self, plan: RunPlan, metrics: Mapping[str, Any], outputs: Path) -> RunResult:
        """The run's result, with what the job left."""
        return RunResult(
            run_id=plan.run_id,
            status=self.status,
            exit_code=self.exit_code,
            seconds=self.seconds,
            metrics=metrics,
            output_directory=str(outputs),
            cancelled_by=self.signal if self.status == "cancelled" else 0,
        )


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Note SIGINT, SIGTERM and SIGHUP instead of dying of them, where we would.

    Only the main thread can; elsewhere signals stay as they are. An ignored signal (nohup) stays
    ignored.
    """
    noted = Interruption()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _FORWARDED:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, noted.note)
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def supervise(
    job: Started,
    noted: Interruption,
    *,
    follow: Callable[[Iterator[bytes]], None],
    timeout: float | None,
    grace: float = GRACE,
) -> Ended:
    """Follow a job's output to its end; end it after `timeout` seconds or when we are told to.

    A signal of ours is passed on; after `grace` seconds, or at a second signal, the job is killed.
    Whatever way this is left, nothing of the job runs any more. What `follow` raises is raised.
    """
    began = time.monotonic()
    with ThreadPoolExecutor(1, thread_name_prefix="job-log") as pool:
        end = pool.submit(_to_its_end, job, follow)
        try:
            status = _watch(job, noted, end, None if timeout is None else began + timeout, grace)
        finally:
            job.kill()
        code = exit_code(end.result())
    status = status or ("succeeded" if code == 0 else "failed")
    return Ended(status, code, time.monotonic() - began, noted.number)


def _to_its_end(job: Started, follow: Callable[[Iterator[bytes]], None]) -> int:
    with closing(job.output()) as output:
        follow(output)
    return job.wait()


def _watch(
    job: Started, noted: Interruption, end: Future[int], deadline: float | None, grace: float
) -> RunStatus | None:
    """Until the job ends by itself (None) or has been ended: why it was."""
    while not _over(job, end):
        if noted.count:
            job.signal(noted.number)
            _let_end(job, noted, end, grace, signals=1)
            return "cancelled"
        if deadline is not None and time.monotonic() >= deadline:
            job.signal(signal.SIGTERM)
            _let_end(job, noted, end, grace, signals=0)
            return "timeout"
    return None


def _let_end(
    job: Started, noted: Interruption, end: Future[int], grace: float, signals: int
) -> None:
    """Wait for a job that was asked to end: `grace` seconds, or until a further signal."""
    until = time.monotonic() + grace
    while noted.count <= signals and time.monotonic() < until and not _over(job, end):
        pass


def _over(job: Started, end: Future[int]) -> bool:
    """Whether the job has ended; waits one tick for it."""
    return bool(wait([end], timeout=_TICK).done) or job.ended()
