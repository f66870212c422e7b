"""What becomes of containers whose launch-action is gone, and how that is known."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launch_action.runners.container import DETACHED, OWNER, RUN_ID
from launch_action.runners.engine_leftovers import KEPT, Fate, fate
from launch_action.runners.leftovers import process_status
from launch_action.runners.owner import Owner, is_gone, this_process

NOW = 1_700_000_000.0
NEVER = "0001-01-01T00:00:00Z"
JUST_NOW = "2023-11-14T22:13:10.123456789Z"
LONG_AGO = "2023-11-13T22:13:10.123456789Z"
LABELS = {RUN_ID: "abc", OWNER: "scope 1 2"}


@pytest.mark.parametrize(
    ("running", "finished", "gone", "becomes"),
    [
        (True, NEVER, True, "stop"),
        (True, NEVER, False, "leave"),
        (True, LONG_AGO, False, "leave"),
        (False, NEVER, True, "remove"),
        (False, NEVER, False, "leave"),
        (False, JUST_NOW, True, "leave"),
        (False, LONG_AGO, True, "remove"),
        (False, LONG_AGO, False, "remove"),
        (False, "nonsense", False, "leave"),
    ],
)
def test_a_container_is_left_or_removed_by_its_owner_and_age(
    running: bool, finished: str, gone: bool, becomes: Fate
) -> None:
    state: dict[str, Any] = {"Running": running, "FinishedAt": finished}

    assert fate(LABELS, state, gone, NOW) == becomes
    # Nobody waits for a detached one: its owner comes back for it.
    assert fate(LABELS | {DETACHED: "true"}, state, gone, NOW) == "leave"


def test_a_container_is_kept_for_a_day() -> None:
    assert KEPT == 86400


def test_a_living_process_is_not_gone_and_one_that_ended_is() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        started = process_status(Path(f"/proc/{child.pid}")).start  # type: ignore[union-attr]
        other = replace(this_process(), pid=child.pid, started=started)
        assert not is_gone(other)
        # Its id is another process's by now.
        assert is_gone(replace(other, started=started + 1))
        child.kill()
        child.wait()
        assert is_gone(other)
    assert not is_gone(this_process())


def test_of_a_process_of_another_place_nothing_is_said() -> None:
    assert not is_gone(replace(this_process(), scope="other/4026531836", pid=2**22 + 1))


def test_an_owner_reads_back_from_its_label() -> None:
    assert Owner.parse(str(this_process())) == this_process()
    assert this_process().pid == os.getpid()
    for text in ("", "a", "a 1", "a b c", "a 1 2 3"):
        assert Owner.parse(text) is None
