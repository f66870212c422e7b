"""Measures a step of the action: making its environment, and a whole run that changes nothing.

    uv sync --frozen --all-groups && .venv/bin/python benchmarks/step.py [--runs 5]

Prints a table for docs/action.md. Needs what scripts/benchmark needs, and a package index.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # this file is started by its path

from benchmarks import base, project  # noqa: E402
from benchmarks.registry import registry  # noqa: E402

# An input that is wrong ends the program where its inputs are read.
_NOTHING = {"mode": "nothing"}


@dataclass(frozen=True, slots=True)
class Took:
    """One run of the step: seconds of the clock, and of a processor."""

    clock: float
    processor: float


@dataclass(frozen=True, slots=True)
class Machine:
    """A runner below `folder`; `uv` is the directory of uv where it has one."""

    folder: Path
    workspace: Path
    uv: Path | None

    def forget(self, *names: str) -> None:
        """Lose some of `tools` (the environment) and `packages` (the installers' caches)."""
        for name in names:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def run(self, inputs: Mapping[str, str], code: int) -> Took:
        """Run the step as GitHub's runner does. Raises when it does not exit with the code."""
        script = self.folder / "step.sh"
        definition = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
        script.write_text(definition["runs"]["steps"][0]["run"], "utf-8")
        before, began = os.times(), time.monotonic()
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
            cwd=self.workspace,
            env=self._environment(inputs),
            capture_output=True,
            text=True,
            check=False,
        )
        took, after = time.monotonic() - began, os.times()
        if done.returncode != code:
            raise SystemExit(f"exit {done.returncode}:\n{done.stdout}{done.stderr}")
        used = (after[2] - before[2]) + (after[3] - before[3])
        return Took(took, used)

    def _environment(self, inputs: Mapping[str, str]) -> dict[str, str]:
        for name in ("tools", "packages", "home", "temp"):
            (self.folder / name).mkdir(exist_ok=True)
        files = {}
        for name in ("OUTPUT", "STEP_SUMMARY", "ARTIFACTS"):
            (self.folder / name).write_bytes(b"")
            files[f"GITHUB_{name}"] = str(self.folder / name)
        (self.folder / "event.json").write_text('{"repository": {"default_branch": "main"}}')
        passed = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE",
                  "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # fmt: skip
        named = {n: os.environ[n] for n in passed if n in os.environ}
        usual = f"{Path(sys.executable).resolve().parent}:/usr/local/bin:/usr/bin:/bin"
        return named | files | {
            "PATH": f"{self.uv}:{usual}" if self.uv else usual,
            "HOME": str(self.folder / "home"),
            "UV_CACHE_DIR": str(self.folder / "packages"),
            "PIP_CACHE_DIR": str(self.folder / "packages"),
            "RUNNER_TOOL_CACHE": str(self.folder / "tools"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "LAUNCH_ACTION_CACHE": str(self.folder / "cache"),
            "GITHUB_ACTIONS": "true", "CI": "true", "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_WORKSPACE": str(self.workspace), "GITHUB_EVENT_NAME": "push",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"), "GITHUB_REF": "refs/heads/main",
            "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch",
            "GITHUB_REPOSITORY": "acme/benchmark", "GITHUB_RUN_ID": "1",
            "LAUNCH_INPUTS": json.dumps(inputs),
        }  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=5)
    runs = arguments.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="launch-action-step-") as name:
        workspace = Path(name, "workspace")
        project.make_project(workspace)
        print("| | seconds | of a processor |\n| --- | --- | --- |")
        for title, took in _rows(Path(name), workspace, runs):
            clock = median(one.clock for one in took)
            processor = median(one.processor for one in took)
            print(f"| {title} | {clock:.2f} | {processor:.2f} |", flush=True)


def _rows(folder: Path, workspace: Path, runs: int) -> Iterator[tuple[str, list[Took]]]:
    from uv import find_uv_bin

    tools = folder / "bin"
    tools.mkdir()
    (tools / "uv").symlink_to(find_uv_bin())
    for tool, place in (("uv", tools), ("pip", None)):
        machine = Machine(folder / tool, workspace, place)
        machine.folder.mkdir()
        cold, cached = [], []
        for _ in range(runs):
            machine.forget("tools", "packages")
            cold.append(machine.run(_NOTHING, 2))
            machine.forget("tools")
            cached.append(machine.run(_NOTHING, 2))
        yield f"environment made by {tool}, nothing there", cold
        yield f"environment made by {tool}, wheels in its cache", cached
    yield "environment found, program started", [machine.run(_NOTHING, 2) for _ in range(runs)]
    yield from _whole(folder, machine, runs)


def _whole(folder: Path, machine: Machine, runs: int) -> Iterator[tuple[str, list[Took]]]:
    with registry(folder / "registry") as running:
        base.push(base.base_layout(), f"{running.address}/library/python:3.11-slim")
        inputs = {
            "entry-point": "python train.py",
            "image": f"{running.address}/acme/benchmark",
            "build-options": f"base-image={running.address}/library/python:3.11-slim\n"
            "python=3.11\ncheck-remote=false",
        }
        yield "a whole step, first build", [machine.run(inputs, 0)]
        yield "a whole step, nothing changed", [machine.run(inputs, 0) for _ in range(runs)]


if __name__ == "__main__":
    main()
