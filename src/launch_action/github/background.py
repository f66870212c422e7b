"""What is told to GitHub beside the work: one call after another, in a thread of its own.

A call takes half a second there, and the first one the import of PyGithub: a job that is built in
less does not wait for each of them.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable


class Background:
    """Calls in the order in which they are put; after one that fails, none is made any more.

    The thread ends with the program, so that an answer that never comes holds nothing up.
    """

    def __init__(self, name: str) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def put(self, call: Callable[[], None]) -> None:
        """Have it called. Raises what an earlier call raised."""
        with self._changed:
            if self._error:
                raise self._error
            self._calls.append(call)
            self._changed.notify()
            if not self._thread.ident:
                self._thread.start()

    def drop(self) -> None:
        """Forget the calls that wait."""
        with self._changed:
            self._calls.clear()

    def close(self, timeout: float | None = None) -> bool:
        """Wait for what was put; whether it was all done. Raises what a call raised."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.ident:
            self._thread.join(timeout)
        if self._error:
            raise self._error
        return not self._thread.is_alive()

    def _work(self) -> None:
        while call := self._next():
            try:
                call()
            except Exception as error:  # raised again in the thread that put it
                with self._changed:
                    self._error = error
                    self._calls.clear()
                return

    def _next(self) -> Callable[[], None] | None:
        """The next call; None when there will be none."""
        with self._changed:
            while not self._calls:
                if self._closed:
                    return None
                self._changed.wait()
            return self._calls.popleft()
