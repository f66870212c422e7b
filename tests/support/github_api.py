"""A GitHub API on loopback: state, permissions, pages, limits, and faults on demand.

Every request is held against GitHub's published description, and every answer too, so that
neither the program nor this server can drift from GitHub. What breaks the description is kept in
`violations`, and the fixture fails the test for it.
"""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from support.github_answers import answer
from support.github_description import GITHUB
from support.github_request import Answer, Refusal, Request
from support.github_schema import Operation, find
from support.github_state import WORKFLOW_TOKEN, Repository, State, Token
from support.loopback import Certificates, serving

from launch_action.github.api import GitHubApi

Kind = Literal["status", "reset", "lose", "garbage", "truncate", "slow"]
_MEDIA = re.compile(r"application/(vnd\.github(\.[\w-]+)*\+)?json|\*/\*")


@dataclass(slots=True)
class Fault:
    """What is to happen to the next `times` requests whose method and path match.

    status: `status`, `headers` and `body` are the answer. reset: the connection is cut before
    anything is done. lose: the request is carried out, its answer lost. garbage: 200 with `body`,
    which is no JSON. truncate: the answer ends in the middle. slow: it comes after `seconds`.
    """

    kind: Kind
    method: str = ".*"
    path: str = ".*"
    times: int = 1
    status: int = 502
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "<html><title>Unicorn!</title></html>"
    seconds: float = 0


def refused(status: int, message: str, headers: Mapping[str, str] | None = None) -> Fault:
    """A refusal in GitHub's form; `method`, `path` and `times` are set by the test."""
    body = json.dumps({"message": message, "documentation_url": "https://docs.github.com/rest"})
    return Fault("status", status=status, body=body, headers=headers or {})


def secondary_limit(status: int = 403, retry_after: int | None = 1) -> Fault:
    """The limit on requests that come too fast."""
    message = (
        "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    )
    return refused(
        status, message, {} if retry_after is None else {"Retry-After": str(retry_after)}
    )


def primary_limit(seconds: int, status: int = 403) -> Fault:
    """The limit on requests an hour, which ends in `seconds`."""
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + seconds)}
    return refused(status, "API rate limit exceeded for installation ID 7.", headers)


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived: method, path with query, body as JSON."""

    method: str
    path: str
    body: Any
    headers: Mapping[str, str]


@dataclass(slots=True)
class GitHubServer:
    """The running server: `faults` are used up in order, `seen` grows."""

    state: State
    prefix: str = ""
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    token: str = WORKFLOW_TOKEN

    @property
    def url(self) -> str:
        """What GITHUB_API_URL is to be."""
        return self.state.url

    def repository(self, full_name: str = "acme/mono-jobs", **about: Any) -> Repository:
        return self.state.repository(full_name, **about)

    def fail(self, fault: Fault, method: str = ".*", path: str = ".*", times: int = 1) -> None:
        """Have the next requests that match meet a fault."""
        fault.method, fault.path, fault.times = method, path, times
        with self.state.lock:
            self.faults.append(fault)

    def allow(self, **permissions: str) -> None:
        """Give the workflow's token these permissions and no other."""
        self.state.tokens[self.token] = Token(permissions=permissions)

    def count(self, method: str = ".*", path: str = "") -> int:
        """How many requests of this method came whose path matches."""
        return sum(
            bool(re.fullmatch(method, one.method) and re.search(path, one.path))
            for one in self.seen
        )

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets."""
        with self.state.lock:
            for fault in self.faults:
                if re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None


def client(server: GitHubServer) -> GitHubApi:
    """Our client of it, which does not wait long."""
    return GitHubApi(
        "acme/mono-jobs",
        token=server.token,
        api_url=server.url,
        timeout=5,
        patience=3,
        backoff=0.1,
    )


@contextmanager
def serve_github(
    edition: str = GITHUB, prefix: str = "", tls: Certificates | None = None
) -> Iterator[GitHubServer]:
    """A GitHub of its own, with the repository `acme/mono-jobs`; it ends with the block.

    `edition` and `prefix` (`/api/v3`) make it an Enterprise Server, `tls` one by https.
    """
    github = GitHubServer(State(edition=edition), prefix)

    class Handler(_Handler):
        shared = github

    with serving(Handler, tls) as address:
        github.state.url = f"{'https' if tls else 'http'}://{address}{prefix}"
        github.repository()
        yield github


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet an answer: a second one would wait for the first one's acknowledgement.
    wbufsize = -1
    shared: GitHubServer

    def do_GET(self) -> None:
        github = self.shared
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        seen = Seen(self.command, self.path, _json(raw), dict(self.headers.items()))
        with github.state.lock:
            github.seen.append(seen)
        fault = github.take(self.command, self.path)
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault and fault.kind == "reset":
            self._cut()
        elif fault and fault.kind in ("status", "garbage"):
            status = fault.status if fault.kind == "status" else 200
            self._send(status, fault.body.encode(), fault.headers)
        else:
            with github.state.lock:
                found = respond(github, seen, raw)
            body = b"" if found.body is None else json.dumps(found.body).encode()
            if fault and fault.kind == "lose":
                self._cut()
            else:
                cut = len(body) // 2 if fault and fault.kind == "truncate" else None
                self._send(found.status, body, found.headers, cut)

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str], cut: int | None = None
    ) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("X-GitHub-Media-Type", "github.v3; format=json")
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:cut])
            self.wfile.flush()
        except OSError:  # the one who asked is gone
            self.close_connection = True
        if cut is not None:
            self.close_connection = True

    def _cut(self) -> None:
        """Close so that the peer gets a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        return


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode("utf-8", "replace")


