"""Jobs sent to W&B Launch queues: checked first, sent once, followed, taken back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from select import select
from typing import Any

import pytest
from support.program import Ended, Machine, failed, succeeded
from support.wandb_api.server import WandbServer, serve
from support.wandb_put import job_files, put_artifact
from support.wandb_queue import Hand, make_queue, queued

pytest_plugins = ["support.program_fixtures"]

JOB = "wandb:acme/demo/train"
IMAGE = "registry.example.com/train@sha256:" + "a" * 64
SCHEMA = {"type": "object", "properties": {"lr": {"type": "number", "maximum": 1}}}
VARIABLES = {"gpus": {"type": "integer", "minimum": 1, "maximum": 8, "default": 1}}


@dataclass
class Bench:
    """A user's machine that knows a W&B server with an image job and queues."""

    wandb: WandbServer
    machine: Machine
    directory: Path

    def run(self, *arguments: str, **environment: str) -> Ended:
        return self.known(environment).run(*arguments, cwd=self.directory)

    def known(self, environment: dict[str, str]) -> Machine:
        return replace(self.machine, also={**self.machine.also, **environment})

    def send(self, *more: str, **environment: str) -> dict[str, Any]:
        ended = self.run("run", JOB, "-q", "gpu", "--async", "--json", *more, **environment)
        found: dict[str, Any] = succeeded(ended).document
        return found

    @property
    def items(self) -> list[dict[str, Any]]:
        return queued(self.wandb, "gpu")

    @contextmanager
    def started(self, *arguments: str) -> Iterator[Followed]:
        with self.machine.started(*arguments, cwd=self.directory) as child:
            yield Followed(child, Hand(self.wandb, "gpu"))


@dataclass
class Followed:
    """A run of the program that waits for a queue."""

    child: subprocess.Popen[bytes]
    hand: Hand
    told: bytes = b""

    def says(self, text: str) -> None:
        """Wait until the program has told this."""
        assert self.child.stderr
        while text.encode() not in self.told:
            assert select([self.child.stderr], [], [], 60)[0], self.told
            more = os.read(self.child.stderr.fileno(), 65536)
            assert more, self.told
            self.told += more

    def item(self) -> dict[str, Any]:
        """The item, once it is there, taken as an agent does."""
        found: dict[str, Any] = wait_for(self.hand.pop)
        return found

    def end(self) -> tuple[int, str, str]:
        out, err = self.child.communicate(timeout=60)
        return self.child.returncode, out.decode(), (self.told + err).decode()


def wait_for(what: Callable[[], Any], seconds: float = 30) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, what
        time.sleep(0.05)
    return found


@pytest.fixture
def bench(tmp_path: Path, machine: Machine) -> Iterator[Bench]:
    (tmp_path / "here").mkdir()
    with serve(tmp_path / "wandb") as wandb:
        make_queue(wandb, "gpu", arguments={"gpus": "{{gpus}}"}, variables=VARIABLES)
        strict = {"tier": {"type": "string"}}
        make_queue(wandb, "strict", arguments={"tier": "{{tier}}"}, variables=strict)
        put_artifact(
            wandb,
            "acme/demo/train",
            job_files("image", {"image": IMAGE}),
            metadata={"input_schemas": {"@wandb.config": SCHEMA}},
        )
        login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key, "WANDB_ENTITY": "acme"}
        yield Bench(wandb, replace(machine, also=login), tmp_path / "here")


def test_a_job_is_sent_and_not_waited_for(bench: Bench) -> None:
    found = bench.send("--set", "lr=0.5", "--set-var", "gpus=2", "--name", "first", "--", "--fast")

    (item,) = bench.items
    assert item["runSpec"] == {
        "job": "acme/demo/train:v0",
        "entity": "acme",
        "project": "demo",
        "docker": {},
        "git": {},
        "name": "first",
        "overrides": {"run_config": {"lr": 0.5}, "args": ["--fast"]},
        "resource": "kubernetes",
        "resource_args": {"kubernetes": {"gpus": 2}},
        "run_id": found["run_id"],
    }
    assert found["run_status"] == "running"
    assert found["run_url"] == f"{bench.wandb.url}/acme/demo/runs/{found['run_id']}"
    assert found["metadata"]["queue"] == "acme/gpu"
    assert found["wandb_job"] == item["runSpec"]["job"]
    assert found["wandb_job_url"].endswith("/artifacts/job/train/v0")
    assert found["metadata"]["queue_item"] == item["id"]


