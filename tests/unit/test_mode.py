from __future__ import annotations

import re
from typing import Any

import pytest

from launch_action.core.errors import InputError
from launch_action.core.inputs import Inputs
from launch_action.core.mode import Decision, EventFacts, decide

IMAGE = Inputs(image="ghcr.io/acme/train")


def decided(inputs: Inputs = IMAGE, **facts: Any) -> Decision:
    return decide(EventFacts(**facts), inputs)


@pytest.mark.parametrize(
    ("facts", "mode"),
    [
        ({"name": "pull_request", "action": "opened", "pull_request": 12}, "preview"),
        ({"name": "pull_request", "action": "synchronize", "pull_request": 12}, "preview"),
        ({"name": "pull_request", "action": "reopened", "pull_request": 12}, "preview"),
        ({"name": "pull_request", "action": "ready_for_review", "pull_request": 12}, "preview"),
        ({"name": "pull_request", "action": "converted_to_draft", "pull_request": 1}, "preview"),
        ({"name": "pull_request", "action": "labeled", "pull_request": 12}, "preview"),
        (
            {"name": "pull_request", "action": "labeled", "pull_request": 12, "closed": True},
            "cleanup",
        ),
        (
            {"name": "pull_request", "action": "closed", "pull_request": 12, "closed": True},
            "cleanup",
        ),
        ({"name": "pull_request_target", "action": "opened", "pull_request": 12}, "preview"),
        ({"name": "push", "branch": "main"}, "update"),
        ({"name": "push", "tag": "v1.2.3"}, "release"),
        ({"name": "push", "branch": "old", "deleted": True}, "cleanup"),
        ({"name": "push", "tag": "v1", "deleted": True}, "cleanup"),
        ({"name": "push", "branch": "gh-readonly-queue/main/pr-7-0ab"}, "build"),
        ({"name": "delete", "branch": "old", "deleted": True}, "cleanup"),
        ({"name": "delete", "tag": "v1", "deleted": True}, "cleanup"),
        ({"name": "workflow_dispatch", "branch": "main"}, "launch"),
        ({"name": "workflow_dispatch", "tag": "v1"}, "launch"),
        ({"name": "schedule", "branch": "main"}, "launch"),
        ({"name": "release", "action": "published", "tag": "v1.0.0"}, "release"),
        ({"name": "repository_dispatch", "action": "train", "branch": "main"}, "update"),
        ({"name": "workflow_call", "branch": "main"}, "update"),
        ({"name": "workflow_call", "tag": "v1"}, "release"),
        ({"name": "merge_group", "branch": "gh-readonly-queue/main/pr-7-0ab"}, "build"),
    ],
)
def test_the_event_has_its_mode(facts: dict[str, Any], mode: str) -> None:
    found = decided(**facts)

    assert found.mode == mode
    assert found.trusted
    assert found.push is None
    assert found.run == (mode == "launch")


