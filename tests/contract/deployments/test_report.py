"""A preview's deployments as its legs go on: told in order, and never in the way of the work."""

from __future__ import annotations

from typing import Any

import pytest
from support.deployments import HEAD, OLDER, RUN, TRAIN, ensure, states
from support.github_api import Fault, GitHubServer, client, serve_github
from support.github_description import GHES

from launch_action.core.errors import Interrupted, LaunchError
from launch_action.core.inputs import Inputs
from launch_action.core.leg_row import Moment
from launch_action.core.legs import Leg, Listeners
from launch_action.core.outputs import Outcome
from launch_action.github.deployment import Deployments
from launch_action.github.deployment_report import DeploymentReport
from launch_action.github.environment import GitHubContext, read_context
from launch_action.report import Report
from launch_action.step.leg_rows import LegRows


def event(server: GitHubServer, name: str = "pull_request", **variables: str) -> GitHubContext:
    pull = {"number": 12, "state": "open", "head": {"sha": HEAD, "ref": "topic"}}
    payload: dict[str, Any] = {"action": "synchronize", "pull_request": pull}
    if name == "issue_comment":
        payload = {"action": "created", "issue": {"number": 12, "pull_request": {}}}
    named = {
        "GITHUB_EVENT_NAME": name,
        "GITHUB_REPOSITORY": "acme/mono-jobs",
        "GITHUB_SHA": "c" * 40,
        "GITHUB_RUN_ID": "7001",
        "GITHUB_WORKFLOW": "ci",
        "GITHUB_JOB": "build",
        "GITHUB_API_URL": server.url,
    }
    return read_context(named | variables, payload)


