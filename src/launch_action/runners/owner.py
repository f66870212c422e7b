"""Which process a container of ours belongs to, and whether that process still lives.

Another machine's processes, and those of another pid namespace (a container action), cannot be
looked up from here: of them nothing is said.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from launch_action.core.dataclass import dataclass
from launch_action.runners.leftovers import process_status


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: `scope` is the machine since it was started, and the namespace of its id.

    `started` is in clock ticks since then, 0 where there is no /proc.
    """

    scope: str
    pid: int
    started: int

    def __str__(self) -> str:
        return f"{self.scope} {self.pid} {self.started}"

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """An owner as a label has it; None for anything else."""
        scope, *numbers = text.split(" ")
        if len(numbers) != 2 or not all(number.isdecimal() for number in numbers):
            return None
        return cls(scope, *map(int, numbers))


def this_process() -> Owner:
    """The owner of what this process makes."""
    return Owner(_scope(), os.getpid(), _started(os.getpid()))


def is_gone(owner: Owner) -> bool:
    """Whether a process is known to have ended; one of another scope is not."""
    if owner.scope != _scope():
        return False
    if owner.started:
        return _started(owner.pid) != owner.started
    try:
        os.kill(owner.pid, 0)
    except OSError:
        return True
    return False


def _scope() -> str:
    # Of living namespaces no two have one number: an owner of a namespace that is gone is gone.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return platform.node().replace(" ", "_") or "unknown"


def _started(pid: int) -> int:
    found = process_status(Path(f"/proc/{pid}"))
    return found.start if found and found.state not in (b"Z", b"X") else 0
