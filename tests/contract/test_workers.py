"""Tasks in processes of their own: what is heard of them, and that none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launch_action.workers import WAITS, Begun, Ended, Event, Heard, Tell, workers


def listen(events: Iterator[Event]) -> tuple[list[Event], dict[int, int]]:
    """All events, and the exit code of every task."""
    heard = list(events)
    return heard, {event.task: event.code for event in heard if isinstance(event, Ended)}


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_what_a_task_tells_is_heard_in_its_order() -> None:
    def task(tell: Tell) -> None:
        for number in range(3):
            tell({"number": number, "text": "ä\n\ud800"})

    with workers([task, task], 1) as events:
        heard, codes = listen(events)

    assert codes == {0: 0, 1: 0}
    told: list[Any] = [event.message for event in heard if isinstance(event, Heard)]
    assert [one["number"] for one in told] == [0, 1, 2, 0, 1, 2]
    assert told[0]["text"] == "ä\n\ud800"
    assert [type(event).__name__ for event in heard[:2]] == ["Begun", "Heard"]


def test_large_messages_of_several_threads_stay_whole() -> None:
    def task(tell: Tell) -> None:
        def several() -> None:
            for _ in range(5):
                tell({"text": "x" * 300_000})

        threads = [threading.Thread(target=several) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with workers([task], 1) as events:
        heard, codes = listen(events)

    sizes = [len(event.message["text"]) for event in heard if isinstance(event, Heard)]
    assert sizes == [300_000] * 20
    assert codes == {0: 0}


@pytest.mark.parametrize("most", [1, 3])
def test_so_many_work_at_a_time(most: int) -> None:
    with workers([lambda _: time.sleep(0.05)] * 7, most) as events:
        heard, codes = listen(events)

    now = highest = 0
    for event in heard:
        now += isinstance(event, Begun)
        now -= isinstance(event, Ended)
        highest = max(highest, now)
    assert highest == most
    assert set(codes.values()) == {0}
    assert [event.task for event in heard if isinstance(event, Begun)] == list(range(7))


def test_who_only_waits_takes_no_room() -> None:
    reading, writing = os.pipe()

    def waiting(tell: Tell) -> None:
        tell(WAITS)
        os.read(reading, 1)

    def freeing(_: Tell) -> None:
        os.write(writing, b"!")

    with workers([waiting, freeing], 1) as events:
        heard, codes = listen(events)
    os.close(reading)
    os.close(writing)

    assert codes == {0: 0, 1: 0}
    assert not [event for event in heard if isinstance(event, Heard)]


def test_a_task_that_fails_or_is_killed_ends_alone() -> None:
    def failing(_: Tell) -> None:
        raise ValueError

    def killed(_: Tell) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def leaving(_: Tell) -> None:
        raise KeyboardInterrupt

    with workers([failing, killed, leaving, lambda tell: tell({"fine": True})], 4) as events:
        _, codes = listen(events)

    assert codes == {0: 1, 1: -signal.SIGKILL, 2: 130, 3: 0}


def pid_of(events: Iterator[Event]) -> int:
    """The process of the first task that says it."""
    return next(int(event.message["pid"]) for event in events if isinstance(event, Heard))


def test_leaving_the_block_ends_them_and_they_clean_up(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    def listening(tell: Tell) -> None:
        mark.touch()
        try:
            tell({"pid": os.getpid()})  # from here on it may be ended
            time.sleep(60)
        finally:
            mark.unlink()

    found: list[int] = []
    with pytest.raises(RuntimeError), workers([listening], 1) as events:  # noqa: PT012
        found.append(pid_of(events))
        raise RuntimeError

    assert not mark.exists()
    assert not alive(found[0])


def test_what_a_task_has_started_is_gone_with_it(tmp_path: Path) -> None:
    def starting(tell: Tell) -> None:
        child = subprocess.Popen(["sleep", "60"])
        tell({"pid": child.pid})

    with workers([starting], 1) as events:
        pid = pid_of(events)
        listen(events)

    until = time.monotonic() + 10
    while alive(pid) and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until
        time.sleep(0.01)


def test_when_the_foreman_is_killed_every_task_has_an_end() -> None:
    def working(tell: Tell) -> None:
        tell({"pid": os.getppid()})
        for _ in range(600):
            time.sleep(0.01)
            tell({"still": "there"})

    with workers([working, working], 1) as events:
        os.kill(pid_of(events), signal.SIGKILL)
        _, codes = listen(events)

    assert codes == {0: -signal.SIGKILL, 1: -signal.SIGKILL}


def test_nothing_is_begun_before_it_is_asked_for(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    with workers([lambda _: mark.touch()], 1) as events:
        time.sleep(0.1)
        assert not mark.exists()
        listen(events)
        assert mark.exists()
    with workers([lambda _: mark.touch()], 1):
        mark.unlink()
    assert not mark.exists()
