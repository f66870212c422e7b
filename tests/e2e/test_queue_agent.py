"""What is sent to a queue, taken and run by W&B's own launch agent; and beside what W&B sends."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.program import Machine, succeeded
from support.repositories import make_repository
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
def image(
    tmp_path_factory: pytest.TempPathFactory,
    shared_cache: Path,
    registry: LocalRegistry,
    python_base: str,
) -> Iterator[str]:
    """An image in a registry, with the SDK among its packages."""
    top = tmp_path_factory.mktemp("job")
    work = make_repository(top / "checkout")
    work.commit({
        "train.py": TRAIN, "requirements.txt": f"wandb=={VERSION}\n", "unique": os.urandom(8).hex()
    })  # fmt: skip
    built = succeeded(Machine(top / "machine", shared_cache).run(
        "build", "-E", "python train.py", "--python", "3.11", "--resolve-date", "latest",
        "--base-image", python_base, "--image", f"{registry.address}/queue-agent", "--json",
        cwd=work.path,
    )).document  # fmt: skip
    yield str(built["image"])
    subprocess.run(["docker", "image", "rm", "-f", built["image"]], capture_output=True)


@pytest.mark.engine
@pytest.mark.registry
@pytest.mark.network
def test_the_real_agent_takes_an_item_and_runs_it(bench: Bench, image: str) -> None:
    make_queue(bench.wandb, "box", "local-container", arguments={"env": ["FROM_QUEUE=1"]})
    put_artifact(bench.wandb, "acme/demo/train", job_files("image", {"image": image}))
    command = ("run", "wandb:acme/demo/train", "-q", "box", "--json", "--timeout", "3m")

    with agent(bench.wandb, "box", bench.directory / "agent") as log:
        good = bench.machine.run(*command, "--set", "lr=0.5", cwd=bench.directory)
        bad = bench.machine.run(*command, "--", "--fail", cwd=bench.directory)

    assert good.code == 0, f"{good.err}\n{log.read_text()}"
    assert good.document["run_status"] == "succeeded"
    assert good.document["metrics"] == {"metric": 0.25}
    assert f"in the container {good.document['run_id']} []" in log.read_text()
    run = next(r for r in bench.wandb.runs("acme/demo") if r["name"] == good.document["run_id"])
    config = json.loads(run["config"])
    assert (config["lr"]["value"], config["kept"]["value"]) == (0.5, "yes")
    assert bad.code == 1, f"{bad.err}\n{log.read_text()}"
    assert bad.document["run_status"] == "failed"
    assert "ValueError: no data" in bad.err