def test_a_run_is_waited_for_and_its_summary_is_its_metrics(bench: Bench) -> None:
    with bench.started("run", JOB, "-q", "gpu", "--json", "--fail-if", "loss > 1") as followed:
        item = followed.item()
        followed.hand.claim(item)
        followed.hand.run(item)
        followed.says("is running as")
        followed.hand.run(item, "finished", summary={"loss": 0.25, "_step": 4})
        code, out, err = followed.end()

    document = json.loads(out)
    assert code == 0, err
    assert document["run_status"] == "succeeded"
    assert document["metrics"] == {"loss": 0.25}
    assert document["run_exit_code"] is None
    assert document["metadata"]["gate"][0]["condition"] == "loss > 1"
    assert "is running as" in err
    assert f"{bench.wandb.url}/acme/demo/runs/{document['run_id']}" in err


def test_a_failed_run_is_exit_code_1_with_the_end_of_its_log(bench: Bench) -> None:
    with bench.started("run", JOB, "-q", "gpu") as followed:
        item = followed.item()
        followed.hand.claim(item)
        followed.hand.run(item, "failed", lines=["Traceback", "ValueError: no data \x1b[31m"])
        code, out, err = followed.end()

    assert code == 1, err
    assert "ValueError: no data" in out
    run_id = bench.items[0]["runSpec"]["run_id"]
    assert f"run      {run_id} failed" in out
    assert f"page     {bench.wandb.url}/acme/demo/runs/{run_id}" in out
    assert "exit code None" not in out


def test_the_metrics_gate_holds_for_a_queued_run(bench: Bench) -> None:
    with bench.started("run", JOB, "-q", "gpu", "--fail-if", "loss > 1") as followed:
        item = followed.item()
        followed.hand.run(item, "finished", summary={"loss": 2})
        code, _, err = followed.end()

    assert code == 1
    assert "loss" in err


