"""How much a folder holds while something works in it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_PAUSE = 0.5


@dataclass(slots=True)
class Disk:
    """The most that was seen, in bytes; 0 where nobody looked."""

    peak: int = 0


@contextmanager
def watched(folder: Path, *, wanted: bool) -> Iterator[Disk]:
    """Look twice a second while the block runs, and at its end."""
    found = Disk()
    if not wanted:
        yield found
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(_PAUSE):
            found.peak = max(found.peak, used(folder))

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield found
    finally:
        over.set()
        looking.join()
        found.peak = max(found.peak, used(folder))


def used(folder: Path) -> int:
    """Bytes that the files below a folder take, a file with several names once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # gone meanwhile
                status = os.lstat(f"{place}/{name}")
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    total += status.st_blocks * 512
    return total
