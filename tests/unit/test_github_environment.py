from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import github_events as events
from support.github_events import Event
from support.github_payloads import NUMBER, REPOSITORY, Commits

from launch_action.core.errors import InputError
from launch_action.core.inputs import Inputs
from launch_action.core.mode import decide
from launch_action.github.environment import GitHubContext, load_context, read_context
from launch_action.github.payload import parse_payload

MERGE = "1" * 40
HEAD = "2" * 40


def variables(event: str, **more: str) -> dict[str, str]:
    return {
        "GITHUB_EVENT_NAME": event,
        "GITHUB_REPOSITORY": "acme/mono-jobs",
        "GITHUB_SHA": MERGE,
        "GITHUB_RUN_ID": "70",
        "GITHUB_RUN_ATTEMPT": "2",
        "GITHUB_SERVER_URL": "https://ghe.example/",
        **more,
    }


def pull_request(**head: Any) -> dict[str, Any]:
    return {
        "action": "synchronize",
        "number": 12,
        "repository": {"default_branch": "trunk"},
        "pull_request": {
            "number": 12,
            "head": {"sha": HEAD, "ref": "fix", "repo": {"full_name": "acme/mono-jobs"}} | head,
            "base": {"ref": "trunk"},
        },
    }


def of_pull_request(**head: Any) -> GitHubContext:
    given = variables("pull_request", GITHUB_REF="refs/pull/12/merge")
    return read_context(given, pull_request(**head))


def test_a_pull_request_is_of_its_head_commit_not_of_the_merge_commit() -> None:
    context = of_pull_request()

    assert (context.head_sha, context.sha) == (HEAD, MERGE)
    assert (context.number, context.branch, context.base_ref) == (12, "fix", "trunk")
    assert context.default_branch == "trunk"
    assert context.action == "synchronize"
    assert not context.tag


def test_a_pull_request_of_the_same_repository_is_trusted() -> None:
    assert not of_pull_request().is_untrusted


@pytest.mark.parametrize("repo", [{"full_name": "mallory/mono-jobs"}, None, {}, "text", 7])
def test_another_repository_or_a_deleted_one_is_a_fork(repo: Any) -> None:
    context = of_pull_request(repo=repo)

    assert context.is_fork
    assert context.is_untrusted


def test_the_repository_is_compared_without_case() -> None:
    assert not of_pull_request(repo={"full_name": "Acme/Mono-Jobs"}).is_fork


def test_what_dependabot_does_is_untrusted_without_being_a_fork() -> None:
    given = variables("pull_request", GITHUB_ACTOR="dependabot[bot]")

    context = read_context(given, pull_request())

    assert context.is_untrusted
    assert not context.is_fork


def test_pull_request_target_is_of_the_head_though_the_ref_is_the_default_branch() -> None:
    given = variables(
        "pull_request_target", GITHUB_REF="refs/heads/trunk", GITHUB_REF_TYPE="branch"
    )

    context = read_context(given, pull_request(repo={"full_name": "mallory/x"}))

    assert context.head_sha == HEAD
    assert context.branch == "fix"
    assert context.is_fork


@pytest.mark.parametrize(
    ("ref", "branch", "tag"),
    [
        ("refs/heads/feature/a", "feature/a", ""),
        ("refs/tags/v1.2.3", "", "v1.2.3"),
        ("", "", ""),
    ],
)
def test_a_push_is_of_a_branch_or_of_a_tag(ref: str, branch: str, tag: str) -> None:
    context = read_context(variables("push", GITHUB_REF=ref))

    assert (context.branch, context.tag) == (branch, tag)
    assert context.head_sha == MERGE
    assert not context.is_untrusted


def test_a_workflow_run_is_of_the_commit_that_triggered_it() -> None:
    payload = {
        "workflow_run": {"head_sha": HEAD, "head_repository": {"full_name": "mallory/mono-jobs"}}
    }

    context = read_context(variables("workflow_run"), payload)

    assert context.head_sha == HEAD
    assert context.is_fork


def test_a_comment_on_a_pull_request_is_untrusted_and_one_on_an_issue_is_not() -> None:
    on_pull = {"issue": {"number": 4, "pull_request": {"url": "x"}}}
    on_issue = {"issue": {"number": 4}}

    assert read_context(variables("issue_comment"), on_pull).is_untrusted
    assert not read_context(variables("issue_comment"), on_issue).is_untrusted
    assert read_context(variables("issue_comment"), on_issue).number == 4


def test_the_urls_are_of_the_server_that_runs_it() -> None:
    context = read_context(variables("push"))

    assert context.run_url == "https://ghe.example/acme/mono-jobs/actions/runs/70/attempts/2"
    assert context.api_url == "https://api.github.com"


def test_nothing_said_is_nothing_known() -> None:
    context = read_context({})

    assert context.run_url == context.head_sha == ""
    assert (context.number, context.run_attempt) == (None, 1)


@pytest.mark.parametrize("sha", ["", "HEAD", "2" * 39, "$(id)", None, 7])
def test_a_pull_request_without_a_commit_is_an_input_error(sha: Any) -> None:
    with pytest.raises(InputError, match=r"pull_request\.head\.sha"):
        of_pull_request(sha=sha)


