"""Release pages and check runs: found again, and their text replaced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.github_api import GitHubServer, client, refused

from launch_action.github.api import GitHubApi
from launch_action.github.check_runs import LIMIT as CHECK_LIMIT
from launch_action.github.check_runs import CheckRuns
from launch_action.github.refusal import Refused
from launch_action.github.releases import LIMIT, Releases

COMMIT = "a" * 40


@pytest.fixture
def api(github_api: GitHubServer) -> Iterator[GitHubApi]:
    with client(github_api) as found:
        yield found


def test_the_release_of_a_tag_is_found_and_its_text_replaced(
    github_api: GitHubServer, api: GitHubApi
) -> None:
    made = github_api.state.release(github_api.repository(), "v1.2.3", "What is new")
    github_api.state.release(github_api.repository(), "v1.2.4", "Another")
    releases = Releases(api)

    found = releases.of_tag("v1.2.3")
    assert found is not None
    changed = releases.edit(found, f"{found.body}\n\nImage and job")

    assert (found.number, found.body) == (made["id"], "What is new")
    assert changed.body == made["body"] == "What is new\n\nImage and job"
    # Nothing but the text was touched.
    assert [one.body for one in github_api.seen if one.method == "PATCH"] == [
        {"body": changed.body}
    ]


@pytest.mark.parametrize("tag", ["train/v1.0", "v1.0+cu121", "v1 0?x=1#y", "\N{ROCKET}%2f"])
def test_a_tag_may_hold_what_an_address_may_not(
    github_api: GitHubServer, api: GitHubApi, tag: str
) -> None:
    github_api.state.release(github_api.repository(), tag, "text")

    found = Releases(api).of_tag(tag)

    assert found is not None
    assert found.tag == tag
    assert github_api.count() == 1


def test_a_tag_without_a_release_has_none(github_api: GitHubServer, api: GitHubApi) -> None:
    github_api.state.release(github_api.repository(), "v1.2.3", "What is new")

    assert Releases(api).of_tag("v9") is None


def test_a_draft_is_found_though_it_has_no_tag_yet(
    github_api: GitHubServer, api: GitHubApi
) -> None:
    made = github_api.state.release(github_api.repository(), "v2.0.0", None, draft=True)

    found = Releases(api).of_tag("v2.0.0")

    assert found is not None
    assert (found.number, found.body) == (made["id"], "")


def test_who_may_only_read_changes_no_release(github_api: GitHubServer, api: GitHubApi) -> None:
    github_api.state.release(github_api.repository(), "v1.2.3", "What is new")
    github_api.allow(contents="read")
    found = Releases(api).of_tag("v1.2.3")
    assert found is not None

    with pytest.raises(Refused) as caught:
        Releases(api).edit(found, "x")

    assert caught.value.hint == "add `contents: write` to the job's `permissions:`"


def test_the_limit_of_a_release_is_githubs(github_api: GitHubServer, api: GitHubApi) -> None:
    github_api.state.release(github_api.repository(), "v1.2.3", "What is new")
    found = Releases(api).of_tag("v1.2.3")
    assert found is not None
    Releases(api).edit(found, "x" * LIMIT)

    with pytest.raises(Refused, match="body is too long"):
        Releases(api).edit(found, "x" * (LIMIT + 1))


def test_a_release_that_cannot_be_shown_is_not_taken_for_none(
    github_api: GitHubServer, api: GitHubApi
) -> None:
    github_api.fail(refused(403, "Resource not accessible by integration"))

    with pytest.raises(Refused, match="403"):
        Releases(api).of_tag("v1.2.3")


# ---- check runs ---------------------------------------------------------------------------------


def test_a_check_run_is_found_by_its_commit_and_name(
    github_api: GitHubServer, api: GitHubApi
) -> None:
    checks = CheckRuns(api)
    made = checks.create(COMMIT, "launch: train", title="t", summary="row", reference="ci/train")
    checks.create(COMMIT, "launch: eval", title="t", summary="other")
    checks.create("b" * 40, "launch: train", title="t", summary="another commit")

    assert checks.of(COMMIT, "launch: train") == (made,)
    assert (made.summary, made.reference, made.status) == ("row", "ci/train", "in_progress")
    assert len(checks.of(COMMIT)) == 2


def test_a_check_run_is_completed(github_api: GitHubServer, api: GitHubApi) -> None:
    checks = CheckRuns(api)
    made = checks.create(COMMIT, "launch", title="t", summary="row")

    done = checks.edit(made, title="t", summary="new row", conclusion="success")

    assert (done.status, done.conclusion, done.summary) == ("completed", "success", "new row")
    assert checks.create(COMMIT, "x", title="t", summary="s", conclusion="failure").conclusion == (
        "failure"
    )


def test_the_check_runs_of_a_big_matrix_are_all_found(
    github_api: GitHubServer, api: GitHubApi
) -> None:
    checks = CheckRuns(api)
    for number in range(105):
        checks.create(COMMIT, f"launch: {number}", title="t", summary=f"{number}")

    assert len(checks.of(COMMIT)) == 105


def test_the_limit_of_a_check_run_is_githubs(github_api: GitHubServer, api: GitHubApi) -> None:
    checks = CheckRuns(api)

    assert checks.create(COMMIT, "x", title="t", summary="\N{ROCKET}" * CHECK_LIMIT).number
    with pytest.raises(Refused):
        checks.create(COMMIT, "x", title="t", summary="x" * (CHECK_LIMIT + 1))
    # The description itself names this limit, so that one more is not sent unnoticed.
    assert "65535" in github_api.violations.pop()


def test_who_may_only_read_makes_no_check_run(github_api: GitHubServer, api: GitHubApi) -> None:
    github_api.allow(checks="read")

    with pytest.raises(Refused) as caught:
        CheckRuns(api).create(COMMIT, "x", title="t", summary="s")

    assert caught.value.hint == "add `checks: write` to the job's `permissions:`"
