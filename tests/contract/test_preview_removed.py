"""A closed pull request's comments say that its preview is removed, until a later run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from support.github_api import GitHubServer
from support.rows import FULL, PAGE

from launch_action.core.preview_comment import Report, marker, read_report, render
from launch_action.core.preview_table import Page
from launch_action.github.api import GitHubApi
from launch_action.github.refusal import Refused
from launch_action.step.preview_board import mark_removed

NUMBER = 12
MARKS = (marker("one"), marker("another"))


@pytest.fixture
def api(github_api: GitHubServer) -> Iterator[GitHubApi]:
    github_api.state.pull(github_api.repository(), NUMBER, "c" * 40)
    name = github_api.repository().full_name
    with GitHubApi(name, token=github_api.token, api_url=github_api.url, patience=0) as opened:
        yield opened


def write(server: GitHubServer, body: str, login: str = "github-actions[bot]") -> None:
    server.state.comment(server.repository(), NUMBER, body, login=login)


def test_every_workflow_s_comment_says_so_and_keeps_its_marker(
    github_api: GitHubServer, api: GitHubApi
) -> None:
    for mark in MARKS:
        write(github_api, render(Report((FULL,)), PAGE, mark))
    write(github_api, "thank you", "octocat")

    assert mark_removed(api, NUMBER, replace(PAGE, run=9)) == 2

    *ours, theirs = github_api.repository().bodies(NUMBER)
    assert theirs == "thank you"
    for body, mark in zip(ours, MARKS, strict=True):
        assert body.startswith(f"{mark}\n### ⚪ Preview removed")
        assert "launch-action run" not in body
        assert replace(read_report(body), since=0) == Report((FULL,), 9)


def test_to_say_it_again_changes_nothing(github_api: GitHubServer, api: GitHubApi) -> None:
    write(github_api, render(Report((FULL,)), PAGE, MARKS[0]))

    assert [mark_removed(api, NUMBER, Page()), mark_removed(api, NUMBER, Page())] == [1, 0]
    assert github_api.count("PATCH") == 1
    assert read_report(github_api.repository().bodies(NUMBER)[0]).removed == FULL.run


def test_a_comment_that_was_edited_away_says_so_too(
    github_api: GitHubServer, api: GitHubApi
) -> None:
    write(github_api, f"{MARKS[0]}\nsomebody took the rest away")

    assert mark_removed(api, NUMBER, PAGE) == 1
    assert "Preview removed" in github_api.repository().bodies(NUMBER)[0]


def test_without_comments_there_is_nothing_to_say(github_api: GitHubServer, api: GitHubApi) -> None:
    assert mark_removed(api, NUMBER, PAGE) == 0
    assert github_api.count("PATCH|POST") == 0


def test_what_github_refuses_is_told(github_api: GitHubServer, api: GitHubApi) -> None:
    write(github_api, render(Report((FULL,)), PAGE, MARKS[0]))
    github_api.allow(pull_requests="read")

    with pytest.raises(Refused) as failed:
        mark_removed(api, NUMBER, PAGE)

    assert failed.value.permission == "pull-requests: write"


def test_what_is_pushed_after_that_is_said(github_api: GitHubServer, api: GitHubApi) -> None:
    """By a run that is started again; not what had its alias when all was removed."""
    row = replace(FULL, run=7, store="ghcr.io/acme/train", tags=("sha-1", "pr-12"))
    write(github_api, render(Report((row,)), PAGE, MARKS[0]))
    mark_removed(api, NUMBER, replace(PAGE, run=9))
    (body,) = github_api.repository().bodies(NUMBER)
    there = read_report(body)
    late = there.since + 1

    ended = replace(row, at=late)
    assert there.has(ended) is False  # it is later than what is said of the leg
    assert there.merged(Report((ended,))).late == ()
    again = replace(row, run=6, attempt=2, at=late, tags=("sha-1",), commit="c" * 40)
    assert there.has(again) is False
    known = read_report(render(there.merged(Report((again,))), PAGE, MARKS[0]))
    assert known.late == ((again.job, again.commit),)
    assert known.has(again)
    text = render(known, PAGE, MARKS[0])
    assert "Preview removed" in text
    assert "started again" in text
    assert f"commit <code>{'c' * 12}</code>" in text
    # It is opened again, and closed again.
    open_again = known.merged(Report((replace(row, run=10, at=late + 1),)))
    assert "started again" not in render(open_again, PAGE, MARKS[0])
