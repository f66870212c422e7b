"""GitHub's REST API for one repository, through PyGithub.

PyGithub brings the authentication, the addresses of Enterprise Servers and the connection. Its
objects are not used: they ask for what they lack unseen, cannot send a deployment's `log_url`, and
hide the status by which GitHub tells a merge from a deployment. Its own retries sleep until a rate
limit ends, which may take an hour.

A request is sent again where GitHub says that it came too fast, whatever it is, since it was not
carried out; where GitHub has a fault or no answer comes, only one that may be carried out twice.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from launch_action.core.dataclass import dataclass, field
from launch_action.github.answer import NO_DOCUMENT, Answer
from launch_action.github.authorities import authorities
from launch_action.github.refusal import Purpose, Refused, nonsense, refused, unreachable

if TYPE_CHECKING:
    from github import Github

TIMEOUT = 15  # seconds in which something of an answer must come; PyGithub takes whole ones
TRIES = 3
# Seconds that one client waits at most in its life, all waits together.
PATIENCE = 60.0
# Seconds that are waited about after a first fault; after each other one, twice as long.
BACKOFF = 1.0
PAGE = 100
_MOST_PAGES = 100
MOST = PAGE * _MOST_PAGES  # of a longer list the rest is left away
_NEXT = re.compile(r'<([^<>]+)>;\s*rel="next"')
_VIEWER = "{ viewer { login } }"


class GitHubApi:
    """The API below `/repos/OWNER/NAME`; all paths are relative to it. Its methods raise Refused.

    Without a repository paths are as GitHub documents them, from their beginning.

    Usable from several threads: PyGithub's connection is not, so that they wait for each other.
    Nothing heavy is imported, and nothing connected, before the first request.
    """

    def __init__(
        self,
        repository: str,
        *,
        token: str,
        api_url: str,
        timeout: int = TIMEOUT,
        patience: float = PATIENCE,
        backoff: float = BACKOFF,
    ) -> None:
        self.repository = repository
        self._token = token
        self._url = api_url
        self._timeout = timeout
        self._patience = patience
        self._backoff = backoff
        self._lock = threading.Lock()
        self._client: Github | None = None
        self._client_timeout = timeout
        self._viewer = ""

    def __enter__(self) -> GitHubApi:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def has_token(self) -> bool:
        return bool(self._token)

    def close(self) -> None:
        """Close the connection; a later request opens another one."""
        with self._lock:
            if self._client:
                self._client.close()
            self._client = None

    def hurry(self, timeout: int) -> None:
        """From now on, wait no more between tries, and at most so many seconds for an answer."""
        self._timeout, self._patience = timeout, 0.0

    def get(self, path: str, purpose: Purpose, **parameters: str) -> Any:
        """The document at the path."""
        request = _Request("GET", self._path(path), purpose, parameters, again=True)
        return self._ask(request).document()

    def listed(
        self, path: str, purpose: Purpose, *, inside: str = "", **parameters: str
    ) -> Iterator[Mapping[str, Any]]:
        """The objects of a list, page by page; `inside` names it where a page is an object."""
        query = {"per_page": str(PAGE), **parameters}
        request = _Request("GET", self._path(path), purpose, query, again=True)
        for _ in range(_MOST_PAGES):
            answer = self._ask(request)
            page = answer.document()
            if inside and isinstance(page, dict):
                page = page.get(inside)
            if not isinstance(page, list):
                raise nonsense(purpose, "its answer is no list")
            yield from (one for one in page if isinstance(one, dict))
            # PyGithub takes the path of an address alone: the token goes nowhere else.
            following = _NEXT.search(answer.headers.get("link", ""))
            if not following:
                return
            request = _Request("GET", following[1], purpose, again=True)

    def create(
        self, path: str, purpose: Purpose, body: Mapping[str, Any], *, again: bool = False
    ) -> Mapping[str, Any]:
        """Make an object; `again`: a second one would do no harm.

        Otherwise a refusal is `uncertain` where it may have been made all the same.
        """
        return self._changed(_Request("POST", self._path(path), purpose, body=body, again=again))

    def change(self, path: str, purpose: Purpose, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Give an object these values; the object after it."""
        return self._changed(_Request("PATCH", self._path(path), purpose, body=body, again=True))

    def remove(self, path: str, purpose: Purpose) -> None:
        """Remove an object; one that is gone already is removed."""
        try:
            self._ask(_Request("DELETE", self._path(path), purpose, again=True))
        except Refused as error:
            if error.status not in (404, 410):
                raise

    def viewer(self) -> str:
        """Who the token stands for, such as `github-actions[bot]`; asked once.

        Of a workflow's token, GraphQL alone tells it.
        """
        if not self._viewer:
            purpose = Purpose("say whose token this is", "metadata: read")
            body = {"query": _VIEWER, "variables": {}}
            document = self._ask(_Request("POST", "", purpose, body=body, again=True)).document()
            try:
                self._viewer = str(document["data"]["viewer"]["login"])
            except (KeyError, TypeError) as error:
                raise nonsense(purpose, "its answer has no viewer") from error
        return self._viewer

    def _path(self, path: str) -> str:
        return f"/repos/{quote(self.repository)}{path}" if self.repository else path

    def _changed(self, request: _Request) -> Mapping[str, Any]:
        answer = self._ask(request)
        document = answer.document()
        # GitHub answers a deployment with 202 when it has merged instead.
        if answer.status not in (200, 201) or not isinstance(document, dict):
            raise refused(answer, request.purpose)
        return document

    def _ask(self, request: _Request) -> Answer:
        """The answer that does what is asked, after as many tries as there is patience for."""
        failed = 0
        while True:
            outcome = self._try(request)
            if isinstance(outcome, Answer):
                return outcome
            if outcome.wait is not None:
                again = self._wait(outcome.wait)
            else:
                failed += 1
                again = outcome.passing and failed < TRIES and self._pause(failed)
            if not again:
                raise outcome.error

    def _try(self, request: _Request) -> Answer | _Failure:
        """Send a request once."""
        try:
            answer = self._send(request)
        except _NoAnswer as silence:
            error = unreachable(
                request.purpose,
                self._url,
                str(silence),
                uncertain=request.writes and not silence.unsent,
            )
            passing = silence.passing and (request.again or silence.unsent)
            return _Failure(error, passing=passing)
        if answer.ok and answer.document() is not NO_DOCUMENT:
            return answer
        error = refused(answer, request.purpose, uncertain=request.writes and answer.passes)
        if answer.is_limit:
            return _Failure(error, passing=False, wait=answer.wait())
        return _Failure(error, passing=request.again and answer.passes)

    def _send(self, request: _Request) -> Answer:
        """What PyGithub is answered. Raises _NoAnswer."""
        import requests

        try:
            with self._lock:
                requester = self._connected().requester
                url = request.url or requester.graphql_url
                status, headers, text = requester.requestJson(
                    request.verb, url, dict(request.parameters), None, request.body
                )
        except requests.RequestException as error:
            unsent = isinstance(error, requests.ConnectTimeout) or "NewConnection" in str(error)
            raise _NoAnswer(type(error).__name__, unsent=unsent) from error
        except ValueError as error:  # for an address, given or redirected to, that none can be
            raise _NoAnswer(str(error), unsent=False, passing=False) from error
        except RuntimeError as error:  # PyGithub's, for a redirection elsewhere
            raise _NoAnswer(str(error), unsent=True, passing=False) from error
        return Answer(status, headers, text)

    def _connected(self) -> Github:
        from github import Auth, Github

        parts = urlsplit(self._url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(f"this is no address of GitHub's API: {self._url!r}")
        if self._client is None or self._client_timeout != self._timeout:
            self._client_timeout = self._timeout
            self._client = Github(
                auth=Auth.Token(self._token) if self._token else None,
                base_url=self._url,
                timeout=self._timeout,
                verify=authorities(os.environ),
                retry=None,
                user_agent="launch-action",
                seconds_between_requests=0,
                seconds_between_writes=0,
            )
        return self._client

    def _pause(self, failed: int) -> bool:
        """Wait before the next try, so that clients that failed together do not come together."""
        import random

        about = self._backoff * 2.0 ** (failed - 1)
        return self._wait(random.uniform(about / 2, about * 1.5))  # noqa: S311  spreads load

    def _wait(self, seconds: float) -> bool:
        """Sleep, where the patience still holds so long; False where it does not."""
        with self._lock:
            if seconds > self._patience:
                return False
            self._patience -= seconds
        time.sleep(seconds)
        return True


@dataclass(frozen=True, slots=True)
class _Request:
    """A request; `again`: it may be carried out twice. An empty address is GraphQL's."""

    verb: str
    url: str
    purpose: Purpose
    parameters: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    again: bool = False

    @property
    def writes(self) -> bool:
        return self.verb != "GET"


@dataclass(frozen=True, slots=True)
class _Failure:
    """A try that failed: whether another may go better, after `wait` seconds where GitHub says."""

    error: Refused
    passing: bool
    wait: float | None = None


class _NoAnswer(Exception):
    """No answer came; `unsent` where the request certainly was not carried out."""

    def __init__(self, reason: str, *, unsent: bool, passing: bool = True) -> None:
        super().__init__(reason)
        self.unsent = unsent
        self.passing = passing
