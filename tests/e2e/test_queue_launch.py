"""A commit launched into a queue: refused before it is built, or pushed, registered and sent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from support.program import Ended, Machine, failed, succeeded
from support.repositories import Work
from support.services import LocalRegistry, push_layout
from support.wandb_agent import WANDB, wandb_environment
from support.wandb_api.server import WandbServer, serve
from support.wandb_queue import Hand, make_queue, queued

pytest_plugins = ["support.program_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]


@dataclass
class Bench:
    """A checkout, a registry, and a W&B server with queues."""

    wandb: WandbServer
    machine: Machine
    work: Work
    registry: LocalRegistry
    repository: str
    options: tuple[str, ...]

    @property
    def image(self) -> str:
        return f"{self.registry.address}/{self.repository}"

    def launch(self, *arguments: str, **environment: str) -> Ended:
        also = {**self.machine.also, **environment}
        machine = replace(self.machine, also=also)
        command = ("launch", *self.options, "-E", "python train.py", "--job-name", "train")
        return machine.run(*command, *arguments, cwd=self.work.path)

    def send(self, *arguments: str, **environment: str) -> dict[str, Any]:
        command = ("--image", self.image, "-p", "demo", "-q", "gpu", "--async", "--json")
        found: dict[str, Any] = succeeded(self.launch(*command, *arguments, **environment)).document
        return found

    def untouched(self) -> bool:
        """Whether nothing was pushed, stored, registered or sent."""
        with urlopen(f"http://{self.registry.address}/v2/_catalog") as answer:
            known = json.load(answer)["repositories"]
        stored = list(self.machine.store.iterdir()) if self.machine.store.exists() else []
        return (
            self.repository not in known
            and not stored
            and not self.wandb.collections("acme/demo")
            and not queued(self.wandb, "gpu")
        )


@pytest.fixture
def bench(
    tmp_path: Path,
    machine: Machine,
    work: Work,
    options: tuple[str, ...],
    registry: LocalRegistry,
    request: pytest.FixtureRequest,
) -> Iterator[Bench]:
    work.commit({"train.py": "print('hello')\n", "requirements.txt": ""})
    with serve(tmp_path / "wandb") as wandb:
        make_queue(wandb, "gpu", "local-container", variables={"gpus": {"type": "integer"}})
        make_queue(wandb, "process", "local-process")
        login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key, "WANDB_ENTITY": "acme"}
        known = replace(machine, also=login)
        repository = f"queue/{abs(hash(request.node.name)) % 10**9}"
        yield Bench(wandb, known, work, registry, repository, options)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("-q", "gpu", "-p", "demo"), 2, "stays in a directory of this machine"),
        (("-q", "gpu", "-p", "demo", "--image", "IMAGE", "--no-push"), 2, "nothing is pushed"),
        (("-q", "gpu", "--image", "IMAGE"), 2, "no project is known for it"),
        (("-q", "gup", "-p", "demo", "--image", "IMAGE"), 2, "'acme' has no queue 'gup'"),
        (("-q", "gpu", "-p", "demo", "--image", "IMAGE", "-v", "gpu=1"), 2, "variable 'gpu'"),
        (("-q", "gpu", "-p", "demo", "--image", "IMAGE", "-v", "gpus=x"), 2, "type integer"),
        (
            ("-q", "gpu", "-p", "demo", "--image", "IMAGE", "--wandb-register", "off"),
            2,
            "the job is not registered",
        ),
        (("-r", "kubernetes", "--image", "IMAGE"), 2, "reached through a W&B Launch queue"),
        (("-r", "sagemaker", "--async"), 2, "reached through a W&B Launch queue"),
        (("-q", "process", "-p", "demo", "-d", "python:3.12"), 2, "runs jobs as processes"),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_made(
    bench: Bench, arguments: tuple[str, ...], code: int, said: str
) -> None:
    given = [bench.image if one == "IMAGE" else one for one in arguments]

    assert said in failed(bench.launch(*given), code).error
    assert bench.untouched()


@pytest.mark.parametrize("status", [401, 403, 503])
def test_a_server_that_refuses_is_told_before_anything_is_made(bench: Bench, status: int) -> None:
    bench.wandb.fail(".*", status=status)
    ended = bench.launch("-q", "gpu", "-p", "demo", "--image", bench.image)
    bench.wandb.mend()

    assert str(status) in failed(ended, 8).error
    assert bench.untouched()


def test_a_dry_run_shows_the_queue_and_makes_nothing(bench: Bench) -> None:
    command = ("--image", bench.image, "-p", "demo", "-q", "gpu", "-v", "gpus=2", "--dry-run")
    ended = succeeded(bench.launch(*command, "--json"))

    assert ended.document["plan"][-1] == {"step": "queue", "detail": "acme/gpu, local-container"}
    assert bench.untouched()


def test_a_commit_is_sent_as_its_image_once_for_a_workflow(bench: Bench) -> None:
    found = bench.send("--set-var", "gpus=2", "--description", "what it does", GITHUB_RUN_ID="7")
    again = bench.send("--set-var", "gpus=2", GITHUB_RUN_ID="7", GITHUB_RUN_ATTEMPT="2")
    bench.work.commit({"README": "another"})
    other = bench.send("--set-var", "gpus=2", GITHUB_RUN_ID="7")

    first, second = queued(bench.wandb, "gpu")
    assert again["run_id"] == found["run_id"] == first["runSpec"]["run_id"]
    assert other["run_id"] == second["runSpec"]["run_id"]
    assert first["runSpec"]["job"] == "acme/demo/train-image:v0"
    files = bench.wandb.files("acme/demo/train-image:v0")
    assert json.loads(files["wandb-job.json"])["source"] == {
        "image": found["image"],
        "entrypoint": ["python", "train.py"],
    }
    assert found["image"].startswith(f"{bench.image}@sha256:")
    assert sorted(bench.wandb.collections("acme/demo")) == ["train", "train-image"]
    assert bench.wandb.versions("acme/demo/train-image")[0]["description"] == "what it does"


def test_what_is_registered_is_queued_by_w_b_s_own_command_too(bench: Bench) -> None:
    """`wandb launch --queue` of both forms, also by an alias, as of its own jobs."""
    bench.send("--service", "redis=always")
    jobs = [f"acme/demo/{name}" for name in ("train:latest", "train-image:v0")]
    for job in jobs:
        queue = ("launch", "-j", job, "-q", "gpu", "-e", "acme", "-p", "demo", "-v", "gpus=2")
        done = subprocess.run(
            [WANDB, *queue], cwd=bench.work.path, capture_output=True, text=True,
            env=wandb_environment(bench.wandb, bench.work.path.parent / "home"), timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    _, *theirs = queued(bench.wandb, "gpu")
    assert [one["runSpec"]["job"] for one in theirs] == jobs


def test_processes_get_the_blueprint(bench: Bench) -> None:
    command = ("--image", bench.image, "-p", "demo", "-q", "process", "--async")
    succeeded(bench.launch(*command))

    assert queued(bench.wandb, "process")[0]["runSpec"]["job"] == "acme/demo/train:v0"


def test_a_queue_gets_the_blueprint_where_that_is_asked_for(bench: Bench) -> None:
    found = bench.send("--wandb-register", "blueprint")

    (item,) = queued(bench.wandb, "gpu")
    assert item["runSpec"]["job"] == found["wandb_job"] == "acme/demo/train:v0"
    assert bench.wandb.collections("acme/demo") == ["train"]
    document = json.loads(bench.wandb.files("acme/demo/train:v0")["wandb-job.json"])
    assert document["source_type"] == "repo"


def test_an_existing_version_is_registered_and_sent(bench: Bench) -> None:
    built = succeeded(bench.launch("--image", bench.image, "-r", "local-process", "--json"))
    job = built.document["job"]
    sent = succeeded(bench.machine.run(
        "run", job, "-p", "demo", "-q", "gpu", "--async", "-E", "python train.py --fast", "--json",
        cwd=bench.work.path,
    ))  # fmt: skip

    (item,) = queued(bench.wandb, "gpu")
    assert item["runSpec"]["overrides"] == {"entry_point": ["python", "train.py", "--fast"]}
    assert item["runSpec"]["job"] == "acme/demo/train-image:v0"
    assert sent.document["job"] == job
    assert "start the job's own entry point" in sent.err


def test_an_image_as_it_is_is_registered_and_sent_by_its_digest(
    bench: Bench, python_base_layout: Path
) -> None:
    image = f"{bench.registry.address}/queue/of-image:main"
    push_layout(python_base_layout, image)
    command = ("launch", "-d", image, "-J", "train", "-p", "demo", "-q", "gpu", "--async", "--json")
    ended = succeeded(bench.machine.run(
        *command, "--service", "redis=always", "-E", "python -V", cwd=bench.work.path
    ))  # fmt: skip

    (item,) = queued(bench.wandb, "gpu")
    assert item["runSpec"]["job"] == ended.document["wandb_job"] == "acme/demo/train:v0"
    document = json.loads(bench.wandb.files("acme/demo/train:v0")["wandb-job.json"])
    assert document["source"]["image"].startswith(f"{image.removesuffix(':main')}@sha256:")
    assert document["source"]["entrypoint"] == ["python", "-V"]
    assert document["services"] == {"redis": "always"}


def test_what_a_queue_gets_has_the_services_of_the_job(bench: Bench) -> None:
    bench.send("--service", "redis=always")

    for name in ("train", "train-image"):
        document = json.loads(bench.wandb.files(f"acme/demo/{name}:v0")["wandb-job.json"])
        assert document["services"] == {"redis": "always"}


def test_a_version_of_this_machine_is_not_sent(bench: Bench) -> None:
    succeeded(bench.launch("-r", "local-process"))
    ended = bench.machine.run("run", "train", "-p", "demo", "-q", "gpu", cwd=bench.work.path)

    assert "is in a directory of this machine" in failed(ended, 2).error
    assert bench.wandb.collections("acme/demo") == []


def test_a_run_that_ends_while_it_is_waited_for(bench: Bench) -> None:
    sent = bench.send()
    hand = Hand(bench.wandb, "gpu")
    item = hand.pop()
    assert item
    hand.run(item, "finished", summary={"loss": 0.5})
    command = ("--image", bench.image, "-p", "demo", "-q", "gpu", "--json", "--fail-if", "loss > 1")
    ended = succeeded(bench.launch(*command))

    assert ended.document["run_id"] == sent["run_id"]
    assert ended.document["metrics"] == {"loss": 0.5}
    assert ended.document["cache_hit"]
