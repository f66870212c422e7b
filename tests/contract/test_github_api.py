"""PyGithub against an HTTP server on loopback that answers as GitHub's API does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from launch_action.core.errors import ServiceError
from launch_action.github.api import default_branch

TOKEN = "ghs_verysecrettoken"


@dataclass
class GitHub:
    """Answers in order, the last one for ever; remembers what was asked."""

    answers: list[tuple[int, str]]
    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def serving(*answers: tuple[int, str], delay: float = 0) -> Iterator[GitHub]:
    github = GitHub(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            github.requests.append((self.path, self.headers.get("Authorization", "")))
            status, body = github.answers[0]
            if len(github.answers) > 1:
                github.answers.pop(0)
            time.sleep(delay)
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    github.url = f"http://127.0.0.1:{server.server_address[1]}/api/v3"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()


def repository(branch: object) -> str:
    return json.dumps(
        {
            "full_name": "acme/x",
            "url": "https://api.github.com/repos/acme/x",
            "default_branch": branch,
        }
    )


def ask(github: GitHub, token: str = TOKEN, timeout: int = 5) -> str:
    return default_branch("acme/x", token=token, api_url=github.url, timeout=timeout)


def test_the_default_branch_is_what_the_api_at_the_given_address_says() -> None:
    with serving((200, repository("trunk"))) as github:
        assert ask(github) == "trunk"

    assert github.requests == [("/api/v3/repos/acme/x", f"token {TOKEN}")]


def test_without_a_token_none_is_sent() -> None:
    with serving((200, repository("trunk"))) as github:
        assert ask(github, token="") == "trunk"

    assert github.requests[0][1] == ""


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_gives_the_words_of_github_and_never_the_token(status: int) -> None:
    body = json.dumps({"message": "Resource not accessible by integration"})
    with serving((status, body)) as github, pytest.raises(ServiceError) as caught:
        ask(github)

    assert f"{status} Resource not accessible by integration" in str(caught.value)
    assert TOKEN not in str(caught.value) + caught.value.hint


def test_a_passing_fault_is_tried_again() -> None:
    with serving((502, "<html>"), (200, repository("trunk"))) as github:
        assert ask(github) == "trunk"

    assert len(github.requests) == 2


def test_a_lasting_fault_ends_after_a_few_tries() -> None:
    with serving((503, "<html>")) as github, pytest.raises(ServiceError, match="503"):
        ask(github)

    assert len(github.requests) == 3


def test_a_rate_limit_is_an_error_at_once_not_an_hour_of_waiting() -> None:
    body = json.dumps({"message": "API rate limit exceeded"})
    with serving((429, body)) as github, pytest.raises(ServiceError, match="rate limit"):
        ask(github)

    assert len(github.requests) == 1


@pytest.mark.parametrize("branch", [None, "", 3, ["x"]])
def test_an_answer_without_a_branch_is_an_error(branch: object) -> None:
    with serving((200, repository(branch))) as github, pytest.raises(ServiceError):
        ask(github)


def test_an_answer_that_is_not_json_is_an_error() -> None:
    with serving((200, "<html>a proxy's page</html>")) as github, pytest.raises(ServiceError):
        ask(github)


def test_an_api_that_does_not_answer_is_an_error_with_its_address() -> None:
    with (
        serving((200, repository("trunk")), delay=3) as github,
        pytest.raises(ServiceError) as caught,
    ):
        ask(github, timeout=1)

    assert github.url in str(caught.value)


def test_an_api_that_is_not_there_is_an_error_with_its_address() -> None:
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:9"):
        default_branch("acme/x", token="", api_url="http://127.0.0.1:9", timeout=1)
