"""What is told to GitHub beside the work: one call after another, in a thread of its own.

A call takes half a second there, and the first one the import of PyGithub: a job that is built in
less does not wait for each of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from launch_action.core.concurrency import BackgroundCall


class CallQueue:
    """Calls in the order in which they are put; after one that fails, none is made any more.

    The thread ends with the program, so that an answer that never comes holds nothing up.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._working: BackgroundCall[None] | None = None

    def put(self, call: Callable[[], None]) -> None:
        """Have it called. Raises what an earlier call raised."""
        if self._working:
            self._working.ended(0)
        with self._changed:
            self._calls.append(call)
            self._changed.notify()
        if not self._working:
            self._working = BackgroundCall(self._work, abandoned=True, name=self._name)

    def drop(self) -> None:
        """Forget the calls that wait."""
        with self._changed:
            self._calls.clear()

    def close(self, timeout: float | None = None) -> bool:
        """Wait for what was put; whether it was all done. Raises what a call raised."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        return self._working is None or self._working.ended(timeout)

    def _work(self) -> None:
        while call := self._next():
            call()

    def _next(self) -> Callable[[], None] | None:
        """The next call; None when there will be none."""
        with self._changed:
            while not self._calls:
                if self._closed:
                    return None
                self._changed.wait()
            return self._calls.popleft()
