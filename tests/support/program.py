"""The program as its users start it: a process with directories and an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.engine import engine_settings
from support.github_runner import network_settings

PROGRAM = Path(sys.executable).with_name("launch-action")
_LANGUAGE = {"LANG": "C.UTF-8"}


@dataclass(frozen=True, slots=True)
class Ended:
    """What a run of the program left."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document of `--json`."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def error(self) -> str:
        """The line that says what failed; empty when nothing did."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) <= 1, self.err
        return lines[0].removeprefix("error: ") if lines else ""

    @property
    def hint(self) -> str:
        """The line after it, which says what to do."""
        lines = self.err.splitlines()
        at = next(i for i, line in enumerate(lines) if line.startswith("error: "))
        assert lines[at + 1].startswith("hint: "), self.err
        return lines[at + 1].removeprefix("hint: ")


@dataclass(frozen=True, slots=True)
class Machine:
    """A user's machine below `root`: home, store, cache and temporary directory are its own.

    `cache` may be shared where a test is not about caching. `also` is in the environment too.
    `program` is what starts the program.
    """

    root: Path
    cache: Path | None = None
    also: Mapping[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (str(PROGRAM),)

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def temporary(self) -> Path:
        return self.root / "tmp"

    @property
    def cache_directory(self) -> Path:
        return self.cache or self.root / "cache"

    def environment(self) -> dict[str, str]:
        """All that the program sees of the environment."""
        for folder in (self.root / "home", self.temporary):
            folder.mkdir(parents=True, exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root / "home"),
            "TMPDIR": str(self.temporary),
            "LAUNCH_ACTION_CACHE": str(self.cache_directory),
            "LAUNCH_ACTION_STORE": str(self.store),
            **_LANGUAGE,
            **network_settings(),
            **engine_settings(),
            **self.also,
        }

    def run(
        self,
        *arguments: str,
        cwd: Path,
        before: Sequence[str] = (),
        timeout: float = 180,
    ) -> Ended:
        """Run the program to its end; `before` is a command that starts it, as `unshare -n` is."""
        started = time.monotonic()
        with self.started(*arguments, cwd=cwd, before=before) as child:
            out, err = child.communicate(timeout=timeout)
        took = time.monotonic() - started
        return Ended(
            child.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"), took
        )

    @contextmanager
    def started(
        self, *arguments: str, cwd: Path, before: Sequence[str] = ()
    ) -> Iterator[subprocess.Popen[bytes]]:
        """The running program, the leader of a process group that is gone when the block ends."""
        with subprocess.Popen(
            [*before, *self.program, *arguments],
            cwd=cwd,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        ) as child:
            try:
                yield child
            finally:
                kill_group(child.pid)

    def leftovers(self) -> list[str]:
        """What is in the temporary directory."""
        return sorted(entry.name for entry in self.temporary.iterdir())

    def layout(self, job_name: str) -> Path:
        """Where the local store keeps a job."""
        return self.store / job_name


def kill_group(leader: int) -> None:
    """End a process group for good; one that is gone already is fine."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


def succeeded(ended: Ended) -> Ended:
    assert ended.code == 0, f"exit {ended.code}\n{ended.err}\n{ended.out}"
    return ended


def failed(ended: Ended, code: int) -> Ended:
    """An expected failure: its code, one error line, a hint, no traceback."""
    assert ended.code == code, f"exit {ended.code}, not {code}\n{ended.err}\n{ended.out}"
    assert "Traceback" not in ended.err, ended.err
    assert ended.error, ended.err
    assert ended.hint, ended.err
    return ended


def files_below(folder: Path) -> Iterator[Path]:
    """Every regular file below a directory."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path
