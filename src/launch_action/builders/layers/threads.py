"""Threads of a build: pools that leave none behind, and turns at making one thing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

# Each: making waits for the processor and the index, sending for the registry.
_THREADS = 6

T = TypeVar("T")


@contextmanager
def thread_pool(name: str) -> Iterator[ThreadPoolExecutor]:
    """Threads of which none is left when the block is; what they did not begin is not done."""
    from concurrent.futures import ThreadPoolExecutor

    ended: list[threading.Event] = []

    def begin() -> None:
        # Made in the thread, and set by what ends with it: a join that an interruption ends marks a
        # thread that goes on as ended (Thread._wait_for_tstate_lock), and is of no use again.
        local.mark = _Mark()
        ended.append(local.mark.event)

    local = threading.local()
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=name, initializer=begin)
    try:
        yield pool
    finally:
        try:
            pool.shutdown(cancel_futures=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            # Interrupted: what a thread has half-written goes when the thread ends. A pool does not
            # even know of a thread while whose start the interruption came.
            for event in ended:
                event.wait()


class _Mark:
    """Sets its event when nobody holds it any more."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __del__(self) -> None:
        self.event.set()


@contextmanager
def ended_by_failure(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Take the pool from those who wait for it when this fails: all of their work is in vain."""
    try:
        yield
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def results(futures: Iterable[Future[T]]) -> list[T]:
    """The results in order; the first failure is raised."""
    return [future.result() for future in futures]


class Turns:
    """A lock for each key, so that what several threads want is made by one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def of(self, key: str) -> threading.Lock:
        """The lock of this key, the same one whoever asks."""
        with self._lock:
            return self._locks.setdefault(key, threading.Lock())


def once(function: Callable[[], T]) -> Callable[[], T]:
    """The function, called by the first who asks while the others wait for what it gives."""
    lock, found = threading.Lock(), list[T]()

    def ask() -> T:
        with lock:
            if not found:
                found.append(function())
            return found[0]

    return ask
