"""The client: PyGithub against a GitHub on loopback, with every fault that GitHub has."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import FrameType

import pytest
from support.github_api import (
    Fault,
    GitHubServer,
    primary_limit,
    refused,
    secondary_limit,
    serve_github,
)
from support.github_description import GHES
from support.github_state import Token
from support.loopback import certificates

from launch_action.core.errors import ServiceError
from launch_action.github.api import GitHubApi
from launch_action.github.authorities import authorities
from launch_action.github.comments import Comments
from launch_action.github.pulls import PullRequest, PullRequests
from launch_action.github.refusal import Purpose, Refused
from launch_action.github.repository import default_branch

HEAD = "a" * 40
LOOKING = Purpose("show the pull request", "pull-requests: read")
WRITING = Purpose("take a comment", "pull-requests: write")
NUMBER = 12
PULL = f"/pulls/{NUMBER}"
COMMENTS = f"/issues/{NUMBER}/comments"


@pytest.fixture
def server(github_api: GitHubServer) -> GitHubServer:
    """A GitHub with one pull request."""
    github_api.state.pull(github_api.repository(), NUMBER, HEAD)
    return github_api


def client(server: GitHubServer, patience: float = 5, timeout: int = 5) -> GitHubApi:
    return GitHubApi(
        "acme/mono-jobs",
        token=server.token,
        api_url=server.url,
        timeout=timeout,
        patience=patience,
        backoff=0.1,
    )


# ---- the default branch -------------------------------------------------------------------------


def ask(server: GitHubServer, token: str = "", timeout: int = 5) -> str:
    return default_branch(
        "acme/mono-jobs", token=token or server.token, api_url=server.url, timeout=timeout
    )


def test_the_default_branch_is_what_the_api_at_the_given_address_says() -> None:
    with serve_github(GHES, "/api/v3") as server:
        server.repository().default_branch = "trunk"

        assert ask(server) == "trunk"
        assert [one.path for one in server.seen] == ["/api/v3/repos/acme/mono-jobs"]
        assert not server.violations


def test_without_a_token_none_is_sent(server: GitHubServer) -> None:
    assert default_branch("acme/mono-jobs", token="", api_url=server.url) == "main"

    assert "Authorization" not in server.seen[0].headers


@pytest.mark.parametrize("branch", [None, "", 3, ["x"]])
def test_an_answer_without_a_branch_is_an_error(server: GitHubServer, branch: object) -> None:
    server.fail(Fault("status", status=200, body=json.dumps({"default_branch": branch})))

    with pytest.raises(ServiceError, match=re.escape(repr(branch))):
        ask(server)


def test_who_wants_a_name_does_not_wait_for_a_minute(server: GitHubServer) -> None:
    server.fail(primary_limit(3600, status=429), times=9)

    with pytest.raises(ServiceError, match="rate limit"):
        ask(server)
    assert server.count() == 1


# ---- what passes, and what does not -------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        refused(500, "Server Error"),
        refused(503, "Service unavailable"),
        Fault("status", status=502),
        Fault("status", status=504, body=""),
        Fault("reset"),
        Fault("lose"),
        Fault("garbage"),
        Fault("truncate"),
        Fault("slow", seconds=1.8),
        secondary_limit(),
        secondary_limit(429),
        primary_limit(1),
    ],
    ids=lambda fault: f"{fault.kind}-{fault.status}",
)
def test_a_fault_that_passes_is_waited_for(server: GitHubServer, fault: Fault) -> None:
    server.fail(fault)

    with client(server, timeout=1) as api:
        assert api.get(PULL, LOOKING)["number"] == NUMBER

    assert server.count("GET", PULL) == 2


@pytest.mark.parametrize(
    "fault",
    [refused(500, "Server Error"), Fault("status"), Fault("reset"), Fault("garbage")],
    ids=lambda fault: fault.kind,
)
def test_a_fault_that_lasts_is_an_error_after_three_tries(
    server: GitHubServer, fault: Fault
) -> None:
    server.fail(fault, times=9)

    with client(server) as api, pytest.raises(Refused, match="does not show the pull request"):
        api.get(PULL, LOOKING)

    assert server.count() == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 422, 501])
def test_a_refusal_is_not_asked_for_twice(server: GitHubServer, status: int) -> None:
    server.fail(refused(status, "We would rather not"))

    with client(server) as api, pytest.raises(Refused) as caught:
        api.get(PULL, LOOKING)

    assert f"{status} We would rather not" in caught.value.message
    assert (caught.value.status, caught.value.uncertain) == (status, False)
    assert server.count() == 1


@pytest.mark.parametrize(
    ("fault", "written"),
    [
        (refused(502, "Server Error"), 0),
        (Fault("reset"), 0),
        (Fault("lose"), 1),
        (Fault("slow", seconds=1.8), 1),
        (Fault("truncate"), 1),
        (Fault("garbage"), 0),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else str(value),
)
def test_what_may_have_been_made_is_not_made_twice(
    server: GitHubServer, fault: Fault, written: int
) -> None:
    server.fail(fault)

    with client(server, timeout=1) as api, pytest.raises(Refused) as caught:
        api.create(COMMENTS, WRITING, {"body": "x"})

    assert caught.value.uncertain
    until = time.monotonic() + 30  # a slow answer is still being made
    while fault.seconds and not server.repository().bodies(NUMBER) and time.monotonic() < until:
        time.sleep(0.02)
    assert server.repository().bodies(NUMBER) == ["x"] * written
    assert server.count("POST") == 1


@pytest.mark.parametrize("fault", [secondary_limit(), secondary_limit(429), primary_limit(1)])
def test_what_a_limit_refused_is_made_later(server: GitHubServer, fault: Fault) -> None:
    server.fail(fault, times=2)

    with client(server) as api:
        api.create(COMMENTS, WRITING, {"body": "x"})

    assert server.repository().bodies(NUMBER) == ["x"]


def test_a_change_may_be_made_twice(server: GitHubServer) -> None:
    comment = server.state.comment(server.repository(), NUMBER, "old")
    path = f"/issues/comments/{comment['id']}"
    server.fail(Fault("lose"), "PATCH")
    server.fail(Fault("lose"), "DELETE")

    with client(server) as api:
        assert api.change(path, WRITING, {"body": "new"})["body"] == "new"
        api.remove(path, WRITING)

    assert server.count("PATCH") == server.count("DELETE") == 2


def test_a_limit_that_ends_too_late_is_an_error_at_once(server: GitHubServer) -> None:
    server.fail(secondary_limit(retry_after=120))
    began = time.monotonic()

    with client(server, patience=60) as api, pytest.raises(Refused) as caught:
        api.get(PULL, LOOKING)

    assert time.monotonic() - began < 30
    assert "rate limit" in caught.value.message
    assert "limit on requests" in caught.value.hint


def test_a_limit_of_unsaid_length_is_a_minute(server: GitHubServer) -> None:
    server.fail(secondary_limit(retry_after=None), times=2)

    with client(server, patience=59) as api, pytest.raises(Refused) as caught:
        api.get(PULL, LOOKING)

    assert "limit on requests" in caught.value.hint
    assert server.count() == 1


def test_all_waits_of_a_client_together_have_an_end(server: GitHubServer) -> None:
    server.fail(secondary_limit(retry_after=1), times=99)

    with client(server, patience=2.5) as api, pytest.raises(Refused):
        api.get(PULL, LOOKING)

    assert server.count() == 3


def test_one_in_a_hurry_waits_for_nothing(server: GitHubServer) -> None:
    server.fail(secondary_limit(retry_after=1), times=9)
    server.fail(Fault("slow", seconds=60), times=9)

    with client(server, timeout=60) as api:
        api.hurry(1)
        with pytest.raises(Refused):
            api.get(PULL, LOOKING)
        server.faults.pop(0)
        began = time.monotonic()
        with pytest.raises(Refused, match="ReadTimeout"):
            api.get(PULL, LOOKING)

    assert time.monotonic() - began < 30
    assert server.count() == 2


# ---- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize("whose", ["github-actions[bot]", "octocat"])
def test_a_missing_permission_is_named_as_the_line_to_add(server: GitHubServer, whose: str) -> None:
    server.state.tokens[server.token] = Token(whose, {"pull_requests": "read"})

    with client(server) as api, pytest.raises(Refused) as caught:
        api.create(COMMENTS, WRITING, {"body": "x"})

    assert "403 Resource not accessible by" in caught.value.message
    assert caught.value.hint == "add `pull-requests: write` to the job's `permissions:`"
    assert caught.value.permission == "pull-requests: write"
    assert not caught.value.uncertain
    assert server.count() == 1


def test_another_refusal_is_not_taken_for_a_missing_permission(server: GitHubServer) -> None:
    server.fail(refused(403, "Unable to create comment because issue is locked."))

    with client(server) as api, pytest.raises(Refused, match="issue is locked") as caught:
        api.create(COMMENTS, WRITING, {"body": "x"})

    assert caught.value.permission == ""


def test_the_details_of_a_validation_are_told(server: GitHubServer) -> None:
    with client(server) as api, pytest.raises(Refused) as caught:
        api.create(COMMENTS, WRITING, {"body": "x" * 65537})

    assert "422 Validation Failed; body is too long (maximum is 65536" in caught.value.message


def test_words_of_github_stay_on_one_line(server: GitHubServer) -> None:
    server.fail(refused(422, "one\n::error::two\r\nthree"))

    with client(server) as api, pytest.raises(Refused) as caught:
        api.get(PULL, LOOKING)

    assert "one ::error::two three" in caught.value.message


@pytest.mark.parametrize(
    "body", ["[]", "null", '"x"', "7", "[" * 100_000, '{"message": ["x"], "errors": [7, {"a": 1}]}']
)
def test_a_refusal_of_an_odd_form_is_one_all_the_same(server: GitHubServer, body: str) -> None:
    server.fail(Fault("status", status=422, body=body))

    with client(server) as api, pytest.raises(Refused, match="422"):
        api.get(PULL, LOOKING)


@pytest.mark.parametrize("body", ["null", "[]", "7", "{}", '{"number": "x"}', '{"number": 12}'])
def test_an_answer_of_an_odd_form_is_an_error(server: GitHubServer, body: str) -> None:
    server.fail(Fault("status", status=200, body=body))

    with client(server) as api, pytest.raises(Refused):
        PullRequests(api).get(NUMBER)


@pytest.mark.parametrize("body", ["null", "7", '{"a": []}'])
def test_a_list_of_an_odd_form_is_an_error(server: GitHubServer, body: str) -> None:
    server.fail(Fault("status", status=200, body=body))

    with client(server) as api, pytest.raises(Refused, match="no list"):
        list(api.listed(COMMENTS, LOOKING))


def test_the_token_is_in_no_error_and_no_log(
    server: GitHubServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    faults = [refused(401, "Bad credentials"), refused(502, "x"), Fault("reset"), Fault("slow")]
    for fault in faults:
        server.fail(fault)
    seen = []

    with client(server, patience=0, timeout=1) as api:
        for _ in faults:
            try:
                api.get(PULL, LOOKING)
            except Refused as error:
                seen.append(f"{error}{error.hint}{error.context}{error!r}{error.__cause__!r}")

    assert len(seen) == 3
    assert server.token not in "".join(seen) + caplog.text
    assert server.seen[0].headers["Authorization"] == f"token {server.token}"


def test_a_repository_that_was_renamed_is_found_and_not_written_to(server: GitHubServer) -> None:
    identity = server.repository().identity
    headers = {"Location": f"{server.url}/repositories/{identity}/pulls/{NUMBER}"}
    server.fail(Fault("status", status=301, headers=headers, body='{"message": "Moved"}'))

    with client(server) as api:
        assert api.get(PULL, LOOKING)["number"] == NUMBER
        server.fail(Fault("status", status=307, body='{"message": "Temporary Redirect"}'))
        with pytest.raises(Refused, match="307 Temporary Redirect"):
            api.create(COMMENTS, WRITING, {"body": "x"})


def test_a_redirection_to_another_host_is_not_followed(server: GitHubServer) -> None:
    headers = {"Location": "http://elsewhere.example.com/repos/acme/mono-jobs"}
    server.fail(Fault("status", status=301, headers=headers, body="{}"))

    with client(server) as api, pytest.raises(Refused, match=re.escape("elsewhere.example.com")):
        api.get(PULL, LOOKING)


def test_a_page_of_another_host_is_not_asked_for(server: GitHubServer) -> None:
    link = f"http://elsewhere.example.com/repos/acme/mono-jobs{COMMENTS}?page=2"
    headers = {"Link": f'<{link}>; rel="next"'}
    server.fail(Fault("status", status=200, headers=headers, body="[]"))

    with client(server) as api:
        assert list(api.listed(COMMENTS, LOOKING)) == []

    assert server.seen[1].path == f"/repos/acme/mono-jobs{COMMENTS}?page=2"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://127.0.0.1:9/api/v3"])
def test_an_api_that_is_not_there_is_an_error_with_its_address(url: str) -> None:
    api = GitHubApi("acme/x", token="t", api_url=url, backoff=0.1)

    with pytest.raises(Refused, match=re.escape(url)) as caught:
        api.create(COMMENTS, WRITING, {"body": "x"})

    # Nothing listened: it was certainly not carried out.
    assert not caught.value.uncertain


@pytest.mark.parametrize(
    "url", ["", "nothing", "ftp://example.com", "http://", "http://[::1", "http://x..y"]
)
def test_an_address_that_is_none_is_an_error(url: str) -> None:
    with pytest.raises(Refused):
        GitHubApi("acme/x", token="t", api_url=url, patience=1).get("", LOOKING)


# ---- several at once ----------------------------------------------------------------------------


def test_threads_share_a_client(server: GitHubServer) -> None:
    """PyGithub's connection keeps the request in itself between two calls."""

    def let_others_go_on(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == "getresponse":
            time.sleep(0.01)

    threading.setprofile(let_others_go_on)
    try:
        with client(server) as api, ThreadPoolExecutor(8) as pool:
            made = pool.map(lambda n: api.create(COMMENTS, WRITING, {"body": f"{n}"}), range(24))
            bodies = [one["body"] for one in made]
    finally:
        threading.setprofile(None)

    assert bodies == [f"{n}" for n in range(24)]
    assert sorted(server.repository().bodies(NUMBER), key=int) == bodies


def test_pull_requests_are_read(server: GitHubServer) -> None:
    server.state.pull(server.repository(), 13, "b" * 40, state="closed")

    with client(server) as api:
        pulls = PullRequests(api)

        assert pulls.get(13) == PullRequest(13, open=False, head="b" * 40, base="main")
        assert pulls.open() == (PullRequest(12, open=True, head=HEAD, base="main"),)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", ""])
def test_an_enterprise_server_may_have_an_authority_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    made = certificates(tmp_path)
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    if variable:
        monkeypatch.setenv(variable, str(made.authority))

    with serve_github(GHES, "/api/v3", made) as server:
        if variable:
            assert ask(server) == "main"
        else:
            with pytest.raises(Refused, match="SSLError"):
                ask(server)


def test_the_systems_authorities_are_trusted(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("")

    assert authorities({"SSL_CERT_FILE": str(bundle)}) == str(bundle)
    assert authorities({"SSL_CERT_FILE": str(bundle), "CURL_CA_BUNDLE": "x"}) is True
    assert authorities({"SSL_CERT_FILE": str(tmp_path / "none")}) in (
        "/etc/ssl/certs/ca-certificates.crt",
        True,
    )


def test_an_enterprise_server_tells_whose_its_token_is() -> None:
    with serve_github(GHES, "/api/v3") as server:
        server.state.pull(server.repository(), NUMBER, HEAD)
        with client(server) as api:
            assert api.viewer() == api.viewer() == "github-actions[bot]"
            Comments(api, NUMBER).create("<!-- x -->")

        assert [one.path for one in server.seen] == [
            "/api/graphql",
            "/api/v3/repos/acme/mono-jobs/issues/12/comments",
        ]
        assert not server.violations
