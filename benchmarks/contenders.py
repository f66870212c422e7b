"""Who is compared: each builds the project as it is now and pushes the image to the registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.disk import Disk, watched

_INDEXES = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class Contender(Protocol):
    """A tool with its local state. `build` is what is timed; `tag` is where its image is then."""

    @property
    def name(self) -> str: ...

    @property
    def tag(self) -> str: ...

    def build(self, image: str, *, empty: bool) -> int:
        """Build and push `image`; returns the peak memory in bytes. `empty`: no local state."""
        ...

    def forget(self) -> None:
        """Lose all local state, as a fresh machine has none."""
        ...

    def watch(self, wanted: bool) -> AbstractContextManager[Disk]:
        """Look at how much the local state holds while the block runs."""
        ...


@dataclass(frozen=True, slots=True)
class LaunchAction:
    """The program as its users start it, with a cache of its own.

    Its remote is not asked for the commit: nobody else asks one.
    """

    program: Path
    project: Path
    base: str
    folder: Path
    name: str = "launch-action"
    options: tuple[str, ...] = ()
    tag: str = "latest"

    def build(self, image: str, *, empty: bool) -> int:  # noqa: ARG002  # it finds out itself
        command = [
            str(self.program), "build", "--entry-point", "python train.py", "--image", image,
            "--base-image", f"{image.partition('/')[0]}/{self.base}", "--no-check-remote",
            "--working-directory", str(self.project), "--json", *self.options,
        ]  # fmt: skip
        return run(command, self.environment(), self.folder.parent / f"{self.folder.name}.log")

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def watch(self, wanted: bool) -> AbstractContextManager[Disk]:
        return watched(self.folder, wanted=wanted)

    def environment(self) -> Mapping[str, str]:
        """A home of its own, and no word of a CI that this may run in."""
        others = ("GITHUB_", "CI", "XDG_", "PYTHON", "WANDB_", "LAUNCH_")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        return {
            **kept,
            "HOME": str(self.folder),
            "LAUNCH_ACTION_CACHE": str(self.folder / "cache"),
        }


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile; `{registry}` in it is the registry's address.

    `{arguments}` declares what lets a build find a package index behind a mirror, and only what
    there is: with any ARG at all, buildah 1.28 finds nothing in a registry's cache.
    """

    text: str

    def write(self, place: Path, registry: str) -> None:
        declared = "".join(f"ARG {name}\n" for name in _given(_INDEXES))
        text = self.text.replace("{registry}", registry).replace("{arguments}\n", declared)
        place.write_text(text)

    def options(self) -> list[str]:
        """The arguments of the build."""
        return [f"--build-arg={name}" for name in _given((*_INDEXES, *_PROXIES))]


def _given(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if os.environ.get(name)]


def run(command: list[str], environment: Mapping[str, str], log: Path) -> int:
    """Run a program to its end; the most memory that a process of it had, in bytes."""
    with log.open("ab") as out:
        child = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        end = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{command[0]} ended with {child.returncode}:\n{end}")
    return used.ru_maxrss * 1024