class Said:
    """A sink that keeps what a person reads."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str, file: str, line: int) -> None:
        self.warnings.append(text)

    def group(self, name: str) -> Any:
        raise NotImplementedError

    def bar(self, title: str, total: int) -> None:
        return None


def told(
    server: GitHubServer, said: Said, name: str = "pull_request", patience: float = 60
) -> Listeners:
    reporter = Report(said)
    rows = LegRows(Moment(job="build"), reporter, lambda text: text.replace("s3cret", "***"))
    report = DeploymentReport(
        client(server), event(server, name), "preview", reporter, rows.row, patience
    )
    return Listeners([rows, report], reporter)


def leg(key: str = "train") -> Leg:
    return Leg(key, Inputs())


def values(**found: Any) -> dict[str, Any]:
    return {**Outcome().values, **found}


def test_the_states_follow_the_leg(github_api: GitHubServer) -> None:
    said = Said()
    listeners = told(github_api, said)
    listeners.begin([leg(), leg("eval"), leg("export")])
    for key in ("train", "eval", "export"):
        listeners.start(leg(key))
    listeners.known(leg(), values(job_name="x"))
    listeners.end(leg(), values(cache_hit=True, pushed=True, run_url="https://wandb.ai/r"), None)
    listeners.end(leg("eval"), values(run_status="failed", run_exit_code=3), None)
    listeners.end(leg("export"), values(), LaunchError("no such file: 's3cret'", hint="add it"))
    listeners.close()

    assert states(github_api) == {
        ("train", "a"): ["queued", "in_progress", "success"],
        ("eval", "a"): ["queued", "in_progress", "failure"],
        ("export", "a"): ["queued", "in_progress", "failure"],
    }
    repository = github_api.repository()
    ends = [repository.statuses[number][-1] for number in sorted(repository.deployments)]
    assert [one["description"] for one in ends] == [
        "image reused",
        "image built; run: failed",
        "no such file: '***'",
    ]
    assert ends[0]["environment_url"] == "https://wandb.ai/r"
    assert {one["log_url"] for one in ends} == {RUN}
    assert said.warnings == []


def test_a_run_again_and_a_newer_commit_leave_one_active(github_api: GitHubServer) -> None:
    for _ in range(2):
        listeners = told(github_api, Said())
        listeners.begin([leg()])
        listeners.end(leg(), values(), None)
        listeners.close()
    repository = github_api.repository()
    (number,) = repository.deployments
    repository.deployments[number]["sha"] = OLDER  # as if a commit had been pushed since
    listeners = told(github_api, Said())
    listeners.begin([leg()])
    listeners.end(leg(), values(), None)
    listeners.close()

    assert states(github_api) == {
        ("train", "b"): ["queued", "success", "queued", "success", "inactive"],
        ("train", "a"): ["queued", "success"],
    }


def test_a_pull_request_that_is_closed_meanwhile_has_no_active_deployment(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    listeners = told(github_api, Said())
    listeners.begin([leg()])
    listeners.start(leg())
    wait_for(github_api, "/statuses", 2)
    assert deployments.deactivate(12) == 1
    listeners.end(leg(), values(), None)
    listeners.close()
    ended = states(github_api)["train", "a"]
    listeners = told(github_api, Said())
    listeners.begin([leg()])  # it was opened again
    listeners.end(leg(), values(), None)
    listeners.close()

    assert ended == ["queued", "in_progress", "inactive", "success", "inactive"]
    assert states(github_api)["train", "a"] == [*ended, "queued", "success"]


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("permissions", [{}, {"deployments": "read"}])
def test_a_missing_permission_is_one_warning_with_the_line(
    github_api: GitHubServer, permissions: dict[str, str], private: bool
) -> None:
    github_api.repository().private = private
    github_api.allow(**permissions)
    said = Said()
    listeners = told(github_api, said)

    listeners.begin([leg(), leg("eval")])
    for key in ("train", "eval"):
        listeners.start(leg(key))
        listeners.end(leg(key), values(), None)
    listeners.close()

    (warning,) = said.warnings
    assert "403 Resource not accessible by integration" in warning
    assert warning.endswith("add `deployments: write` to the job's `permissions:`")
    # What is in a public repository may be read without a permission.
    assert github_api.count("POST") == (0 if private and not permissions else 1)


def test_an_api_that_is_not_there_is_one_warning() -> None:
    said = Said()
    with serve_github() as server:
        listeners = told(server, said)
    listeners.begin([leg()])
    listeners.end(leg(), values(), None)
    listeners.close()

    assert len(said.warnings) == 1
    assert "cannot be reached" in said.warnings[0]


@pytest.mark.parametrize(("run", "ours"), [("7001", 0), ("70011", 1), ("6999", 1)])
def test_a_job_of_githubs_own_environment_gets_no_second_deployment(
    github_api: GitHubServer, run: str, ours: int
) -> None:
    with client(github_api) as api:
        purpose = Deployments(api)
        own = ensure(purpose, TRAIN)
    repository = github_api.repository()
    repository.deployments[own.number] |= {"task": "deploy", "payload": {}}
    with client(github_api) as api:
        url = f"https://github.com/acme/mono-jobs/actions/runs/{run}/job/1"
        Deployments(api, url).tell(own, "in_progress")
    said = Said()

    listeners = told(github_api, said)
    listeners.begin([leg()])
    listeners.end(leg(), values(), None)
    listeners.close()

    assert len(repository.deployments) == 1 + ours
    assert any("GitHub's own" in line for line in said.lines) == (not ours)
    assert said.warnings == []


def test_a_comment_on_a_pull_request_deploys_its_head(github_api: GitHubServer) -> None:
    github_api.state.pull(github_api.repository(), 12, HEAD)
    listeners = told(github_api, Said(), "issue_comment")
    listeners.begin([leg()])
    listeners.end(leg(), values(), None)
    listeners.close()

    assert states(github_api) == {("train", "a"): ["queued", "success"]}


@pytest.mark.parametrize("end", [(None, Interrupted()), ("cancelled", None)])
def test_an_interruption_is_told_in_a_hurry(
    github_api: GitHubServer, end: tuple[str | None, LaunchError | None]
) -> None:
    status, error = end
    said = Said()
    listeners = told(github_api, said)
    listeners.begin([leg(), leg("eval")])
    wait_for(github_api, "/statuses", 2)
    github_api.fail(Fault("slow", seconds=0.5), "POST", times=1)
    listeners.start(leg())
    wait_for(github_api, "/statuses", 3)
    listeners.start(leg("eval"))
    for key in ("train", "eval"):
        listeners.end(leg(key), values(run_status=status), error)
    listeners.close()

    assert states(github_api) == {
        ("train", "a"): ["queued", "in_progress", "failure"],
        ("eval", "a"): ["queued", "failure"],
    }
    assert said.warnings == []


def test_an_interruption_does_not_wait_for_an_api_that_hangs(github_api: GitHubServer) -> None:
    import time

    said = Said()
    listeners = told(github_api, said)
    listeners.begin([leg()])
    wait_for(github_api, "/statuses", 1)
    github_api.fail(Fault("slow", seconds=8), times=9)
    began = time.monotonic()
    listeners.end(leg(), values(), Interrupted())
    listeners.close()

    assert time.monotonic() - began < 7
    assert ["ReadTimeout" in warning for warning in said.warnings] == [True]


def test_a_slow_github_is_not_waited_for_without_end(github_api: GitHubServer) -> None:
    said = Said()
    listeners = told(github_api, said, patience=1)
    github_api.fail(Fault("slow", seconds=0.6), times=9)
    listeners.begin([leg()])
    listeners.end(leg(), values(), None)
    listeners.close()

    (warning,) = said.warnings
    assert warning.startswith("GitHub took more than 1 s")


def wait_for(server: GitHubServer, path: str, times: int) -> None:
    import time

    for _ in range(200):
        if server.count("POST", path) >= times:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} was not asked for {times} times")


def test_legs_of_a_matrix_without_a_name_are_told_apart(github_api: GitHubServer) -> None:
    listeners = told(github_api, Said())
    for python in ("3.12", "3.13", "3.12"):
        one = Leg("", Inputs(entry_point="python train.py", python=python))
        listeners.begin([one])
        listeners.end(one, values(), None)
    listeners.close()

    repository = github_api.repository()
    assert [one["payload"]["job"] for one in repository.deployments.values()] == ["train.py"] * 2
    assert [repository.state_of(number) for number in repository.deployments] == ["success"] * 2


def test_an_enterprise_server_has_deployments_too() -> None:
    with serve_github(GHES, "/api/v3") as server:
        listeners = told(server, Said())
        listeners.begin([leg()])
        listeners.end(leg(), values(), None)
        listeners.close()

        assert states(server) == {("train", "a"): ["queued", "success"]}
        assert not server.violations
