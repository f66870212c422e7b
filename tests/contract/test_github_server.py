"""The GitHub of the tests: PyGithub's own objects can use it, and it refuses as GitHub does."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest
from github import Auth, Github, GithubException
from support.github_api import (
    GitHubServer,
    primary_limit,
    refused,
    secondary_limit,
    serve_github,
)
from support.github_description import GHES

COMMIT = "1" * 40


def client(server: GitHubServer, token: str = "") -> Github:
    return Github(
        auth=Auth.Token(token or server.token),
        base_url=server.url,
        retry=None,
        per_page=100,
        seconds_between_requests=0,
        seconds_between_writes=0,
    )


def ask(server: GitHubServer, path: str, body: Any = None, **headers: str) -> int:
    """The status that a request by hand gets."""
    given = {"Authorization": f"token {server.token}", "User-Agent": "x", **headers}
    data = None if body is None else json.dumps(body).encode()
    if data:
        given.setdefault("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{server.url}{path}", data, given)
        ) as got:
            return int(got.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_pygithub_reads_the_repository(github_api: GitHubServer) -> None:
    repository = client(github_api).get_repo("acme/mono-jobs")

    assert (repository.full_name, repository.default_branch) == ("acme/mono-jobs", "main")


def test_pygithub_writes_edits_and_deletes_comments(github_api: GitHubServer) -> None:
    github_api.state.pull(github_api.repository(), 12, COMMIT)
    issue = client(github_api).get_repo("acme/mono-jobs").get_pull(12)

    comment = issue.create_issue_comment("one")
    comment.edit("two")
    issue.create_issue_comment("three").delete()

    assert [one.body for one in issue.get_issue_comments()] == ["two"]
    assert comment.user.login == "github-actions[bot]"


def test_comments_come_in_pages_whose_links_name_the_repository_by_number(
    github_api: GitHubServer,
) -> None:
    repository = github_api.repository()
    github_api.state.pull(repository, 12, COMMIT)
    for number in range(203):
        github_api.state.comment(repository, 12, str(number))

    found = client(github_api).get_repo("acme/mono-jobs").get_pull(12).get_issue_comments()

    assert [one.body for one in found] == [str(number) for number in range(203)]
    assert github_api.count("GET", r"/repositories/\d+/issues/12/comments\?") == 2


def test_a_comment_that_is_listed_late_is_listed_in_the_end(github_api: GitHubServer) -> None:
    github_api.state.pull(github_api.repository(), 12, COMMIT)
    github_api.state.lag = 60
    pull = client(github_api).get_repo("acme/mono-jobs").get_pull(12)
    pull.create_issue_comment("new")

    assert not list(pull.get_issue_comments())
    github_api.state.lag = 0
    assert [one.body for one in pull.get_issue_comments()] == ["new"]


def test_pygithub_deploys_and_supersedes(github_api: GitHubServer) -> None:
    repository = client(github_api).get_repo("acme/mono-jobs")
    first, second = (
        repository.create_deployment(ref=COMMIT, environment="qa", payload={"n": n}) for n in (1, 2)
    )
    first.create_status("success")
    second.create_status("success", environment_url="https://qa.example.com")

    assert [one.payload for one in repository.get_deployments(environment="qa")] == [
        {"n": 2},
        {"n": 1},
    ]
    assert [one.state for one in first.get_statuses()] == ["inactive", "success"]


def test_a_deployment_is_merged_or_refused_as_github_does(github_api: GitHubServer) -> None:
    repository = github_api.repository()
    repository.behind.add("topic")
    repository.contexts["topic"] = {"ci": "pending"}
    path = "/repos/acme/mono-jobs/deployments"

    assert ask(github_api, path, {"ref": "topic"}) == 202
    assert ask(github_api, path, {"ref": "topic", "auto_merge": False}) == 409
    assert (
        ask(github_api, path, {"ref": "topic", "auto_merge": False, "required_contexts": []}) == 201
    )
    repository.absent.add("gone")
    assert ask(github_api, path, {"ref": "gone"}) == 422


def test_pygithub_makes_and_finds_check_runs(github_api: GitHubServer) -> None:
    repository = client(github_api).get_repo("acme/mono-jobs")
    made = repository.create_check_run(
        "launch", COMMIT, external_id="train", output={"title": "t", "summary": "s"}
    )
    made.edit(conclusion="success", output={"title": "t", "summary": "done"})

    found = repository.get_check_run(made.id)
    assert (found.status, found.conclusion, found.output.summary) == (
        "completed",
        "success",
        "done",
    )


def test_a_draft_has_no_tag_yet(github_api: GitHubServer) -> None:
    repository = github_api.repository()
    github_api.state.release(repository, "v1.0.0", "notes")
    github_api.state.release(repository, "v1.1.0", "not yet", draft=True)
    remote = client(github_api).get_repo("acme/mono-jobs")

    release = remote.get_release("v1.0.0")
    release.update_release(name="v1.0.0", message="more")

    assert remote.get_release("v1.0.0").body == "more"
    with pytest.raises(GithubException):
        remote.get_release("v1.1.0")
    assert {one.tag_name for one in remote.get_releases()} == {"v1.0.0", "v1.1.0"}


def test_pulls_are_found_by_commit(github_api: GitHubServer) -> None:
    github_api.state.pull(github_api.repository(), 12, COMMIT)

    assert ask(github_api, f"/repos/acme/mono-jobs/commits/{COMMIT}/pulls") == 200
    assert [one.number for one in client(github_api).get_repo("acme/mono-jobs").get_pulls()] == [12]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/repos/acme/mono-jobs/nothing", None, "no such operation"),
        ("/repos/acme/mono-jobs/deployments?page=one", None, "page"),
        ("/repos/acme/mono-jobs/deployments?shaa=1", None, "shaa"),
        ("/repos/acme/mono-jobs/deployments", {"ref": 3}, "ref"),
        ("/repos/acme/mono-jobs/deployments", {"ref": "x", "reff": "y"}, "reff"),
        ("/repos/acme/mono-jobs/deployments", {}, "ref"),
        ("/repos/acme/mono-jobs/issues/x/comments", {"body": "x"}, "issue_number"),
        ("/repos/acme/mono-jobs/deployments/1/statuses", {"state": "done"}, "state"),
    ],
)
def test_what_github_does_not_describe_is_a_violation(path: str, body: Any, says: str) -> None:
    with serve_github() as server:
        assert ask(server, path, body) == 400

        assert says in server.violations[0]


def test_an_answer_that_github_does_not_describe_is_a_violation() -> None:
    with serve_github() as server:
        server.state.pull(server.repository(), 12, COMMIT)["title"] = None

        assert ask(server, "/repos/acme/mono-jobs/pulls/12") == 200
        assert "title" in server.violations[0]


def test_a_body_of_another_type_is_a_violation() -> None:
    with serve_github() as server:
        status = ask(
            server, "/repos/acme/mono-jobs/deployments", {"ref": "x"}, **{"Content-Type": "text/x"}
        )

        assert status == 400
        assert "text/x" in server.violations[0]


@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ({}, 403),
        ({"pull_requests": "read"}, 403),
        ({"pull_requests": "write"}, 201),
        ({"issues": "write"}, 201),
    ],
)
def test_a_token_may_do_what_its_permissions_say(
    github_api: GitHubServer, permissions: dict[str, str], status: int
) -> None:
    github_api.state.pull(github_api.repository(), 12, COMMIT)
    github_api.allow(**permissions)

    path = "/repos/acme/mono-jobs/issues/12/comments"
    assert ask(github_api, path, {"body": "hello"}) == status


def test_who_asks_without_a_right_token_is_turned_away(github_api: GitHubServer) -> None:
    path = "/repos/acme/mono-jobs"
    github_api.repository("acme/secret", private=True)

    assert ask(github_api, path, Authorization="token wrong") == 401
    assert ask(github_api, "/user") == 403
    assert ask(github_api, "/repos/acme/nowhere") == 404
    assert ask(github_api, "/repos/acme/secret") == 200
    assert ask(github_api, path, **{"User-Agent": ""}) == 403


@pytest.mark.parametrize(
    ("kind", "length", "status"),
    [
        ("comment", 65536, 201),
        ("comment", 65537, 422),
        ("check", 65535, 201),
        ("check", 65536, 422),
    ],
)
def test_texts_have_the_lengths_of_github(kind: str, length: int, status: int) -> None:
    text = "\N{ROCKET}" * length
    with serve_github() as server:
        server.state.pull(server.repository(), 12, COMMIT)
        if kind == "comment":
            got = ask(server, "/repos/acme/mono-jobs/issues/12/comments", {"body": text})
        else:
            output = {"title": "t", "summary": text}
            body = {"name": "x", "head_sha": COMMIT, "output": output}
            got = ask(server, "/repos/acme/mono-jobs/check-runs", body)
        # The description knows the limit of a check run's summary; a comment's is only GitHub's.
        assert got == (400 if server.violations else status)
        assert bool(server.violations) == (kind == "check" and status == 422)


def test_faults_are_used_up_in_order(github_api: GitHubServer) -> None:
    path = "/repos/acme/mono-jobs"
    github_api.fail(secondary_limit(), times=2)
    github_api.fail(primary_limit(3600))
    github_api.fail(refused(503, "Service unavailable"))

    assert [ask(github_api, path) for _ in range(5)] == [403, 403, 403, 503, 200]


def test_a_lost_answer_is_one_to_a_request_that_was_carried_out(github_api: GitHubServer) -> None:
    from support.github_api import Fault

    repository = github_api.repository()
    github_api.state.pull(repository, 12, COMMIT)
    github_api.fail(Fault("lose"))
    github_api.fail(Fault("reset"))

    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011  a reset, under one name or another
            ask(github_api, "/repos/acme/mono-jobs/issues/12/comments", {"body": "x"})

    assert repository.bodies(12) == ["x"]


def test_an_enterprise_server_is_spoken_to_below_its_path() -> None:
    with serve_github(GHES, "/api/v3") as server:
        server.state.pull(server.repository(), 12, COMMIT)
        pull = client(server).get_repo("acme/mono-jobs").get_pull(12)
        pull.create_issue_comment("from GHES")

        assert [one.body for one in pull.get_issue_comments()] == ["from GHES"]
        assert client(server).requester.graphql_query("{ viewer { login } }", {})[1] == {
            "data": {"viewer": {"login": "github-actions[bot]"}}
        }
        assert not server.violations