@pytest.mark.parametrize("number", [0, -1, "12", True, None])
def test_a_pull_request_without_a_number_is_an_input_error(number: Any) -> None:
    payload = pull_request()
    payload["pull_request"]["number"] = number

    with pytest.raises(InputError, match=r"pull_request\.number"):
        read_context(variables("pull_request"), payload)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_a_payload_that_is_not_json_names_its_file(content: bytes) -> None:
    with pytest.raises(InputError, match=r"'event\.json' is not JSON"):
        parse_payload(content, "event.json")


@pytest.mark.parametrize("content", [b"[]", b"null", b"3", b'"x"'])
def test_a_payload_that_is_not_an_object_names_what_it_is(content: bytes) -> None:
    with pytest.raises(InputError, match="not a JSON object but a"):
        parse_payload(content, "event.json")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
keys = st.sampled_from(
    ["pull_request", "repository", "issue", "workflow_run", "head", "repo", "base", "action"]
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine draws slowly
@given(
    event=st.sampled_from(["push", "pull_request", "workflow_run", "issue_comment", "release", ""]),
    payload=st.dictionaries(keys, st.dictionaries(keys, json_values) | json_values),
)
def test_any_payload_is_read_or_is_an_input_error(event: str, payload: dict[str, Any]) -> None:
    try:
        context = read_context(variables(event), payload)
    except InputError:
        assert event == "pull_request"
    else:
        assert context.event_name == event


def test_the_payload_is_read_from_where_the_runner_put_it(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(pull_request()))

    assert load_context(variables("pull_request", GITHUB_EVENT_PATH=str(path))).head_sha == HEAD


def test_a_missing_payload_is_an_empty_one_and_a_directory_is_an_error(tmp_path: Path) -> None:
    missing = variables("push", GITHUB_EVENT_PATH=str(tmp_path / "none"))

    assert load_context(missing).event_name == "push"
    with pytest.raises(InputError, match="cannot be read"):
        load_context(variables("push", GITHUB_EVENT_PATH=str(tmp_path)))


COMMITS = Commits(HEAD, MERGE, "3" * 40)


def of(event: Event) -> GitHubContext:
    return read_context({**variables(event.name), **event.variables}, event.payload)


@pytest.mark.parametrize("make", events.EVERY, ids=lambda make: make.__name__)
def test_every_event_is_read(make: Callable[[Commits], Event]) -> None:
    event = make(COMMITS)

    context = of(event)

    assert context.event_name == event.name
    assert context.repository == REPOSITORY
    assert context.head_sha in (HEAD, COMMITS.base)
    outside = {"fork", "deleted_fork", "closed_fork", "target_fork", "workflow_run_fork"}
    assert context.is_fork == (make.__name__ in outside | {"issue_comment"})
    assert context.is_dependabot == ("dependabot" in make.__name__)


@pytest.mark.parametrize(
    ("make", "branch", "tag"),
    [
        (events.branch_pushed_away, "old", ""),
        (events.branch_deleted, "old", ""),
        (events.tag_deleted, "", "v1"),
    ],
)
def test_what_was_deleted_is_named_and_not_the_default_branch(
    make: Callable[[Commits], Event], branch: str, tag: str
) -> None:
    context = of(make(COMMITS))

    assert context.is_deleted
    assert (context.branch, context.tag) == (branch, tag)


@pytest.mark.parametrize(
    ("make", "closed"),
    [
        (events.opened, False),
        (events.closed, True),
        (events.merged, True),
        (events.labeled_when_closed, True),
    ],
)
def test_a_pull_request_is_closed_or_not(make: Callable[[Commits], Event], closed: bool) -> None:
    assert of(make(COMMITS)).is_closed is closed


def test_a_workflow_run_names_its_pull_request_and_gives_its_branch_no_alias() -> None:
    context = of(events.workflow_run(COMMITS))

    assert (context.pull_request, context.head_sha) == (NUMBER, HEAD)
    assert context.has_rights
    assert context.branch_to_name == ""


def test_the_merge_queue_is_compared_with_the_branch_it_merges_into() -> None:
    assert of(events.merge_group(COMMITS)).base_ref == "main"


def test_a_comment_is_of_its_pull_request() -> None:
    assert of(events.issue_comment(COMMITS)).pull_request == NUMBER


def test_what_is_known_can_be_shown() -> None:
    shown = dict(of(events.opened(COMMITS)).shown())

    assert shown["head_sha"] == HEAD
    assert "is_fork" not in shown


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), make=st.sampled_from(events.EVERY))
def test_an_event_with_anything_in_one_place_is_decided_or_is_an_input_error(
    data: st.DataObject, make: Callable[[Commits], Event]
) -> None:
    event = make(COMMITS)
    payload = json.loads(json.dumps(event.payload))
    at = payload
    while True:
        name = data.draw(st.sampled_from(sorted(at)))
        if not (isinstance(at[name], dict) and at[name] and data.draw(st.booleans())):
            break
        at = at[name]
    at[name] = data.draw(json_values)
    environment = {**variables(event.name), **event.variables}

    with suppress(InputError):
        decide(read_context(environment, payload).facts(foreign=True), Inputs())
