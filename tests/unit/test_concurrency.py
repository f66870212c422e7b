"""Calls that overlap: every result in its place, and no failure lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from launch_action.core.concurrency import BackgroundCall, concurrently


@pytest.mark.parametrize("count", [0, 1, 2, 8, 100])
def test_results_are_in_the_order_of_the_items(count: int) -> None:
    assert concurrently(lambda n: n * n, range(count)) == [n * n for n in range(count)]


def test_calls_overlap() -> None:
    met = threading.Barrier(4)  # nobody passes it alone

    assert concurrently(lambda n: met.wait(10) >= 0 and n, range(4)) == [0, 1, 2, 3]


def test_at_most_eight_run_at_a_time() -> None:
    running: list[int] = []
    most = []
    lock = threading.Lock()

    def call(n: int) -> None:
        with lock:
            running.append(n)
            most.append(len(running))
        threading.Event().wait(0.001)
        with lock:
            running.remove(n)

    concurrently(call, range(64))

    assert max(most) <= 8


@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_failure_is_raised_and_nothing_more_is_begun(at: int) -> None:
    begun = []

    def call(n: int) -> None:
        begun.append(n)
        if n == at:
            raise ValueError(n)

    with pytest.raises(ValueError, match=str(at)):
        concurrently(call, range(1000))
    assert len(begun) < 1000


def test_an_interruption_is_a_failure_too() -> None:
    def call(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        concurrently(call, range(3))


def test_what_goes_on_beside_a_block_has_ended_with_the_block() -> None:
    go = threading.Event()
    done: list[bool] = []

    def call() -> int:
        done.append(go.wait(10))
        return len(done)

    with BackgroundCall(call) as beside:
        assert done == []
        go.set()

    assert done == [True]
    assert beside.result() == 1


def test_what_failed_beside_is_raised_where_the_result_is_wanted() -> None:
    def fail() -> int:
        raise ValueError("beside")

    with BackgroundCall(fail) as call:
        pass
    with pytest.raises(ValueError, match="beside"):
        call.result()


def test_the_failure_of_the_block_is_not_hidden_by_one_beside_it() -> None:
    def fail() -> int:
        raise ValueError("beside")

    with pytest.raises(KeyError), BackgroundCall(fail):
        raise KeyError("block")


def test_who_waits_only_so_long_is_told_whether_it_has_ended() -> None:
    go = threading.Event()
    call = BackgroundCall(lambda: go.wait(10), abandoned=True)

    assert not call.ended(0.01)
    go.set()
    assert call.ended()
    assert call.result()


def test_no_end_of_the_program_waits_for_what_is_abandoned() -> None:
    code = (
        "import threading; from launch_action.core.concurrency import BackgroundCall;"
        "BackgroundCall(threading.Event().wait, abandoned=True)"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)


@pytest.fixture
def interrupted() -> Iterator[None]:
    """An interruption comes in a fifth of a second."""
    timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    yield
    timer.join()


@pytest.mark.usefixtures("interrupted")
def test_an_interruption_while_the_others_are_waited_for_waits_for_them() -> None:
    mine, begun, done = threading.current_thread(), threading.Barrier(2), list[int]()

    def work(item: int) -> None:
        begun.wait()  # so that each has a thread of its own
        if threading.current_thread() is not mine:
            time.sleep(0.5)
            done.append(item)

    with pytest.raises(KeyboardInterrupt):
        concurrently(work, [1, 2])

    assert len(done) == 1


@pytest.mark.usefixtures("interrupted")
def test_an_interruption_at_the_end_of_a_block_waits_for_what_is_beside_it() -> None:
    done: list[str] = []

    def work() -> None:
        time.sleep(0.5)
        done.append("written")

    with pytest.raises(KeyboardInterrupt), BackgroundCall(work):
        pass

    assert done == ["written"]
