"""Aliases that wait: nothing names a version for what it is before its run has gone well."""

from __future__ import annotations

import html
import json
import shlex
from typing import Any

import pytest
from support.github_api import GitHubServer
from support.github_runner import StepResult
from support.program import Machine, failed, succeeded
from support.repositories import Work
from support.workflow import NAME, Workflow, aliased, good

pytest_plugins = ["support.action_fixtures", "support.program_fixtures"]
pytestmark = [pytest.mark.registry, pytest.mark.network]

SCRIPT = """\
import json, os, pathlib
metrics = {{"accuracy": {accuracy}}}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(metrics))
{more}
"""
GATE = "accuracy < 0.9"


def trained(accuracy: float, more: str = "") -> str:
    return SCRIPT.format(accuracy=accuracy, more=more)


@pytest.fixture
def flow(flow: Workflow) -> Workflow:
    """The workflow of each run with a gate on its metrics."""
    flow.inputs |= {"run": "true", "fail-if": GATE}
    return flow


def named(image: str) -> dict[str, str]:
    """The digest behind every alias but those of commits."""
    return {alias: str(version.digest) for alias, version in aliased(image).items()}


def held(step: StepResult) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(step.outputs["metadata"])["held"]
    return found


def bad(step: StepResult) -> StepResult:
    assert step.code == 1, step.raw
    return step


def test_a_release_whose_metrics_fail_the_gate_is_no_release(flow: Workflow) -> None:
    flow.work.commit({"train.py": trained(0.95)})
    first = good(flow.tag("v1.0.0"))
    assert first.outputs["tags"].split() == [
        f"sha-{flow.commit}", "v1.0.0", "v1.0", "v1", "latest"
    ]  # fmt: skip
    before = named(flow.image)
    assert before == dict.fromkeys(("v1.0.0", "v1.0", "v1", "latest"), first.outputs["job-digest"])

    flow.work.commit({"train.py": trained(0.5)})
    step = bad(flow.tag("v1.1.0"))

    assert named(flow.image) == before
    assert step.outputs["tags"].split() == [f"sha-{flow.commit}"]
    assert step.outputs["run-status"] == "succeeded"
    told = held(step)
    assert told["aliases"] == ["v1.1.0", "v1.1", "v1", "latest"]
    assert told["moved"] is False
    assert (
        f"aliases are not moved: v1.1.0, v1.1, v1, latest; by hand: {told['command']}" in step.raw
    )
    assert told["command"] in step.summary
    assert "the metrics gate failed" in step.summary

    # The command is what it says.
    words = shlex.split(told["command"])
    succeeded(flow.program(*words[1:]))
    after = named(flow.image)
    assert {after[alias] for alias in told["aliases"]} == {step.outputs["job-digest"]}
    assert after["v1.0.0"] == first.outputs["job-digest"]


def test_the_step_that_failed_is_run_again(flow: Workflow) -> None:
    """What a service answered wrongly the first time; the version is that of the first attempt."""
    flag = flow.root / "flag"
    more = f"import sys\nsys.exit(0 if pathlib.Path({str(flag)!r}).exists() else 3)"
    flow.work.commit({"train.py": trained(0.95, more)})
    first = bad(flow.tag("v1.0.0"))
    assert named(flow.image) == {}
    assert first.outputs["run-exit-code"] == "3"

    flag.touch()
    again = good(flow.tag("v1.0.0"))

    assert again.outputs["job-digest"] == first.outputs["job-digest"]
    assert again.outputs["cache-hit"] == "true"
    assert set(named(flow.image)) == {"v1.0.0", "v1.0", "v1", "latest"}
    assert held(again)["moved"] is True
    assert "not moved" not in again.summary


def test_a_release_waits_for_its_run_without_a_gate_too(flow: Workflow) -> None:
    flow.work.commit({"train.py": "raise SystemExit(4)\n"})

    bad(flow.tag("v1.0.0", fail_if=""))
    assert named(flow.image) == {}
    # Where nothing is run, nothing is waited for.
    good(flow.tag("v1.0.0", fail_if="", run="false"))
    assert set(named(flow.image)) == {"v1.0.0", "v1.0", "v1", "latest"}


def test_the_branch_s_alias_and_latest_wait_for_the_gate(flow: Workflow) -> None:
    flow.work.commit({"train.py": trained(0.95)})
    first = good(flow.push()).outputs["job-digest"]
    flow.work.commit({"train.py": trained(0.1)})

    bad(flow.push())
    assert named(flow.image) == {"main": first, "latest": first}
    # Without a gate the branch's version is what was pushed, however its run ends.
    flow.work.commit({"train.py": "raise SystemExit(4)\n"})
    step = bad(flow.push(fail_if=""))
    assert named(flow.image) == dict.fromkeys(("main", "latest"), step.outputs["job-digest"])


