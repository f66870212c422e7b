"""What is sent to a queue, taken and run by W&B's own launch agent; and beside what W&B sends."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.program import Machine, succeeded
from support.repositories import Work, make_repository
from support.services import LocalRegistry
from support.wandb_agent import WANDB, agent, wandb_environment
from support.wandb_api.server import WandbServer, serve
from support.wandb_put import job_files, put_artifact
from support.wandb_queue import make_queue, queued
from support.wandb_sdk import VERSION

pytest_plugins = ["support.program_fixtures"]

TRAIN = """\
import sys, wandb
with wandb.init(config={"lr": 1.0, "kept": "yes"}) as run:
    run.log({"metric": run.config.lr / 2})
    print("in the container", run.id, sys.argv[1:], flush=True)
    if "--fail" in sys.argv:
        raise SystemExit("ValueError: no data")
"""
IMAGE = "registry.example.com/train@sha256:" + "a" * 64


@dataclass
class Bench:
    wandb: WandbServer
    machine: Machine
    directory: Path


@pytest.fixture
def bench(tmp_path: Path, machine: Machine) -> Iterator[Bench]:
    with serve(tmp_path / "wandb") as wandb:
        login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key, "WANDB_ENTITY": "acme"}
        yield Bench(wandb, replace(machine, also=login), tmp_path)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """A checkout whose job logs with the SDK."""
    made = make_repository(tmp_path_factory.mktemp("work") / "checkout")
    made.commit({
        "train.py": TRAIN, "requirements.txt": f"wandb=={VERSION}\n", "unique": os.urandom(8).hex()
    })  # fmt: skip
    return made


@pytest.mark.engine
@pytest.mark.registry
@pytest.mark.network
def test_the_real_agent_takes_a_launched_job_and_runs_it(
    bench: Bench, work: Work, registry: LocalRegistry, python_base: str
) -> None:
    make_queue(bench.wandb, "box", "local-container", arguments={"env": ["FROM_QUEUE=1"]})
    repository = f"{registry.address}/queue-agent"
    command = (
        "launch", "-E", "python train.py", "--python", "3.11", "--resolve-date", "latest",
        "--base-image", python_base, "--image", repository, "-p", "demo",
        "-q", "box", "--json", "--timeout", "150s", "--job-name", "train",
    )  # fmt: skip

    with agent(bench.wandb, "box", bench.directory / "agent") as log:
        good = bench.machine.run(*command, "--set", "lr=0.5", cwd=work.path, timeout=300)
        bad = bench.machine.run(*command, "--", "--fail", cwd=work.path)
    for ended in (good, bad):
        subprocess.run(
            ["docker", "image", "rm", "-f", str(ended.document["image"])], capture_output=True
        )

    assert good.code == 0, f"{good.err}\n{log.read_text()}"
    assert good.document["run_status"] == "succeeded"
    assert good.document["metrics"] == {"metric": 0.25}
    run = next(r for r in bench.wandb.runs("acme/demo") if r["name"] == good.document["run_id"])
    assert f"in the container {good.document['run_id']} []" in "".join(run["lines"]["output.log"])
    config = json.loads(run["config"])
    assert (config["lr"]["value"], config["kept"]["value"]) == (0.5, "yes")
    job = json.loads(bench.wandb.files("acme/demo/train-image:v0")["wandb-job.json"])
    assert job["source"]["image"] == good.document["image"]
    assert queued(bench.wandb, "box")[0]["runSpec"]["job"] == "acme/demo/train-image:v0"
    assert bad.code == 1, f"{bad.err}\n{log.read_text()}"
    assert bad.document["run_status"] == "failed"
    assert "ValueError: no data" in bad.err


@pytest.mark.engine
def test_what_the_real_agent_cannot_start_is_told_with_its_evidence(bench: Bench) -> None:
    make_queue(bench.wandb, "box", "local-container")
    put_artifact(
        bench.wandb, "acme/demo/gone", job_files("image", {"image": "127.0.0.1:9/no/image:v1"})
    )

    with agent(bench.wandb, "box", bench.directory / "agent") as log:
        ended = bench.machine.run(
            "run", "wandb:acme/demo/gone", "-q", "box", "--json", "--timeout", "2m",
            cwd=bench.directory,
        )  # fmt: skip

    assert ended.code == 1, f"{ended.err}\n{log.read_text()}"
    assert ended.document["run_status"] == "failed"
    assert (
        "the agent says (agent): Failed to pull docker image 127.0.0.1:9/no/image:v1" in ended.err
    )
    assert "Traceback" in ended.err.partition("the agent says")[2]
    assert queued(bench.wandb, "box")[0]["state"] == "FAILED"


@dataclass(frozen=True)
class Case:
    """The same request of both programs, after the name of the job."""

    theirs: tuple[str, ...]
    ours: tuple[str, ...]


CONFIG = {
    "overrides": {"run_config": {"lr": 0.1}, "args": ["--epochs", "3"], "files": {"a": {"b": 1}}},
    "author": "me",
    "builder": {"type": "noop"},
}
CASES = {
    "bare": Case((), ()),
    "config": Case(("-c", json.dumps(CONFIG)), ("-c", json.dumps(CONFIG))),
    "names": Case(("-p", "other", "--name", "first"), ("-p", "other", "--name", "first")),
    "entry point": Case(("-E", "python a.py --x 1"), ("-E", "python a.py --x 1")),
    "variables": Case(("-v", "gpus=2"), ("--set-var", "gpus=2")),
    "variables of the config": Case(
        ("-c", '{"template_variables": {"gpus": 3}}'), ("-c", '{"template_variables": {"gpus": 3}}')
    ),
    "resource": Case(("-r", "kubernetes"), ("--resource", "kubernetes")),
    "resource args": Case(
        ("-R", '{"kubernetes": {"spec": {"x": 1}}}'),
        ("--resource-args", '{"kubernetes": {"spec": {"x": 1}}}'),
    ),
    "priority": Case(("-P", "critical"), ("--priority", "critical")),
    "inputs": Case(
        ("-c", '{"overrides": {"run_config": {"lr": 0.1, "model": {"layers": 2}}}}'),
        ("--set", "lr=0.1", "--set", "model.layers=2"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_item_of_ours_is_that_of_wandb_launch(bench: Bench, name: str) -> None:
    gpus = {"type": "integer", "default": 1}
    make_queue(
        bench.wandb, "gpu", arguments={"gpus": "{{gpus}}"}, variables={"gpus": gpus},
        priorities=True,
    )  # fmt: skip
    put_artifact(bench.wandb, "acme/demo/train", job_files("image", {"image": IMAGE}))
    case = CASES[name]
    theirs = subprocess.run(
        [WANDB, "launch", "-j", "acme/demo/train:v0", "-q", "gpu", "-e", "acme", *case.theirs],
        cwd=bench.directory,
        env=wandb_environment(bench.wandb, bench.directory / "home"),
        capture_output=True,
        text=True,
    )
    assert theirs.returncode == 0, theirs.stderr
    succeeded(bench.machine.run(
        "run", "wandb:acme/demo/train:v0", "-q", "gpu", "--async", *case.ours, cwd=bench.directory
    ))  # fmt: skip

    pushed = [one.variables for one in bench.wandb.asked if one.name == "pushToRunQueueByName"]
    first, second = ({**one, "runSpec": json.loads(one["runSpec"])} for one in pushed)
    # What makes ours be found again.
    assert second["runSpec"].pop("run_id")
    for one in (first, second):
        one["templateVariableValues"] = json.loads(one.get("templateVariableValues") or "{}")
    assert second == first