@pytest.mark.parametrize(
    ("arguments", "code", "said", "hint"),
    [
        (("-q", "gpus"), 2, "'acme' has no queue 'gpus'", "did you mean gpu"),
        (("-q",), 2, "'acme' has no queue 'default'", "it has: gpu, strict"),
        (("-q", "gpu", "-e", "nobody"), 2, "'nobody' has no queue 'gpu'", "make one"),
        (("-q", "gpu", "-c", '{"entity": "nobody"}'), 2, "'nobody' has no queue 'gpu'", "make one"),
        (("-q", "gpu", "-v", "gpu=2"), 2, "no template variable 'gpu'", "did you mean 'gpus'"),
        (("-q", "strict"), 2, "wants a value of 'tier'", "--set-var tier="),
        (("-q", "gpu", "-v", "gpus=9"), 2, "'gpus' cannot be 9", "at most 8"),
        (("-q", "gpu", "-p", "a/b"), 2, "not a W&B project: 'a/b'", "1 to 128 characters"),
        (("-q", "gpu", "-r", "sagemaker"), 2, "runs jobs on kubernetes, not on", "--resource"),
        (("-q", "gpu", "-P", "high"), 2, "queue 'gpu' has no priorities", "--priority"),
        (("-q", "gpu", "--env", "A=b"), 2, "no environment of ours: --env A", "--resource-args"),
        (("-q", "gpu", "--async", "--timeout", "1m"), 2, "nobody is there", "--timeout"),
        (("-q", "gpu", "--set", "lr=2"), 2, "lr", ""),
        (("-q", "gpu", "-c", '{"uri": "x"}'), 2, "has 'uri'", "leave 'uri' out"),
        (("-r", "kubernetes"), 2, "kubernetes is reached through a W&B Launch queue", "--queue"),
        (("-r", "sagemaker"), 2, "sagemaker is reached through a W&B Launch queue", "--queue"),
        (("-r", "gcp-vertex"), 2, "gcp-vertex is reached through a W&B Launch", "--queue"),
        (("-P", "high"), 2, "--priority is for a queue", "--queue"),
        (("-v", "gpus=2"), 2, "--set-var fills in template variables of a queue", "--set"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(
    bench: Bench, arguments: tuple[str, ...], code: int, said: str, hint: str
) -> None:
    ended = failed(bench.run("run", JOB, *arguments), code)

    assert said in ended.error
    assert hint in ended.hint
    assert bench.items == []


def test_queues_of_one_name_are_told_apart_by_their_entity(bench: Bench) -> None:
    """The job stays where it is: it is the run that is of the queue's entity."""
    make_queue(bench.wandb, "gpu", "local-container", entity="me")
    make_queue(bench.wandb, "ünï q")
    bench.send("-e", "me")
    bench.send("-q", "ünï q")

    assert bench.items == []
    (mine,) = queued(bench.wandb, "gpu", "me")
    (odd,) = queued(bench.wandb, "ünï q")
    assert (mine["runSpec"]["job"], mine["runSpec"]["entity"]) == ("acme/demo/train:v0", "me")
    assert odd["runSpec"]["entity"] == "acme"


def test_a_bare_queue_before_the_job_is_told(bench: Bench) -> None:
    ended = failed(bench.run("run", "--queue", JOB), 2)

    assert "required: JOB" in ended.error
    assert "write JOB before it" in ended.hint


def test_a_queue_without_a_key_or_a_server_is_told(bench: Bench) -> None:
    without = failed(bench.run("run", JOB, "-q", "gpu", WANDB_API_KEY=""), 2)
    wrong = failed(bench.run("run", JOB, "-q", "gpu", WANDB_API_KEY="x" * 40), 8)
    bench.wandb.stop()
    down = failed(bench.run("run", JOB, "-q", "gpu"), 8)

    assert "there is no key for it" in without.error
    assert "does not take the key" in wrong.error
    assert "W&B cannot be reached" in down.error


def test_a_workflow_that_is_run_again_sends_nothing_twice(bench: Bench) -> None:
    first = bench.send(GITHUB_RUN_ID="7", GITHUB_RUN_ATTEMPT="1")
    again = bench.send(GITHUB_RUN_ID="7", GITHUB_RUN_ATTEMPT="2")

    assert len(bench.items) == 1
    assert again["run_id"] == first["run_id"]
    assert again["metadata"]["queue_item"] == first["metadata"]["queue_item"]


@pytest.mark.parametrize("run", ["pending", "claimed", "running", "finished"])
def test_what_was_sent_before_is_followed_wherever_it_is(bench: Bench, run: str) -> None:
    first = bench.send()
    hand = Hand(bench.wandb, "gpu")
    if run != "pending":
        item = hand.pop()
        assert item
        hand.claim(item)
        if run != "claimed":
            hand.run(item, run, summary={"loss": 1})
    again = bench.send()

    assert again["run_id"] == first["run_id"]
    assert len(bench.items) == 1


@pytest.mark.parametrize("end", ["failed", "crashed", "killed"])
def test_what_failed_before_is_sent_again_once(bench: Bench, end: str) -> None:
    first = bench.send()
    hand = Hand(bench.wandb, "gpu")
    item = hand.pop()
    assert item
    hand.claim(item)
    hand.run(item, end)
    second, third = bench.send(), bench.send()

    assert first["run_id"] != second["run_id"] == third["run_id"]
    assert len(bench.items) == 2


def test_what_an_agent_failed_is_sent_again(bench: Bench) -> None:
    first = bench.send()
    hand = Hand(bench.wandb, "gpu")
    item = hand.pop()
    assert item
    hand.fail(item, "no image")

    assert bench.send()["run_id"] != first["run_id"]


def test_another_run_of_the_workflow_other_inputs_and_force_are_other_items(bench: Bench) -> None:
    found = [
        bench.send(GITHUB_RUN_ID="7"),
        bench.send(GITHUB_RUN_ID="8"),
        bench.send("--set", "lr=0.5", GITHUB_RUN_ID="7"),
        bench.send("--force", GITHUB_RUN_ID="7"),
        bench.send("--force", GITHUB_RUN_ID="7"),
    ]

    assert len({one["run_id"] for one in found}) == 5
    assert len(bench.items) == 5


def test_a_succeeded_run_is_told_again_with_its_metrics(bench: Bench) -> None:
    bench.send()
    hand = Hand(bench.wandb, "gpu")
    item = hand.pop()
    assert item
    hand.run(item, "finished", summary={"loss": 1})
    found = succeeded(bench.run("run", JOB, "-q", "gpu", "--json"))

    assert found.document["run_status"] == "succeeded"
    assert found.document["metrics"] == {"loss": 1}
    assert "was sent before, and is succeeded" in found.err


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_an_interruption_takes_the_item_off_the_queue(bench: Bench, number: int, code: int) -> None:
    with bench.started("run", JOB, "-q", "gpu", "--json") as followed:
        followed.says("waits in queue")
        followed.child.send_signal(number)
        ended, out, err = followed.end()

    assert ended == code, err
    assert json.loads(out)["run_status"] == "cancelled"
    assert bench.items == []
    assert "was taken off queue 'gpu'" in err


@pytest.mark.parametrize("late", [False, True], ids=["at-once", "after-the-answer"])
def test_an_interruption_while_it_is_sent_leaves_no_item(bench: Bench, late: bool) -> None:
    """As a workflow's runner does it: a second signal follows, and no third is waited for."""
    fault = bench.wandb.fail("pushToRunQueueByName", 0, after=True, wait=2.0 if late else 0.3)
    with bench.started("run", JOB, "-q", "gpu", "--json") as followed:
        wait_for(lambda: fault.seen)
        followed.child.send_signal(signal.SIGINT)
        began = time.monotonic()
        time.sleep(1.0)
        if followed.child.poll() is None:
            followed.child.send_signal(signal.SIGTERM)
        ended, _, err = followed.end()

    assert ended in (130, 143), err
    assert time.monotonic() - began < 10
    time.sleep(1.5)
    assert bench.items == []


def test_an_interruption_stops_a_run_and_a_second_signal_does_not_hinder_it(bench: Bench) -> None:
    with bench.started("run", JOB, "-q", "gpu") as followed:
        item = followed.item()
        followed.hand.claim(item)
        followed.hand.run(item)
        followed.says("is running as")
        followed.child.send_signal(signal.SIGINT)
        time.sleep(0.05)
        followed.child.send_signal(signal.SIGTERM)
        ended, _, err = followed.end()

    assert ended in (130, 143), err
    assert bench.wandb.runs("acme/demo")[0]["stopped"]
    assert "was asked to stop" in err


def test_an_interruption_leaves_it_where_that_is_asked_for(bench: Bench) -> None:
    with bench.started("run", JOB, "-q", "gpu", "--on-cancel", "keep", "--json") as followed:
        followed.says("waits in queue")
        followed.child.send_signal(signal.SIGINT)
        ended, out, err = followed.end()

    assert ended == 130
    assert len(bench.items) == 1
    assert json.loads(out)["run_status"] == "running"
    assert "goes on: " in err


def test_a_timeout_takes_the_item_off_the_queue(bench: Bench) -> None:
    ended = bench.run("run", JOB, "-q", "gpu", "--timeout", "1s", "--json")

    assert ended.code == 1
    assert ended.document["run_status"] == "timeout"
    assert bench.items == []


def test_the_key_is_in_no_log_and_in_no_document(bench: Bench) -> None:
    ended = bench.run("run", JOB, "-q", "gpu", "--async", "--json", "--verbose")

    assert bench.wandb.key not in f"{ended.out}{ended.err}"
    assert bench.wandb.key not in json.dumps(bench.items)


def test_the_schema_types_what_is_sent(bench: Bench) -> None:
    bench.send("--set", "lr=1")

    assert bench.items[0]["runSpec"]["overrides"] == {"run_config": {"lr": 1}}
