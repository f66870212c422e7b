"""How long the action takes to start: its bootstrap, cold and warm, with uv and with pip.

    python benchmarks/start.py [--runs 5]

Each run does everything once, in turn, as GitHub's runner does it: action.yml's script in a new
process. "Cold" has an empty tool cache and an empty download cache, as a hosted runner has, and
fetches from the package index; "warm" has the environment of an earlier run, as a self-hosted one.
The whole run is one of a commit whose job is in the registry (on loopback) already. Then the same
as a container action, its image on the machine. Ratios are to the warm action of the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import services
from support.github_runner import Runner, StepResult
from support.repositories import git

ROOT = Path(__file__).parents[1]
IMAGE = "launch-action-benchmark"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
Way = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Machine:
    """A runner with a checkout, and what its steps give to the action."""

    runner: Runner
    inputs: dict[str, str]

    def timed(self, *, uv: bool, cold: bool, whole: bool) -> float:
        """Seconds of one step; one that is not whole ends at its first wrong input."""
        runner = self.runner
        if uv:
            runner = replace(runner, path=f"{runner.root / 'uv'}:{runner.path}")
        tools = runner.root / ("tools-uv" if uv else "tools-pip")
        if cold:
            for folder in (tools, runner.root / "home", runner.root / "work" / "_temp"):
                shutil.rmtree(folder, ignore_errors=True)
        runner = replace(runner, also={**runner.also, "RUNNER_TOOL_CACHE": str(tools)})
        inputs = self.inputs if whole else {"push": "perhaps"}
        started = time.monotonic()
        result = runner.run(inputs)
        seconds = time.monotonic() - started
        _check(result, 0 if whole else 2)
        return seconds

    def in_container(self, *, whole: bool) -> float:
        """Seconds of the same in the image, as a runner starts a container action."""
        inputs = self.inputs if whole else {"push": "perhaps"}
        given = {f"INPUT_{name.upper()}": value for name, value in inputs.items()}
        files = self.runner.root / "files"
        files.mkdir(exist_ok=True)
        (files / "output").touch()
        given |= {"GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": "/files/output"}
        given |= {"GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main"}
        names = [word for name in given for word in ("--env", name)]
        started = time.monotonic()
        done = subprocess.run(
            ["docker", "run", "--rm", "--network=host", "--workdir=/github/workspace", *names,
             f"--volume={self.runner.workspace}:/github/workspace", f"--volume={files}:/files",
             f"--volume={self.runner.root / 'cache'}:/cache", "--env=LAUNCH_ACTION_CACHE=/cache",
             IMAGE],
            env=os.environ | given, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - started
        if done.returncode != (0 if whole else 2):
            raise SystemExit(done.stdout + done.stderr)
        return seconds


def _check(result: StepResult, code: int) -> None:
    if result.code != code:
        raise SystemExit(result.raw)


@contextmanager
def machine() -> Iterator[Machine]:
    """A machine with a registry, and a job of a small project in it."""
    with tempfile.TemporaryDirectory() as name, services.registry(Path(name) / "r") as registry:
        base = f"{registry.address}/{services.BASE}"
        services.push_layout(services.python_base_layout(), base)
        workspace = Path(name) / "workspace"
        workspace.mkdir()
        (workspace / "train.py").write_text("print('hello')\n")
        (workspace / "requirements.txt").write_text("tomli==2.0.1\n")
        git(workspace, "init", "--quiet", "--initial-branch=main")
        git(workspace, "remote", "add", "origin", "https://github.com/acme/mono.git")
        git(workspace, "add", ".")
        git(workspace, "commit", "--quiet", "--message=one")
        uv = Path(name) / "runner" / "uv"
        uv.mkdir(parents=True)
        (uv / "uv").symlink_to(ROOT / ".venv" / "bin" / "uv")
        runner = Runner(
            root=Path(name) / "runner",
            action=ROOT,
            workspace=workspace,
            path="/usr/bin:/bin",
            payload={"repository": {"default_branch": "main", "full_name": "acme/mono"}},
            also={"LAUNCH_ACTION_CACHE": str(Path(name) / "runner" / "cache")},
        )
        options = f"base-image={base}\npython=3.11"
        inputs = {"entry-point": "python train.py", "image": f"{registry.address}/acme/train"}
        yield Machine(runner, {**inputs, "build-options": options})


@contextmanager
def image(folder: Path) -> Iterator[None]:
    """The Dockerfile's image, on a base made of Debian's packages, until the block ends."""
    shutil.copy(CERTIFICATES, folder / "certificates.crt")
    layout = services.python_base_layout("trixie")
    archive = folder / "base.tar"
    source = f"oci:{layout}:base"
    subprocess.run(
        ["skopeo", "copy", "--quiet", source, f"docker-archive:{archive}:{IMAGE}-base"], check=True
    )
    with archive.open("rb") as file:
        subprocess.run(["docker", "load", "--quiet"], stdin=file, check=True, capture_output=True)
    (folder / "Dockerfile").write_text(
        f"FROM {IMAGE}-base\nCOPY certificates.crt {CERTIFICATES}\nENV PIP_CERT={CERTIFICATES}\n"
    )
    classic = os.environ | {"DOCKER_BUILDKIT": "0"}
    for arguments in (
        ["--tag", f"{IMAGE}-base", str(folder)],
        ["--build-arg", f"PYTHON_IMAGE={IMAGE}-base", "--tag", IMAGE, str(ROOT)],
    ):
        subprocess.run(["docker", "build", "--quiet", *arguments], env=classic, check=True,
                       stdout=subprocess.DEVNULL)  # fmt: skip
    try:
        yield
    finally:
        names = (IMAGE, f"{IMAGE}-base")
        subprocess.run(["docker", "image", "rm", "--force", *names], stdout=subprocess.DEVNULL)


def ways(there: Machine) -> dict[str, Way]:
    """Everything that is measured, in the order of a run: cold before warm."""
    return {
        "bootstrap, uv, cold": lambda: there.timed(uv=True, cold=True, whole=False),
        "bootstrap, pip, cold": lambda: there.timed(uv=False, cold=True, whole=False),
        "bootstrap, warm": lambda: there.timed(uv=True, cold=False, whole=False),
        "container started": lambda: there.in_container(whole=False),
        "whole run without a change, uv, cold": lambda: there.timed(uv=True, cold=True, whole=True),
        "whole run without a change, pip, cold": lambda: there.timed(
            uv=False, cold=True, whole=True
        ),
        "whole run without a change, warm": lambda: there.timed(uv=True, cold=False, whole=True),
        "whole run without a change, container": lambda: there.in_container(whole=True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, machine() as there, image(Path(folder)):
        there.timed(uv=True, cold=True, whole=True)  # the job is recorded
        measured: dict[str, list[float]] = {name: [] for name in ways(there)}
        for _ in range(chosen.runs):
            for name, way in ways(there).items():
                measured[name].append(way())
        size = json.loads(subprocess.check_output(["docker", "image", "inspect", IMAGE]))[0]["Size"]
    base = measured["whole run without a change, warm"]
    print(f"| {chosen.runs} runs | seconds, median | least | most | ratio |")
    print("| --- | --- | --- | --- | --- |")
    for name, found in measured.items():
        ratio = statistics.median(one / by for one, by in zip(found, base, strict=True))
        numbers = (statistics.median(found), min(found), max(found))
        print(f"| {name} | {' | '.join(f'{one:.2f}' for one in numbers)} | {ratio:.1f} |")
    print(f"\nThe image is {size / 1e6:.0f} MB unpacked.")


if __name__ == "__main__":
    main()
