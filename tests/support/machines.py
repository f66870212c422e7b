"""Machines for the bootstrap: a program that tells what it sees, a PATH of our choice."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from support.github_runner import Runner, StepResult

ROOT = Path(__file__).parents[2]
# Prints what a program started by the bootstrap finds; installed in the place of the real one.
TELLTALE = """\
import json, os, sys

def main():
    import tomli
    print("TOLD " + json.dumps({
        "path": sys.path, "argv": sys.argv, "flags": list(sys.flags), "cwd": os.getcwd(),
        "python": [name for name in os.environ if name.startswith("PYTHON")],
        "version": list(sys.version_info[:2]), "prefix": sys.prefix, "tomli": tomli.__file__,
        "inputs": os.environ.get("LAUNCH_INPUTS"),
        "environ": open(f"/proc/{os.getpid()}/environ").read(),
    }))
    return 0
"""


def action_with(folder: Path, program: str = TELLTALE) -> Path:
    """A checkout of the action whose program and dependencies are small."""
    (folder / "src" / "launch_action").mkdir(parents=True)
    (folder / "src" / "launch_action" / "__init__.py").write_text("")
    (folder / "src" / "launch_action" / "cli.py").write_text(program)
    for name in ("action.yml", "bootstrap.py"):
        shutil.copy(ROOT / name, folder / name)
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    small = stanza(lock, "tomli") + stanza(lock, "uv")
    (folder / "requirements.lock").write_text(small)
    more = (ROOT / "requirements-wandb.lock").read_text("utf-8")
    # In the place of the SDK one of the packages that come with it.
    (folder / "requirements-wandb.lock").write_text(small + stanza(more, "distro"))
    return folder


def stanza(lock: str, name: str) -> str:
    """One package of a lock file, with its hashes; begins with a line end."""
    start = lock.index(f"\n{name}==")
    lines = lock[start + 1 :].splitlines(keepends=True)
    end = next((i for i, line in enumerate(lines) if i and not line.startswith(" ")), len(lines))
    return "\n" + "".join(lines[:end])


def runner_at(folder: Path, action: Path) -> Runner:
    """A runner whose PATH has a shell and this Python, as `python3`, and nothing else."""
    workspace = folder / "workspace"
    workspace.mkdir()
    return Runner(
        root=folder / "runner", action=action, workspace=workspace, path=str(tools(folder))
    )


def tools(folder: Path) -> Path:
    """The only directory on PATH."""
    place = folder / "bin"
    if not place.exists():
        place.mkdir()
        for name in ("bash", "sh", "env"):
            (place / name).symlink_to(shutil.which(name) or f"/bin/{name}")
        (place / "python3").symlink_to(interpreter())
    return place


def interpreter() -> Path:
    """The interpreter that the tests' own environment was made from."""
    return Path(sys.executable).resolve()


def script(place: Path, text: str) -> Path:
    """An executable of the given text."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    place.write_text(text)
    place.chmod(0o755)
    return place


def pretend_old(place: Path) -> None:
    """A `python3` that says to be 3.8 to the bootstrap."""
    code = (
        "import runpy, sys; sys.version_info = (3, 8, 18, 'final', 0); sys.argv = sys.argv[-1:];"
        " runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    script(place, f'#!/bin/sh\nexec {interpreter()} -I -u -c "{code}" "$@"\n')


def told(result: StepResult) -> dict[str, Any]:
    """What the telltale program saw."""
    lines = [line for line in result.raw.splitlines() if line.startswith("TOLD ")]
    assert lines, result.raw
    found: dict[str, Any] = json.loads(lines[0].removeprefix("TOLD "))
    return found


def having(runner: Runner, also: Mapping[str, str]) -> Runner:
    """The runner with more variables."""
    return replace(runner, also={**runner.also, **also})
