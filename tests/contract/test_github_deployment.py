"""Deployments of previews, with the traps of GitHub's interface, faults and races."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from support.github_api import Fault, GitHubServer, refused, serve_github
from support.github_description import GHES
from support.github_state import WORKFLOW_TOKEN

from launch_action.core.errors import Interrupted, LaunchError
from launch_action.core.inputs import Inputs
from launch_action.core.leg_row import Moment
from launch_action.core.legs import Leg, Listeners
from launch_action.core.outputs import Outcome
from launch_action.github.api import GitHubApi
from launch_action.github.deployment import Deployment, Deployments
from launch_action.github.deployment_report import DeploymentReport
from launch_action.github.environment import GitHubContext, read_context
from launch_action.github.refusal import Refused
from launch_action.report import Report
from launch_action.step.leg_rows import LegRows

HEAD = "a" * 40
OLDER = "b" * 40
RUN = "https://github.com/acme/mono-jobs/actions/runs/7001/attempts/1"


def preview(
    commit: str, job: str = "train", environment: str = "preview", pull: int = 12
) -> Deployment:
    return Deployment(0, commit, environment, pull, job, f"ci/{job}")


TRAIN = preview(HEAD)


def client(server: GitHubServer) -> GitHubApi:
    return GitHubApi(
        "acme/mono-jobs",
        token=server.token,
        api_url=server.url,
        timeout=5,
        patience=3,
        backoff=0.1,
    )


@pytest.fixture
def deployments(github_api: GitHubServer) -> Iterator[Deployments]:
    github_api.state.pull(github_api.repository(), 12, HEAD)
    with client(github_api) as api:
        yield Deployments(api, RUN)


def ensure(deployments: Deployments, wanted: Deployment) -> Deployment:
    return deployments.ensure(wanted, deployments.of(wanted.pull_request))


def states(server: GitHubServer) -> dict[tuple[str, str], list[str]]:
    """The states of every deployment by its job and the first letter of its commit."""
    repository = server.repository()
    return {
        (one["payload"]["job"], one["sha"][0]): repository.states_of(number)
        for number, one in repository.deployments.items()
    }


# ---- making -------------------------------------------------------------------------------------


def test_a_deployment_is_as_a_preview_is(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    made = ensure(deployments, TRAIN)

    (found,) = github_api.repository().deployments.values()
    assert (made.number, made.commit, made.job) == (found["id"], HEAD, "train")
    assert found["payload"] == {"pull_request": 12, "job": "train", "leg": "ci/train"}
    assert found["environment"] == "preview"
    assert found["transient_environment"]
    assert not found["production_environment"]
    assert found["creator"]["login"] == "github-actions[bot]"


def test_neither_a_base_that_went_on_nor_pending_checks_are_in_the_way(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    """By default GitHub would merge for the first, and refuse for the second."""
    github_api.repository().behind.add(HEAD)
    github_api.repository().contexts[HEAD] = {"ci": "pending", "lint": "failure"}

    assert ensure(deployments, TRAIN).commit == HEAD


def test_a_merge_is_not_taken_for_a_deployment(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    body = json.dumps({"message": "Auto-merged main into topic on deployment."})
    github_api.fail(Fault("status", status=202, body=body), "POST")

    with pytest.raises(Refused, match="202 Auto-merged main"):
        ensure(deployments, TRAIN)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (409, "Conflict merging main into topic"),
        (422, "No ref found for: aaaa"),
        (403, "Resource not accessible by integration"),
        (404, "Not Found"),
    ],
)
def test_a_refusal_is_in_githubs_words(
    github_api: GitHubServer, deployments: Deployments, status: int, words: str
) -> None:
    github_api.fail(refused(status, words), "POST")

    with pytest.raises(Refused, match=f"#12: {status} {re.escape(words)}") as caught:
        ensure(deployments, TRAIN)

    assert (caught.value.permission == "deployments: write") == (status == 403)
    assert github_api.count("POST") == 1


@pytest.mark.parametrize(
    "fault",
    [refused(502, "Server Error"), Fault("lose"), Fault("reset"), Fault("garbage")],
    ids=lambda fault: fault.kind,
)
def test_a_fault_while_making_leaves_one(
    github_api: GitHubServer, deployments: Deployments, fault: Fault
) -> None:
    github_api.fail(fault, "POST")

    made = ensure(deployments, TRAIN)

    assert list(github_api.repository().deployments) == [made.number]


def test_a_fault_that_lasts_while_making_is_an_error(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    github_api.fail(refused(502, "Server Error"), "POST", times=9)

    with pytest.raises(Refused, match="502"):
        ensure(deployments, TRAIN)

    assert github_api.count("POST") == 2


def test_a_run_again_takes_the_same_deployment(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    made = ensure(deployments, TRAIN)
    deployments.tell(made, "failure")

    assert ensure(deployments, TRAIN) == made
    assert len(github_api.repository().deployments) == 1


@pytest.mark.parametrize(
    "other",
    [
        preview(OLDER),
        preview(HEAD, "train", environment="qa"),
        preview(HEAD, "train", pull=13),
        preview(HEAD, "eval"),
    ],
)
def test_another_commit_environment_pull_request_or_job_is_another_deployment(
    deployments: Deployments, other: Deployment
) -> None:
    assert ensure(deployments, TRAIN).number != ensure(deployments, other).number


def test_a_head_that_was_pushed_back_is_a_newer_deployment(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    first = ensure(deployments, TRAIN)
    second = ensure(deployments, preview(OLDER))

    third = ensure(deployments, TRAIN)

    assert first.number < second.number < third.number


def test_what_others_deployed_is_not_ours(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    made = ensure(deployments, TRAIN)
    stored = github_api.repository().deployments
    for payload in ("", "{", "7", {}, {"job": "x", "leg": "x"}, {"pull_request": 12, "job": "x"}):
        ensure(deployments, preview(OLDER, "other"))
        stored[max(stored)]["payload"] = payload

    assert deployments.of(12) == (made,)


def test_a_payload_may_come_back_as_text(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    made = ensure(deployments, TRAIN)
    github_api.repository().deployments[made.number]["payload"] = json.dumps(
        {"pull_request": 12, "job": "train", "leg": "ci/train"}
    )

    assert deployments.of(12) == (made,)


# ---- states -------------------------------------------------------------------------------------


def test_a_status_links_to_the_run_and_leaves_the_others_alone(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    first = ensure(deployments, TRAIN)
    deployments.tell(first, "success")
    second = ensure(deployments, preview(HEAD, "eval"))
    deployments.tell(
        second, "success", description="one\ntwo" + "x" * 200, url="https://wandb.ai/acme/runs/1"
    )

    status = github_api.repository().statuses[second.number][-1]
    assert (status["log_url"], status["environment_url"]) == (RUN, "https://wandb.ai/acme/runs/1")
    assert status["description"].startswith("one twox")
    assert len(status["description"]) == 140
    assert states(github_api)["train", "a"] == ["success"]
    assert all(
        one.body["auto_inactive"] is False
        for one in github_api.seen
        if one.path.endswith("/statuses") and one.method == "POST"
    )


@pytest.mark.parametrize("url", ["", "javascript:alert(1)", "not a url", "file:///etc/passwd"])
def test_only_a_web_address_is_linked_to(
    github_api: GitHubServer, deployments: Deployments, url: str
) -> None:
    deployments.tell(ensure(deployments, TRAIN), "success", url=url)

    assert "environment_url" not in github_api.seen[-1].body


def test_a_status_is_told_twice_rather_than_not_at_all(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    made = ensure(deployments, TRAIN)
    github_api.fail(Fault("lose"), "POST")
    github_api.fail(refused(503, "Service unavailable"), "POST")

    deployments.tell(made, "success")

    assert deployments.state(made) == "success"


def test_a_newer_success_makes_the_earlier_ones_of_its_job_inactive(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    for commit, state in (("1", "success"), ("2", "failure"), ("3", "in_progress")):
        one = ensure(deployments, preview(commit * 40))
        deployments.tell(one, state)  # type: ignore[arg-type]
    deployments.tell(ensure(deployments, preview("1" * 40, "eval")), "success")
    deployments.tell(ensure(deployments, preview("1" * 40, "train", pull=13)), "success")
    last = ensure(deployments, TRAIN)
    deployments.tell(last, "success")

    deployments.supersede(last)

    repository = github_api.repository()
    assert [repository.states_of(number)[-1] for number in sorted(repository.deployments)] == [
        "inactive", "inactive", "inactive", "success", "success", "success",
    ]  # fmt: skip


def test_what_ends_after_a_newer_success_becomes_inactive_itself(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    older = ensure(deployments, preview(OLDER))
    newer = ensure(deployments, TRAIN)
    deployments.tell(newer, "success")
    deployments.supersede(newer)

    deployments.tell(older, "success")
    deployments.supersede(older)

    assert states(github_api)["train", "b"] == ["inactive", "success", "inactive"]
    assert states(github_api)["train", "a"] == ["success"]


def test_a_long_history_is_not_asked_through(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    for number in range(30):
        one = ensure(deployments, preview(f"{number:040x}"))
        deployments.tell(one, "success")
        deployments.supersede(one)
    before = github_api.count()

    one = ensure(deployments, TRAIN)
    deployments.tell(one, "success")
    deployments.supersede(one)

    assert github_api.count() - before < 10


def test_cleaning_up_makes_everything_of_the_pull_request_inactive(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    for job in ("train", "eval"):
        for commit in (HEAD, OLDER):
            deployments.tell(ensure(deployments, preview(commit, job)), "success")
    other = ensure(deployments, preview(HEAD, "train", pull=13))
    deployments.tell(other, "success")

    assert deployments.deactivate(12, "eval") == 2
    assert deployments.deactivate(12) == 2
    assert deployments.deactivate(12) == 0
    assert deployments.state(other) == "success"


def test_the_list_of_a_busy_repository_is_read_to_its_end(
    github_api: GitHubServer, deployments: Deployments
) -> None:
    made = ensure(deployments, TRAIN)
    stored = github_api.repository().deployments
    for number in range(1000, 1250):
        stored[number] = {**stored[made.number], "id": number}

    assert len(deployments.of(12)) == 251


# ---- as a listener ------------------------------------------------------------------------------


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


# ---- races --------------------------------------------------------------------------------------

RACE = """
import json, sys
from launch_action.github.api import GitHubApi
from launch_action.github.deployment import Deployment, Deployments

