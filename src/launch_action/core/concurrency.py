"""Calls that overlap: what waits for others, such as requests, need not wait in turn.

By plain threads: `concurrent.futures` takes `logging` along, which is slow to import for a run that
asks a registry six things.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, Self, TypeVar

from launch_action.core.finishing import finish

_MOST = 8

T = TypeVar("T")
R = TypeVar("R")


def concurrently(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """The function of every item, in their order, up to eight at a time.

    The first failure is raised when all that had begun have ended; nothing more is begun then.
    """
    waiting = iter(range(len(items)))
    done: dict[int, R] = {}
    failed: list[BaseException] = []

    def work() -> None:
        for place in waiting:
            if failed:
                return
            try:
                done[place] = function(items[place])
            except BaseException as error:  # raised below, in the thread that waits
                failed.append(error)

    running: list[threading.Event] = []

    def run() -> None:
        ended = threading.Event()
        running.append(ended)
        try:
            work()
        finally:
            ended.set()

    threads = [threading.Thread(target=run) for _ in range(min(len(items), _MOST) - 1)]
    try:
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    except BaseException as error:
        # Interrupted: a join that was counts its thread as ended, and what it writes is half there.
        failed.append(error)
        for ended in running:
            ended.wait()
        raise
    if failed:
        raise failed[0]
    return [done[place] for place in range(len(items))]


def pause(seconds: float) -> None:
    """Wait for somebody else."""
    threading.Event().wait(seconds)


class BackgroundCall(Generic[R]):
    """A call in a thread of its own, beside what its maker does.

    Of a block (`with`) it has ended when the block has, however that ends. Without one the program
    waits for it at its own end, but for one that is `abandoned` then: who must not be held up by an
    answer that never comes says with `ended` how long it is worth waiting.
    """

    def __init__(
        self, call: Callable[[], R], *, abandoned: bool = False, name: str | None = None
    ) -> None:
        self._call = call
        self._done: list[R] = []
        self._failed: list[BaseException] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name=name, daemon=abandoned)
        self._thread.start()

    def ended(self, seconds: float | None = None) -> bool:
        """Whether the call has ended, or does so within these seconds. Raises what it raised."""
        over = self._over.wait(seconds)
        if self._failed:
            raise self._failed[0]
        return over

    def result(self) -> R:
        """What the call gave, when it has. Raises what it raised."""
        self.ended()
        return self._done[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        finish(self._over.wait)  # else what it writes is half there

    def _work(self) -> None:
        try:
            self._done.append(self._call())
        except BaseException as error:  # raised in the thread that asks how it ended
            self._failed.append(error)
        finally:
            self._over.set()