def respond(github: GitHubServer, seen: Seen, raw: bytes) -> Answer:
    """The answer to a request, checked as the request is."""
    try:
        token = _token(github.state, seen.headers)
        if urlsplit(seen.path).path in ("/graphql", "/api/graphql"):
            return _graphql(seen, token)
        operation, request = _request(github, seen, raw, token)
    except Refusal as refusal:
        return refusal.answer
    except _Violation as violation:
        github.violations.append(f"{seen.method} {seen.path}: {violation}")
        return Answer(400, {"message": f"against GitHub's description: {violation}"})
    try:
        found = answer(github.state, request)
    except Refusal as refusal:
        found = refusal.answer
    error = operation.wrong_answer(found.status, found.body)
    if error:
        github.violations.append(f"the answer to {seen.method} {seen.path}: {error}")
    return found


class _Violation(Exception):
    """The request is not one that GitHub describes."""


def _token(state: State, headers: Mapping[str, str]) -> Token | None:
    named = {name.lower(): value for name, value in headers.items()}
    if not named.get("user-agent"):
        raise Refusal(403, "Request forbidden by administrative rules.")
    given = named.get("authorization")
    if given is None:
        return None
    kind, _, text = given.partition(" ")
    if kind.lower() not in ("token", "bearer") or text not in state.tokens:
        raise Refusal(401, "Bad credentials")
    return state.tokens[text]


def _request(
    github: GitHubServer, seen: Seen, raw: bytes, token: Token | None
) -> tuple[Operation, Request]:
    parts = urlsplit(seen.path)
    if not parts.path.startswith(github.prefix):
        raise _Violation(f"the API is below {github.prefix}")
    path = _by_name(github.state, parts.path[len(github.prefix) :])
    found = find(github.state.edition, seen.method, path)
    if found is None:
        raise _Violation("no such operation, or not one that the tests know")
    operation, values = found
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    body = seen.body if raw else None
    error = (
        _wrong_headers(seen.headers, raw)
        or operation.wrong_path(values)
        or operation.wrong_query(query)
        or operation.wrong_body(body)
    )
    if error:
        raise _Violation(error)
    return operation, Request(operation, values, query, body, token)


def _by_name(state: State, path: str) -> str:
    """Links to other pages name a repository by its number."""
    match = re.match(r"/repositories/(\d+)(.*)", path)
    if match is None:
        return path
    for repository in state.repositories.values():
        if str(repository.identity) == match[1]:
            return f"/repos/{repository.full_name}{match[2]}"
    return path


def _wrong_headers(headers: Mapping[str, str], raw: bytes) -> str:
    named = {name.lower(): value for name, value in headers.items()}
    if not all(_MEDIA.fullmatch(one.strip()) for one in named.get("accept", "*/*").split(",")):
        return f"Accept: {named.get('accept')}"
    if raw and named.get("content-type", "").split(";")[0] != "application/json":
        return f"Content-Type: {named.get('content-type')}"
    version = named.get("x-github-api-version", "2022-11-28")
    return "" if re.fullmatch(r"20\d\d-\d\d-\d\d", version) else f"version {version}"


def _graphql(seen: Seen, token: Token | None) -> Answer:
    """The one question that REST does not answer for a workflow's token: whose it is."""
    if token is None:
        raise Refusal(401, "This endpoint requires you to be authenticated.")
    query = seen.body.get("query", "") if isinstance(seen.body, dict) else ""
    if not re.fullmatch(r"(query)?\s*\{\s*viewer\s*\{\s*login\s*\}\s*\}\s*", query):
        return Answer(200, {"errors": [{"message": "the tests know only the viewer's login"}]})
    return Answer(200, {"data": {"viewer": {"login": token.login}}})
