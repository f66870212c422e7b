"""Calls that overlap: every result in its place, and no failure lost."""

from __future__ import annotations

import threading

import pytest

from launch_action.core.at_once import Ahead, at_once


@pytest.mark.parametrize("count", [0, 1, 2, 8, 100])
def test_results_are_in_the_order_of_the_items(count: int) -> None:
    assert at_once(lambda n: n * n, range(count)) == [n * n for n in range(count)]


def test_calls_overlap() -> None:
    met = threading.Barrier(4)  # nobody passes it alone

    assert at_once(lambda n: met.wait(10) >= 0 and n, range(4)) == [0, 1, 2, 3]


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

    at_once(call, range(64))

    assert max(most) <= 8


@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_failure_is_raised_and_nothing_more_is_begun(at: int) -> None:
    begun = []

    def call(n: int) -> None:
        begun.append(n)
        if n == at:
            raise ValueError(n)

    with pytest.raises(ValueError, match=str(at)):
        at_once(call, range(1000))
    assert len(begun) < 1000


def test_an_interruption_is_a_failure_too() -> None:
    def call(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        at_once(call, range(3))


def test_what_goes_on_ahead_has_ended_with_the_block() -> None:
    go = threading.Event()
    done: list[bool] = []

    def call() -> int:
        done.append(go.wait(10))
        return len(done)

    with Ahead(call) as ahead:
        assert done == []
        go.set()

    assert done == [True]
    assert ahead.result() == 1


def test_what_failed_ahead_is_raised_where_the_result_is_wanted() -> None:
    def fail() -> int:
        raise ValueError("ahead")

    with Ahead(fail) as call:
        pass
    with pytest.raises(ValueError, match="ahead"):
        call.result()


def test_the_failure_of_the_block_is_not_hidden_by_one_ahead() -> None:
    def fail() -> int:
        raise ValueError("ahead")

    with pytest.raises(KeyError), Ahead(fail):
        raise KeyError("block")
