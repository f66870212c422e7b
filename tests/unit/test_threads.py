from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from launch_action.builders.layers.threads import thread_pool


def test_an_interruption_while_it_is_waited_for_leaves_no_thread() -> None:
    done = []

    def work() -> None:
        time.sleep(0.5)
        done.append("written")

    threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), thread_pool("test") as pool:
        pool.submit(work)

    assert done == ["written"]


def test_an_interruption_while_a_thread_starts_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pool has not noted it yet, and does not wait for it."""
    begun, done = threading.Event(), list[str]()
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        begun.wait()
        raise KeyboardInterrupt

    def work() -> None:
        begun.set()
        time.sleep(0.3)
        done.append("written")

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), thread_pool("test") as pool:
        pool.submit(work)

    assert done == ["written"]
