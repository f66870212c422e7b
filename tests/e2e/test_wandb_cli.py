"""The real programs of W&B and ours: each reads and runs the jobs that the other made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.git_remotes import GitServer, http_server
from support.program import Ended, Machine, succeeded
from support.registry import Running, running
from support.repositories import git, make_repository
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


# Ours, read by theirs.

# A docker that keeps what it is told, and the build context that it is given.
DOCKER = """\
#!/bin/sh
printf '%s\\n' -- "$@" >> "$DOCKER_LOG/commands"
case "$1 $2" in
"image inspect") exit 1 ;;
esac
if test "$1" = build || test "$2" = build; then
    for last; do :; done
    cp "$last/Dockerfile.wandb" "$DOCKER_LOG/"
    (cd "$last" && find . -type f | sort) > "$DOCKER_LOG/context"
fi
"""


@dataclass
class Launched:
    """What `wandb launch` did with its docker."""

    said: str
    folder: Path

    @property
    def run(self) -> list[str]:
        """The command line of the container."""
        commands = (self.folder / "commands").read_text().split("--\n")
        return next(one.splitlines() for one in commands if one.startswith("run\n"))

    def variable(self, name: str) -> str:
        return next(w.removeprefix(f"{name}=") for w in self.run if w.startswith(f"{name}="))


def launched(programs: Programs, job: str, folder: Path, **environment: str) -> Launched:
    """Start a job by `wandb launch`, as far as to docker's command line."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/docker").write_text(DOCKER)
    (folder / "bin/docker").chmod(0o755)
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    said = programs.theirs(
        str(WANDB), "launch", "-j", job, "-p", "demo", "-e", "acme", "-r", "local-container",
        "-c", '{"overrides": {"run_config": {"lr": 0.5}}}', cwd=folder,
        PATH=path, DOCKER_LOG=str(folder), **environment,
    )  # fmt: skip
    return Launched(said, folder)


def built(programs: Programs, *arguments: str, cwd: Path) -> str:
    """Build and register a job; its version at W&B."""
    also = {**programs.machine.also, "WANDB_PROJECT": "demo", "WANDB_ENTITY": "acme"}
    ended = succeeded(
        replace(programs.machine, also=also).run(
            *arguments, "--python", "3.11", "--base-image", programs.base, "--json", cwd=cwd
        )
    )
    assert "W&B has acme/demo/" in ended.err, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("W&B has ")]
    return lines[-1].removeprefix("W&B has ")


@pytest.mark.network
def test_our_git_job_is_described_listed_and_launched(programs: Programs, tmp_path: Path) -> None:
    work = make_repository(tmp_path / "checkout")  # of https://github.com/acme/mono.git
    work.commit({"jobs/hello.py": "print(1)\n", "requirements.txt": "tomli==2.0.1\n"})
    bare = tmp_path / "served/mono.git"
    bare.parent.mkdir()
    git(tmp_path, "clone", "--quiet", "--mirror", str(work.path), str(bare))
    job = built(programs, "build", "-E", "python jobs/hello.py", "--no-check-remote", cwd=work.path)

    listed = programs.theirs(str(WANDB), "job", "list", "-p", "demo", "-e", "acme", cwd=tmp_path)
    described = programs.theirs(str(WANDB), "job", "describe", job, cwd=tmp_path)
    with http_server(tmp_path / "served") as server:
        found = launched(
            programs, job, tmp_path / "launched", GIT_CONFIG_COUNT="1",
            GIT_CONFIG_KEY_0=f"url.{server.url('')}.insteadOf",
            GIT_CONFIG_VALUE_0="https://github.com/acme/",
        )  # fmt: skip

    name = job.removeprefix("acme/demo/").partition(":")[0]
    assert f"{name} -- versions" in listed
    assert "source_type: repo" in described
    assert "_launch_action" not in described
    assert found.run[-1] == "jobs/hello.py"
    assert found.run[found.run.index("--entrypoint") + 1] == "python"
    assert found.variable("WANDB_CONFIG") == '{"lr": 0.5}'
    assert json.loads(found.variable("WANDB_ARTIFACTS")) == {"_wandb_job": job}
    assert "./src/jobs/hello.py" in (found.folder / "context").read_text()
    assert "FROM python:3.11" in (found.folder / "Dockerfile.wandb").read_text()


@pytest.mark.network
def test_our_code_job_is_launched_with_its_code(programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "quick/pkg").mkdir(parents=True)
    (tmp_path / "quick/main.py").write_text("print(1)\n")
    (tmp_path / "quick/pkg/x.txt").write_text("x")
    job = built(programs, "build", "-u", "quick", "-E", "python main.py --fast", cwd=tmp_path)

    found = launched(programs, job, tmp_path / "launched")

    assert found.run[-2:] == ["main.py", "--fast"]
    context = (found.folder / "context").read_text().splitlines()
    assert {"./src/main.py", "./src/pkg/x.txt"} <= set(context)


@pytest.mark.registry
def test_our_image_job_is_launched_by_digest(
    programs: Programs, tmp_path: Path, python_base_layout: Path
) -> None:
    also = {**programs.machine.also, "WANDB_PROJECT": "demo", "WANDB_ENTITY": "acme"}
    machine = replace(programs.machine, also=also)
    with running(tmp_path / "registry") as registry:
        image = _pushed(registry, python_base_layout)
        made = succeeded(machine.run("job", "create", "image", image, cwd=tmp_path))
    job = next(line for line in made.err.splitlines() if line.startswith("W&B has "))

    found = launched(programs, job.removeprefix("W&B has "), tmp_path / "launched")

    assert found.run[-1].startswith(f"{image.removesuffix(':main')}@sha256:")
    assert found.variable("WANDB_DOCKER") == found.run[-1]


@pytest.mark.network
def test_what_is_from_w_and_b_does_not_go_back_there_unasked(
    programs: Programs, tmp_path: Path
) -> None:
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick/main.py").write_text("print(1)\n")
    job = built(programs, "build", "-u", "quick", "-E", "python main.py", cwd=tmp_path)
    also = {**programs.machine.also, "WANDB_PROJECT": "demo", "WANDB_ENTITY": "acme"}
    known = replace(programs, machine=replace(programs.machine, also=also))

    again = known.ours("build", f"wandb:{job}", "--base-image", programs.base)
    ran = known.ours("run", f"wandb:{job}", "-r", "local-process")

    name = job.rpartition(":")[0]
    assert len(programs.wandb.versions(name)) == 1
    assert "W&B has acme" not in again.err + ran.err
