"""The real W&B SDK: installed in an environment of its own, and runs recorded with it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from support.jobs import MINOR
from uv import find_uv_bin

VERSION = "0.31.0"


@dataclass(frozen=True, slots=True)
class Sdk:
    """A Python that has the SDK, and the home directory that its runs keep their files in."""

    python: Path
    home: Path

    def start(
        self,
        directory: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start Python in a directory, with its runs offline unless the environment says else."""
        return subprocess.Popen(
            [str(self.python), *arguments],
            cwd=directory,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "WANDB_MODE": "offline",
                "WANDB_SILENT": "true",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                **(environment or {}),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@dataclass(slots=True)
class Runs:
    """Runs that record at the same time; `end` waits for all of them."""

    sdk: Sdk
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def record(self, directory: Path, *arguments: str, **environment: str) -> Path:
        """Record a run in a directory that has a script; where its files will be."""
        self.started.append(self.sdk.start(directory, *arguments, environment=environment))
        return directory / "wandb" / "latest-run"

    def end(self) -> None:
        for child in self.started:
            out, _ = child.communicate(timeout=180)
            assert child.returncode == 0, out.decode("utf-8", "replace")


def install(folder: Path, version: str = VERSION) -> Sdk:
    """Install the SDK into an empty folder."""
    venv, home = folder / "venv", folder / "home"
    home.mkdir()
    for command in (["venv", "--python", MINOR, venv], ["pip", "install", f"wandb=={version}"]):
        environment = os.environ | {"VIRTUAL_ENV": str(venv)}
        subprocess.run([find_uv_bin(), "-q", *map(str, command)], env=environment, check=True)
    return Sdk(venv / "bin" / "python", home)
