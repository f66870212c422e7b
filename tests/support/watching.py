"""The command lines of all processes, as `ps` shows them to everybody on the machine."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Watched:
    """The command lines of all processes that were started while this watched."""

    lines: set[bytes] = field(default_factory=set)


@contextmanager
def watching() -> Iterator[Watched]:
    """Read /proc again and again, in a thread of its own."""
    found, stop = Watched(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(found, stop))
    watcher.start()
    try:
        yield found
    finally:
        stop.set()
        watcher.join()


def _watch(found: Watched, stop: threading.Event) -> None:
    mine = f"{os.getpid()}"
    while not stop.is_set():
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and process.name != mine:
                try:
                    found.lines.add(process.joinpath("cmdline").read_bytes())
                except OSError:
                    continue
        time.sleep(0.005)