def test_a_preview_has_its_alias_at_once(flow: Workflow) -> None:
    flow.work.commit({"train.py": trained(0.1)})

    step = bad(flow.pull(7))

    assert named(flow.image) == {"pr-7": step.outputs["job-digest"]}
    assert "held" not in json.loads(step.outputs["metadata"])


def test_every_job_of_a_file_waits_for_its_own_run(flow: Workflow) -> None:
    del flow.inputs["entry-point"]
    flow.work.commit(
        {
            "launch.yaml": "defaults: {entry-point: python main.py}\n"
            "jobs:\n  good: {build-context: good}\n  bad: {build-context: bad}\n",
            "good/main.py": trained(0.95),
            "bad/main.py": trained(0.1),
        }
    )

    step = bad(flow.push())

    assert named(f"{flow.image}/bad") == {}
    assert set(named(f"{flow.image}/good")) == {"main", "latest"}
    assert f"{flow.image}/bad@" in step.summary
    assert f"promote {flow.image}/good@" not in step.summary

    bad(flow.tag("v1.0.0"))
    assert named(f"{flow.image}/bad") == {}
    assert set(named(f"{flow.image}/good")) == {"main", "latest", "v1.0.0", "v1.0", "v1"}


def test_the_page_of_a_release_names_what_held(flow: Workflow, github_api: GitHubServer) -> None:
    made = github_api.state.release(github_api.repository(NAME), "v1.0.0", "words")
    flow.also["GITHUB_API_URL"] = github_api.url
    flow.work.commit({"train.py": trained(0.1)})
    bad(flow.tag("v1.0.0"))
    assert made["body"] == "words"

    flow.work.commit({"train.py": trained(0.95)})
    step = good(flow.tag("v1.0.0"))

    assert step.outputs["job-digest"] in html.unescape(made["body"])
    assert f"launch-action run {flow.image}:v1.0.0" in made["body"]


def test_a_step_that_is_killed_in_its_run_has_moved_nothing(flow: Workflow) -> None:
    flow.work.commit(
        {"train.py": trained(0.95, "import time\nprint('at work', flush=True)\ntime.sleep(60)")}
    )
    runner = flow.runner("push", {"GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main"})
    with runner.started(flow.inputs) as step:
        step.wait_for("at work")
        step.process.kill()

    assert named(flow.image) == {}


def test_the_command_line_waits_where_it_has_a_gate(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    asked = ("launch", "-J", "train", "-r", "local-process", *options, "--json", "-a", "mine")
    work.commit({"train.py": trained(0.95)})
    good_one = succeeded(machine.run(*asked, "--fail-if", GATE, cwd=work.path)).document
    assert good_one["tags"] == [f"sha-{work.git('rev-parse', 'HEAD')}", "main", "latest", "mine"]
    work.commit({"train.py": trained(0.5)})

    plan = machine.run(*asked, "--fail-if", GATE, "--dry-run", cwd=work.path)
    steps = [(one["step"], one["detail"]) for one in succeeded(plan).document["plan"]]
    assert steps[-1] == ("alias", "main, latest, mine, if the run goes well")

    ended = failed(machine.run(*asked, "--fail-if", GATE, cwd=work.path), 1)
    command = ended.document["metadata"]["held"]["command"]
    assert command in ended.err
    ran = machine.run("run", "train:latest", "-r", "local-process", "--json", cwd=work.path)
    assert succeeded(ran).document["metrics"] == {"accuracy": 0.95}
    succeeded(machine.run(*shlex.split(command)[1:], cwd=work.path))
    ran = machine.run("run", "train:mine", "-r", "local-process", "--json", cwd=work.path)
    assert succeeded(ran).document["metrics"] == {"accuracy": 0.5}


def test_what_has_no_commit_has_no_alias_before_its_run(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    folder = machine.root.parent / "code"
    folder.mkdir()
    (folder / "train.py").write_text(trained(0.5))
    asked = ("launch", "--uri", str(folder), "-J", "train", "-r", "local-process", *options)

    ended = failed(machine.run(*asked, "--json", "--fail-if", GATE, cwd=work.path), 1)
    assert ended.document["tags"] == []
    command = shlex.split(ended.document["metadata"]["held"]["command"])
    assert command[-1] == "latest"
    assert "no job version" in failed(machine.run("run", "train", cwd=work.path), 6).error
    succeeded(machine.run(*command[1:], cwd=work.path))
    ran = machine.run("run", "train", "-r", "local-process", "--json", cwd=work.path)
    assert succeeded(ran).document["metrics"] == {"accuracy": 0.5}
    (folder / "train.py").write_text(trained(0.95))
    done = machine.run(*asked, "--json", "--fail-if", GATE, cwd=work.path)
    assert succeeded(done).document["tags"] == ["latest"]
