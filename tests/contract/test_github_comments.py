"""Comments with a marker: which are ours, and what becomes of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from support.github_api import Fault, GitHubServer, client, refused
from support.github_state import Token

from launch_action.github.comments import LIMIT, Comments
from launch_action.github.refusal import Refused

MARKER = "<!-- launch-action:ci -->"
NUMBER = 12


@pytest.fixture
def comments(github_api: GitHubServer) -> Iterator[Comments]:
    github_api.state.pull(github_api.repository(), NUMBER, "a" * 40)
    with client(github_api) as api:
        yield Comments(api, NUMBER)


def somebody(server: GitHubServer, body: str, login: str) -> int:
    number: int = server.state.comment(server.repository(), NUMBER, body, login)["id"]
    return number


def test_a_comment_is_written_changed_and_deleted(
    github_api: GitHubServer, comments: Comments
) -> None:
    made = comments.create(f"{MARKER}\npending")
    changed = comments.edit(made.number, f"{MARKER}\ndone")

    assert made.author == "github-actions[bot]"
    assert made.url.startswith("https://github.com/acme/mono-jobs/pull/12#issuecomment-")
    assert comments.marked(MARKER) == (changed,)
    comments.delete(made.number)
    comments.delete(made.number)
    assert github_api.repository().bodies(NUMBER) == []


def test_the_oldest_is_first_and_all_pages_are_read(
    github_api: GitHubServer, comments: Comments
) -> None:
    first = somebody(github_api, f"{MARKER}\n1", "github-actions[bot]")
    for number in range(230):
        somebody(github_api, f"talk {number}", "octocat")
    last = somebody(github_api, f"{MARKER}\n2", "github-actions[bot]")

    assert [one.number for one in comments.marked(MARKER)] == [first, last]
    assert github_api.count("GET") == 3


def test_nobody_elses_comment_is_ours(github_api: GitHubServer, comments: Comments) -> None:
    somebody(github_api, f"{MARKER}\nlook at me", "octocat")
    somebody(github_api, f"> {MARKER}\nquoted", "github-actions[bot]")
    somebody(github_api, f"text\n{MARKER}", "github-actions[bot]")
    somebody(github_api, "<!-- launch-action:other -->", "github-actions[bot]")

    assert comments.marked(MARKER) == ()
    assert github_api.count("POST", "graphql") == 1


def test_a_workflows_own_comments_need_no_question(
    github_api: GitHubServer, comments: Comments
) -> None:
    somebody(github_api, f"{MARKER}\n1", "github-actions[bot]")

    assert len(comments.marked(MARKER)) == 1
    assert github_api.count() == 1


def test_a_persons_token_has_comments_of_its_own(
    github_api: GitHubServer, comments: Comments
) -> None:
    github_api.state.tokens[github_api.token] = Token("octocat")
    made = comments.create(f"{MARKER}\nmine")
    somebody(github_api, f"{MARKER}\nnot mine", "hubot")

    assert comments.marked(MARKER) == (made,)


def test_where_the_viewer_is_not_told_nobodys_comment_is_ours(
    github_api: GitHubServer, comments: Comments
) -> None:
    somebody(github_api, f"{MARKER}\n1", "octocat")
    github_api.fail(refused(403, "Forbidden"), path="/graphql")

    assert comments.marked(MARKER) == ()


def test_one_whose_author_has_left_is_nobodys(github_api: GitHubServer, comments: Comments) -> None:
    comment = github_api.repository().comments[somebody(github_api, MARKER, "octocat")]
    comment["user"] = None

    assert comments.marked(MARKER) == ()


def test_one_that_is_gone_is_told_by_its_status(comments: Comments) -> None:
    with pytest.raises(Refused) as caught:
        comments.edit(987, "x")

    assert caught.value.status == 404


def test_the_limit_is_githubs(comments: Comments) -> None:
    made = comments.create("\N{ROCKET}" * LIMIT)

    with pytest.raises(Refused, match="body is too long"):
        comments.edit(made.number, "x" * (LIMIT + 1))


def test_an_answer_that_was_lost_left_a_comment(
    github_api: GitHubServer, comments: Comments
) -> None:
    github_api.fail(Fault("lose"), "POST")

    with pytest.raises(Refused) as caught:
        comments.create(f"{MARKER}\nonce")

    assert caught.value.uncertain
    assert [one.body for one in comments.marked(MARKER)] == [f"{MARKER}\nonce"]


RACE = """
import json, sys
from launch_action.github.api import GitHubApi
from launch_action.github.comments import Comments

given = json.loads(sys.stdin.readline())
api = GitHubApi("acme/mono-jobs", token=given["token"], api_url=given["url"])
comments = Comments(api, 12)
comments.create(f"{given['marker']}\\n{given['number']}")
for one in comments.marked(given["marker"])[1:]:
    comments.delete(one.number)
"""


def test_eight_processes_that_keep_the_oldest_leave_one(
    github_api: GitHubServer, comments: Comments
) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", RACE], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(8)
    ]
    for number, racer in enumerate(racers):
        given = {
            "token": github_api.token,
            "url": github_api.url,
            "marker": MARKER,
            "number": number,
        }
        assert racer.stdin is not None
        racer.stdin.write(json.dumps(given).encode() + b"\n")
        racer.stdin.flush()
    failures = [racer.communicate(timeout=60)[1] for racer in racers]

    assert failures == [b""] * 8
    assert len(comments.marked(MARKER)) == 1
    assert github_api.count("POST", "/issues/12/comments") == 8
