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

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix=name)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


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