@pytest.mark.parametrize(
    "facts",
    [
        {"name": "issues", "action": "opened"},
        {"name": "issue_comment", "action": "created", "branch": "main"},
        {"name": "workflow_run", "action": "completed", "branch": "main"},
        {"name": "fork"},
        {"name": "release", "action": "deleted", "tag": "v1"},
        {"name": "release", "action": "unpublished", "tag": "v1"},
        {"name": "push"},
        {"name": "delete", "deleted": True},
        {"name": ""},
    ],
)
def test_any_other_event_is_an_error_that_lists_the_modes(facts: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no mode belongs to this event") as caught:
        decided(**facts)

    assert re.search("preview, release, update, launch, build, cleanup", caught.value.hint)
    assert facts["name"] in caught.value.message


def test_the_reason_names_the_event_and_what_it_is_about() -> None:
    opened = decided(name="pull_request", action="opened", pull_request=12, branch="fix")
    deleted = decided(name="push", branch="old", deleted=True)

    assert str(opened) == "mode preview: pull request #12, pull_request opened"
    assert str(deleted) == "mode cleanup: push, branch 'old' deleted"
    assert str(decided(name="push", tag="v1")) == "mode release: push, tag 'v1'"


def test_a_mode_that_is_asked_for_wins_over_the_event() -> None:
    found = decided(Inputs(mode="build"), name="push", branch="main")

    assert str(found) == "mode build: the input says so (push, branch 'main')"


@pytest.mark.parametrize(
    ("mode", "facts", "lacks"),
    [
        ("preview", {"name": "push", "branch": "main"}, "needs a pull request"),
        ("release", {"name": "push", "branch": "main"}, "needs a tag"),
        ("release", {"name": "push", "tag": "v1", "deleted": True}, "needs a tag"),
        ("update", {"name": "push", "tag": "v1"}, "needs a branch"),
        (
            "update",
            {"name": "pull_request", "action": "opened", "pull_request": 1, "branch": "x"},
            "needs a branch",
        ),
    ],
)
def test_a_mode_without_its_subject_is_an_error(
    mode: str, facts: dict[str, Any], lacks: str
) -> None:
    with pytest.raises(InputError, match=lacks):
        decided(Inputs(mode=mode), **facts)


@pytest.mark.parametrize("mode", ["launch", "build", "cleanup"])
def test_these_modes_belong_to_any_event(mode: str) -> None:
    assert decided(Inputs(mode=mode), name="issues", action="opened").mode == mode


@pytest.mark.parametrize("mode", ["auto", "preview", "launch", "build"])
@pytest.mark.parametrize("who", ["fork", "dependabot"])
@pytest.mark.parametrize("wishes", [{}, {"run": True, "push": True}])
def test_an_outsider_s_code_is_built_and_nothing_else(
    mode: str, who: str, wishes: dict[str, Any]
) -> None:
    inputs = Inputs(mode=mode, image="ghcr.io/acme/train", allow_untrusted=True, **wishes)

    found = decided(inputs, name="pull_request", action="opened", pull_request=7, **{who: True})

    assert (found.mode, found.trusted, found.push, found.run) == ("build", False, False, False)
    assert "nothing is pushed or run, and no secret is used" in found.reason


def test_without_an_image_an_outsider_s_build_goes_to_the_local_store() -> None:
    assert decided(Inputs(), name="pull_request", pull_request=7, fork=True).push is None


def test_what_an_outsider_closes_removes_nothing() -> None:
    found = decided(name="pull_request", action="closed", pull_request=7, closed=True, fork=True)

    assert (found.mode, found.trusted) == ("cleanup", False)


TARGET = {"name": "pull_request_target", "action": "opened", "pull_request": 7, "rights": True}
TRIGGERED = {"name": "workflow_run", "action": "completed", "rights": True}


@pytest.mark.parametrize("facts", [TARGET, TRIGGERED])
def test_a_fork_s_code_in_an_event_with_rights_is_refused(facts: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="the code of a fork is checked out") as caught:
        decided(Inputs(mode="build"), **facts, fork=True, foreign=True)

    assert "allow-untrusted: true" in caught.value.hint


@pytest.mark.parametrize("facts", [TARGET, TRIGGERED])
def test_a_fork_s_event_with_rights_on_our_own_code_is_built_without_them(
    facts: dict[str, Any],
) -> None:
    found = decided(Inputs(mode="build", image="ghcr.io/a/b", run=True), **facts, fork=True)

    assert (found.mode, found.trusted, found.push, found.run) == ("build", False, False, False)


def test_who_allows_it_gets_a_fork_s_preview() -> None:
    inputs = Inputs(allow_untrusted=True, run=True)

    found = decided(inputs, **TARGET, fork=True, foreign=True)

    assert (found.mode, found.trusted, found.run) == ("preview", True, True)


@pytest.mark.parametrize(
    ("run", "mode", "runs"),
    [
        (None, "launch", True),
        (None, "preview", False),
        (None, "update", False),
        (True, "preview", True),
        (True, "cleanup", False),
        (False, "launch", False),
    ],
)
def test_a_run_is_made_in_launch_mode_or_where_it_is_asked_for(
    run: bool | None, mode: str, runs: bool
) -> None:
    facts: dict[str, Any] = {"pull_request": 1} if mode == "preview" else {"branch": "main"}

    assert decided(Inputs(mode=mode, run=run), name="push", **facts).run is runs


@pytest.mark.parametrize(
    ("mode", "run", "runs"),
    [
        ("preview", None, True),
        ("update", None, True),
        ("launch", None, True),
        ("build", None, False),
        ("release", None, False),
        ("preview", False, False),
        ("release", True, True),
    ],
)
def test_a_queue_is_run_through_where_something_new_is_made(
    mode: str, run: bool | None, runs: bool
) -> None:
    subjects: dict[str, dict[str, Any]] = {"preview": {"pull_request": 7}, "release": {"tag": "v1"}}
    facts = subjects.get(mode, {"branch": "main"})

    assert decided(Inputs(mode=mode, run=run, queue="gpu"), name="push", **facts).run is runs
