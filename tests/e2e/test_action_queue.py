"""The action sends jobs to a queue: once for a workflow, and takes back what is cancelled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support import github_events as events
from support.action_scene import Scene
from support.github_events import Event
from support.github_payloads import Commits
from support.github_runner import Runner, StepResult
from support.wandb_api.server import WandbServer, serve
from support.wandb_queue import Hand, make_queue, queued

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]


Maker = Callable[[Commits], Event]


@dataclass
class Bench:
    wandb: WandbServer
    scene: Scene
    inputs: dict[str, str]

    def runner(self, event: Maker, **variables: str) -> Runner:
        found = self.scene.at(event)
        login = {"WANDB_BASE_URL": self.wandb.url, "WANDB_ENTITY": "acme"}
        return replace(found, also={**found.also, **login, **variables})

    def run(self, event: Maker, options: str = "detach", **variables: str) -> StepResult:
        more = f"{self.inputs['build-options']}\n{options}"
        result = self.runner(event, **variables).run({**self.inputs, "build-options": more})
        assert result.code == 0, result.raw
        return result


@pytest.fixture
def bench(tmp_path: Path, scene: Scene, inputs: dict[str, str]) -> Iterator[Bench]:
    with serve(tmp_path / "wandb") as wandb:
        make_queue(wandb, "gpu", "kubernetes")
        options = inputs["build-options"].replace("\nresource=local-process", "")
        given = {
            **inputs, "build-options": options, "queue": "gpu", "project": "demo",
            "wandb-api-key": wandb.key, "comment": "false",
        }  # fmt: skip
        yield Bench(wandb, scene, given)


def test_a_workflow_that_is_run_again_has_one_item(bench: Bench) -> None:
    first = bench.run(events.dispatch)
    again = bench.run(events.dispatch, GITHUB_RUN_ATTEMPT="2")
    other = bench.run(events.dispatch, GITHUB_RUN_ID="7002")

    assert first.outputs["run-status"] == "running"
    assert first.outputs["run-id"] == again.outputs["run-id"] != other.outputs["run-id"]
    assert first.outputs["run-url"].endswith(f"/acme/demo/runs/{first.outputs['run-id']}")
    assert len(queued(bench.wandb, "gpu")) == 2
    assert "it is not sent again" in again.raw
    assert bench.wandb.key not in first.log.text


@pytest.mark.parametrize("event", [events.opened, events.branch], ids=["preview", "update"])
def test_a_preview_and_an_update_are_sent_too(bench: Bench, event: Maker) -> None:
    result = bench.run(event)

    (item,) = queued(bench.wandb, "gpu")
    assert item["runSpec"]["run_id"] == result.outputs["run-id"]


def test_an_outsider_s_event_sends_nothing(bench: Bench) -> None:
    result = bench.run(events.fork)

    assert result.outputs["run-status"] == "skipped"
    assert queued(bench.wandb, "gpu") == []
    assert bench.wandb.collections("acme/demo") == []


def test_a_run_is_followed_and_its_metrics_are_an_output(bench: Bench) -> None:
    with bench.runner(events.dispatch).started({**bench.inputs, "fail-if": "loss > 1"}) as step:
        step.wait_for("waits in queue")
        hand = Hand(bench.wandb, "gpu")
        item = hand.pop()
        assert item
        hand.claim(item)
        hand.run(item, "finished", summary={"loss": 0.5}, lines=["::error::said by the job"])
        result = step.result()

    assert result.code == 0, result.raw
    assert result.outputs["run-status"] == "succeeded"
    assert json.loads(result.outputs["metrics"]) == {"loss": 0.5}
    assert result.outputs["run-exit-code"] == ""
    assert result.outputs["run-url"] in result.summary


def test_what_a_failed_job_printed_is_no_command_of_a_workflow(bench: Bench) -> None:
    with bench.runner(events.dispatch).started(bench.inputs) as step:
        step.wait_for("waits in queue")
        hand = Hand(bench.wandb, "gpu")
        item = hand.pop()
        assert item
        hand.run(item, "failed", lines=["::error::said by the job", "ValueError: x"])
        result = step.result()

    assert result.code == 1, result.raw
    assert result.outputs["run-status"] == "failed"
    assert "ValueError: x" in result.raw
    assert "said by the job" not in result.log.of("error")


@pytest.mark.parametrize("keep", [False, True], ids=["stop", "keep"])
def test_a_cancelled_workflow_takes_its_item_back_unless_it_is_kept(
    bench: Bench, keep: bool
) -> None:
    options = bench.inputs["build-options"] + ("\non-cancel=keep" if keep else "")
    with bench.runner(events.dispatch).started({**bench.inputs, "build-options": options}) as step:
        step.wait_for("waits in queue")
        step.cancel()
        result = step.result()

    assert result.code in (130, 143), result.raw
    assert result.outputs["run-status"] == ("running" if keep else "cancelled")
    assert len(queued(bench.wandb, "gpu")) == (1 if keep else 0)
