"""Deployments of previews on GitHub: one for each job and commit, of which the newest is active."""

from __future__ import annotations

import json
import re

import pytest
from support.deployments import HEAD, OLDER, RUN, TRAIN, ensure, preview, states
from support.github_api import Fault, GitHubServer, refused

from launch_action.github.deployment import Deployment, Deployments
from launch_action.github.refusal import Refused


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
