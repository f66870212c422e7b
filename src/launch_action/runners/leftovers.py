"""End everything a job started: its session, and who carries its mark in the environment.

A process group is not enough: a job's child may have made a session of its own (daemons do). Where
there is no /proc the session leader's group is all that is ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# Rounds of looking and killing: what forks while we look is seen in the next.
_ROUNDS = 50


def end_all(leader: int, mark: bytes) -> None:
    """Kill every process of `leader`'s session, and all whose environment has `mark`.

    `mark` is `NAME=value`. The leader must not have been waited for: its id could be another's.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)
    for _ in range(_ROUNDS):
        found = list(_of_job(leader, mark))
        if not found:
            return
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _of_job(leader: int, mark: bytes) -> Iterator[int]:
    own = os.getpid()
    first = process_status(Path(f"/proc/{leader}"))
    for place in Path("/proc").glob("[0-9]*"):
        pid = int(place.name)
        found = process_status(place)
        if not first or not found or pid == own or found.state in (b"Z", b"X"):
            continue
        # What is older than the job is not of it; its environment need not be read.
        if found.session == leader or (found.start >= first.start and _marked(place, mark)):
            yield pid


class ProcessStatus(NamedTuple):
    """Of /proc/PID/stat: `start` is in clock ticks since the machine started."""

    state: bytes
    session: int
    start: int


def process_status(place: Path) -> ProcessStatus | None:
    """The status of the process of a directory `/proc/PID`; None when there is none."""
    try:
        # proc_pid_stat(5): the name in parentheses may hold anything, also spaces and parentheses.
        found = (place / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return ProcessStatus(found[0], int(found[3]), int(found[19]))


def _marked(place: Path, mark: bytes) -> bool:
    try:
        return mark in (place / "environ").read_bytes().split(b"\0")
    except OSError:
        # Another user's process, or one that has just ended.
        return False