given = json.loads(sys.stdin.readline())
api = GitHubApi("acme/mono-jobs", token=given["token"], api_url=given["url"])
deployments = Deployments(api, "https://github.com/acme/mono-jobs/actions/runs/1")
made = deployments.ensure(
    Deployment(0, given["commit"], "preview", 12, given["job"], given["job"]), deployments.of(12)
)
for state in ("queued", "in_progress", "success"):
    deployments.tell(made, state)
deployments.supersede(made)
"""


def race(server: GitHubServer, given: list[dict[str, str]]) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", RACE], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in given
    ]
    for racer, words in zip(racers, given, strict=True):
        assert racer.stdin is not None
        line = json.dumps({"token": WORKFLOW_TOKEN, "url": server.url, **words})
        racer.stdin.write(line.encode() + b"\n")
        racer.stdin.flush()
    assert [racer.communicate(timeout=90)[1] for racer in racers] == [b""] * len(racers)


def test_eight_legs_of_a_matrix_have_a_deployment_each(github_api: GitHubServer) -> None:
    race(github_api, [{"job": f"job-{n}", "commit": HEAD} for n in range(8)])

    assert states(github_api) == {
        (f"job-{n}", "a"): ["queued", "in_progress", "success"] for n in range(8)
    }


def test_of_eight_commits_at_once_the_newest_deployment_stays_active(
    github_api: GitHubServer,
) -> None:
    race(github_api, [{"job": "train", "commit": f"{n}" * 40} for n in range(8)])

    repository = github_api.repository()
    last = [repository.state_of(number) for number in sorted(repository.deployments)]
    assert last == ["inactive"] * 7 + ["success"]
