"""Jobs that the real programs of W&B make, read here."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.git_remotes import GitServer, http_server
from support.program import Ended, Machine, succeeded
from support.registry import Running, running
from support.repositories import git
from support.services import push_layout
from support.wandb_api.server import WandbServer, serve

pytest_plugins = ["support.program_fixtures"]

WANDB = Path(sys.executable).with_name("wandb")
SCRIPT = """\
import json, os, pathlib
ran = {"ran": os.path.basename(__file__)}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(ran))
"""
# A run that W&B makes a job of; run by us it does without the SDK.
AUTOMATIC = """\
import os
if "LAUNCH_OUTPUT_DIR" in os.environ:
    exec(open(os.path.join(os.path.dirname(__file__), "script.py")).read())
else:
    import wandb
    with wandb.init(config={"lr": 0.1, "tags": ["a", 1]}) as run:
        if "code" in os.environ:
            run.log_code(".")
        run.log({"loss": 0.5})
"""
FILES = {"train.py": AUTOMATIC, "script.py": SCRIPT, "requirements.txt": "tomli==2.0.1\n"}


@dataclass
class Programs:
    """W&B's programs and ours, on one machine with one server."""

    wandb: WandbServer
    machine: Machine
    base: str
    directory: Path

    def theirs(self, *arguments: str, cwd: Path, **environment: str) -> str:
        """What a program of W&B's environment says, which has to succeed."""
        known = {**self.machine.environment(), **self.wandb.environment, **environment}
        done = subprocess.run(
            arguments, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=180, env=known,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout
        return done.stdout

    def ours(self, *arguments: str) -> Ended:
        return succeeded(self.machine.run(*arguments, cwd=self.directory))

    def ran(self, reference: str) -> object:
        """Build and run a job; what its script says of itself."""
        self.ours("build", reference, "--base-image", self.base)
        found = self.ours("run", reference, "-r", "local-process", "--json").document
        return found["metrics"]["ran"]


@pytest.fixture
def programs(tmp_path: Path, machine: Machine, python_base_layout: Path) -> Iterator[Programs]:
    (tmp_path / "here").mkdir()
    with serve(tmp_path / "wandb") as wandb:
        login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key}
        known = replace(machine, also=login)
        yield Programs(wandb, known, f"oci:{python_base_layout}", tmp_path / "here")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[GitServer]:
    with http_server(tmp_path / "served") as server:
        yield server


@pytest.mark.network
def test_a_code_job_of_wandb_job_create(programs: Programs, tmp_path: Path) -> None:
    source = tmp_path / "quick"
    (source / "pkg").mkdir(parents=True)
    for name, content in {**FILES, "pkg/x.txt": "x"}.items():
        (source / name).write_text(content)
    create = ("job", "create", "-p", "demo", "-e", "acme", "-n", "quick", "-r", "3.11")
    said = programs.theirs(
        str(WANDB), *create, "-E", "python script.py", "code", str(source), cwd=tmp_path
    )

    assert "Created job: acme/demo/quick:v0" in said, said
    shown = programs.ours("job", "describe", "wandb:acme/demo/quick")
    assert 'entry    ["python", "script.py"]' in shown.out
    assert "package  tomli 2.0.1" in shown.out
    assert programs.ran("wandb:acme/demo/quick") == "script.py"


@pytest.mark.registry
def test_an_image_job_of_wandb_job_create(
    programs: Programs, tmp_path: Path, python_base_layout: Path
) -> None:
    with running(tmp_path / "registry") as registry:
        image = _pushed(registry, python_base_layout)
        create = ("job", "create", "-p", "demo", "-e", "acme", "-a", "prod")
        programs.theirs(str(WANDB), *create, "-n", "job-x", "image", image, cwd=tmp_path)
        shown = programs.ours("job", "describe", "acme/demo/job-x:prod", "--json").document

    assert shown["wandb_job"]["source"] == {"image": image}
    assert set(shown["aliases"]) == {"v0", "main", "latest", "prod"}


def _pushed(registry: Running, layout: Path) -> str:
    image = f"{registry.address}/acme/x:main"
    push_layout(layout, image)
    return image


@pytest.mark.network
def test_the_automatic_jobs_of_runs(programs: Programs, served: GitServer, tmp_path: Path) -> None:
    of_jobs = {f"jobs/{name}": FILES[name] for name in ("train.py", "script.py")}
    served.commit("mono", of_jobs | {"requirements.txt": FILES["requirements.txt"]})
    checkout = tmp_path / "checkout"
    git(tmp_path, "clone", "--quiet", served.url("mono"), str(checkout))
    plain = tmp_path / "plain"
    plain.mkdir()
    for name, content in FILES.items():
        (plain / name).write_text(content)
    automatic = {"WANDB_DISABLE_JOB_CREATION": "false", "WANDB_PROJECT": "demo"}
    automatic["WANDB_ENTITY"] = "acme"
    programs.theirs(sys.executable, "jobs/train.py", cwd=checkout, **automatic)
    programs.theirs(sys.executable, "train.py", cwd=plain, code="yes", **automatic)
    names = programs.wandb.collections("acme/demo")
    (of_git,) = (name for name in names if "127.0.0.1" in name)
    (of_code,) = (name for name in names if "source-demo" in name)

    shown = programs.ours("job", "describe", f"wandb:acme/demo/{of_git}")
    assert "is taken for Python 3.11" in shown.err
    assert "taken for 'python'" in shown.err
    assert "input    lr number" in shown.out
    assert programs.ran(f"wandb:acme/demo/{of_git}") == "train.py"
    assert programs.ran(f"wandb:acme/demo/{of_code}") == "train.py"
