"""A preview's deployment, told by the real program to a GitHub of the tests."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support import github_events as events
from support.action_scene import Scene, git
from support.github_api import Fault, GitHubServer, refused
from support.github_events import Event
from support.github_payloads import NUMBER, REPOSITORY, Commits
from support.github_runner import TOKEN, StepResult
from support.github_state import Repository

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]

JOB = "train"
LAUNCH = """\
jobs:
  train: {entry-point: python jobs/train.py}
  evaluate: {entry-point: python jobs/train.py --check, job-name: evaluate}
  broken: {entry-point: python train.py, build-context: gone}
"""


@pytest.fixture
def github(github_api: GitHubServer, scene: Scene) -> Repository:
    """The repository that the events are of, in the GitHub of the test, with its pull request."""
    assert github_api.token == TOKEN
    repository = github_api.repository(REPOSITORY)
    github_api.state.pull(repository, NUMBER, scene.commits.head)
    return repository


@pytest.fixture
def inputs(inputs: dict[str, str]) -> dict[str, str]:
    return inputs | {"deployment": "true", "job-name": JOB}


def run(
    scene: Scene,
    server: GitHubServer,
    inputs: dict[str, str],
    event: Callable[[Commits], Event] = events.synchronize,
) -> StepResult:
    runner = scene.at(event)
    return replace(runner, also={**runner.also, "GITHUB_API_URL": server.url}).run(inputs)


def warnings(result: StepResult) -> list[str]:
    """Those that are not of the job."""
    kinds = ("deploy", "GitHub", "token")
    return [one for one in result.log.of("warning") if any(kind in one for kind in kinds)]


def deployments(server: GitHubServer) -> int:
    return server.count(".*", "/deployments")


def test_a_preview_is_a_deployment(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    result = run(scene, github_api, inputs | {"environment": "previews", "run": "true"})

    assert result.code == 0, result.raw
    (made,) = github.deployments.values()
    assert made["sha"] == scene.commits.head
    assert made["environment"] == "previews"
    assert made["payload"] == {"pull_request": NUMBER, "job": JOB} | {"leg": made["payload"]["leg"]}
    assert github.states_of(made["id"]) == ["queued", "in_progress", "success"]
    last = github.statuses[made["id"]][-1]
    assert last["log_url"].endswith("/actions/runs/7001/attempts/1")
    assert last["description"] == "image built; run: succeeded"
    assert warnings(result) == []
    assert TOKEN not in result.log.text


def test_the_same_commit_again_is_the_same_deployment(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    for _ in range(2):
        assert run(scene, github_api, inputs).code == 0

    (number,) = github.deployments
    assert github.states_of(number) == ["queued", "in_progress", "success"] * 2


def test_each_job_of_a_launch_file_has_a_deployment(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    del inputs["entry-point"], inputs["job-name"]
    (scene.workspace / "launch.yaml").write_text(LAUNCH)
    git(scene.workspace, "checkout", "--quiet", "fix")
    git(scene.workspace, "add", ".")
    git(scene.workspace, "commit", "--quiet", "--message=jobs")
    commit = git(scene.workspace, "rev-parse", "HEAD")
    at = Scene(scene.runner, Commits(commit, commit, scene.commits.base))

    result = run(at, github_api, inputs)

    assert result.code == 3, result.raw
    made = {one["payload"]["job"]: number for number, one in github.deployments.items()}
    assert {name: github.state_of(number) for name, number in made.items()} == {
        "train": "success",
        "evaluate": "success",
        "broken": "failure",
    }
    assert len({one["payload"]["leg"] for one in github.deployments.values()}) == 3
    assert warnings(result) == []


def test_a_closed_pull_request_has_no_active_deployment(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    for name in ("train", "eval"):
        assert run(scene, github_api, inputs | {"job-name": name}).code == 0
        inputs = inputs | {"image": f"{inputs['image']}-2"}

    result = run(scene, github_api, inputs, events.closed)

    assert result.code == 0, result.raw
    assert "deployments made inactive: 2" in result.log.text
    assert [github.state_of(number) for number in github.deployments] == ["inactive"] * 2
    assert warnings(result) == []


def test_a_closed_pull_request_without_the_permission_is_cleaned_all_the_same(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    assert run(scene, github_api, inputs).code == 0
    github_api.allow(contents="read", pull_requests="write", deployments="read")

    result = run(scene, github_api, inputs, events.closed)

    assert result.code == 0, result.raw
    (warning,) = warnings(result)
    assert "deployments stay as they are; add `deployments: write`" in warning


def test_what_fails_is_a_failure(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    missing = {"build-options": f"base-image={inputs['image']}-missing:1"}
    result = run(scene, github_api, inputs | missing)

    assert result.code != 0
    (number,) = github.deployments
    assert github.states_of(number) == ["queued", "in_progress", "failure"]
    assert "missing:1" in github.statuses[number][-1]["description"]


def test_a_missing_permission_is_one_warning_and_the_step_goes_on(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    github_api.allow(contents="read")

    result = run(scene, github_api, inputs)

    assert result.code == 0, result.raw
    assert result.outputs["pushed"] == "true"
    (warning,) = warnings(result)
    assert warning.endswith("add `deployments: write` to the job's `permissions:`")
    assert TOKEN not in result.log.text
    assert not github.deployments


@pytest.mark.parametrize(
    "fault", [refused(503, "x"), Fault("reset"), Fault("garbage")], ids=lambda fault: fault.kind
)
def test_a_github_that_is_down_is_one_warning_and_the_step_goes_on(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str], fault: Fault
) -> None:
    github_api.fail(fault, times=999)

    result = run(scene, github_api, inputs)

    assert result.code == 0, result.raw
    assert len(warnings(result)) == 1


@pytest.mark.parametrize("event", [events.fork, events.dependabot, events.branch, events.dispatch])
def test_what_is_no_preview_of_ours_is_not_deployed(
    scene: Scene,
    github_api: GitHubServer,
    github: Repository,
    inputs: dict[str, str],
    event: Callable[[Commits], Event],
) -> None:
    result = run(scene, github_api, inputs, event)

    assert result.code == 0, result.raw
    assert deployments(github_api) == 0


def test_who_does_not_ask_for_deployments_has_none(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    assert run(scene, github_api, inputs | {"deployment": ""}).code == 0

    assert deployments(github_api) == 0


def test_without_a_token_there_is_one_warning(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    result = run(scene, github_api, inputs | {"github-token": ""})

    assert result.code == 0, result.raw
    assert warnings(result) == [
        "there is no deployment without a token; leave the input github-token out"
    ]
    assert github_api.count() == 0


def test_an_interrupted_step_is_a_failed_deployment(
    scene: Scene, github_api: GitHubServer, github: Repository, inputs: dict[str, str]
) -> None:
    (scene.workspace / "jobs" / "train.py").write_text("import time\ntime.sleep(60)\n")
    slow = {"run": "true", "entry-point": "sleep 60"}
    ended = threading.Thread(target=_terminate_soon, args=(github, scene))
    ended.start()

    result = run(scene, github_api, inputs | slow)
    ended.join()

    assert result.code == 143, result.raw
    (number,) = github.deployments
    assert github.states_of(number) == ["queued", "in_progress", "failure"]
    assert github.statuses[number][-1]["description"].endswith("run: cancelled")


def _terminate_soon(github: Repository, scene: Scene) -> None:
    """End the program as a runner does that is told to cancel, once the job is at work."""
    for _ in range(600):
        time.sleep(0.1)
        known = any("in_progress" in github.states_of(number) for number in github.deployments)
        if known and _processes(scene, "sleep 60"):
            break
    for pid in _processes(scene, "launch-action"):
        os.kill(pid, signal.SIGTERM)


def _processes(scene: Scene, words: str) -> list[int]:
    """Those of the scene that have these words in their command line."""
    listed = subprocess.run(
        ["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    found = [line.strip().partition(" ") for line in listed.splitlines() if words in line]
    marker = str(scene.runner.root)
    return [int(pid) for pid, _, _ in found if _of(f"/proc/{pid}/environ", marker)]


def _of(environment: str, marker: str) -> bool:
    try:
        return marker.encode() in Path(environment).read_bytes()
    except OSError:
        return False
