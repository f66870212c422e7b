"""Who we are at one registry: what it asked for, and the tokens got for that.

Sources: the distribution project's "Token Authentication Specification" and "OAuth 2.0 token
authentication" (identity tokens), RFC 7617 (Basic).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import RegistryError
from launch_action.core.image import parse_object
from launch_action.oci.challenge import Challenge, parse_challenges
from launch_action.oci.docker_config import Credential, Credentials
from launch_action.oci.faults import Secrets, TokenRefused, basic, refusal, said
from launch_action.oci.retry import TRANSIENT, Transient, retry_after
from launch_action.oci.transport import Answer, Meter

Scopes = frozenset[str]

# The specification's lifetime of a token that does not tell its own.
_DEFAULT_SECONDS = 60.0
_CLIENT = "launch-action"


class Ask(Protocol):
    """Sends one request of the token protocol; the address was checked, redirects are followed."""

    def __call__(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, meter: Meter
    ) -> Answer: ...


def scope(path: str, actions: str) -> str:
    """The scope of actions (`pull`, `pull,push`, `delete`) on a repository's path."""
    return f"repository:{path}:{actions}"


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    expires: float


class Authority:
    """The authorization of one registry host, shared by threads.

    A token is fetched once per set of scopes; once the registry's challenge is known, before the
    request that needs it. `plain` allows token servers without TLS.
    """

    def __init__(
        self, host: str, credentials: Credentials, ask: Ask, secrets: Secrets, *, plain: bool
    ) -> None:
        self._host = host
        self._credentials = credentials
        self._ask = ask
        self._secrets = secrets
        self._plain = plain
        self._challenge: Challenge | None = None
        self._tokens: dict[Scopes, _Token] = {}
        # Scopes of repositories that the registry calls otherwise (a proxy that puts a prefix).
        self._renamed: dict[Scopes, Scopes] = {}
        self._lock = threading.Lock()

    @property
    def has_login(self) -> bool:
        """Whether the requests go out under a login; only asked after the registry asked."""
        return self._challenge is not None and self._credentials.find(self._host) is not None

    def header(self, scopes: Scopes, meter: Meter) -> str | None:
        """The `Authorization` field, None as long as the registry asked for none."""
        with self._lock:
            return self._header(scopes, meter)

    def learn(
        self, fields: Iterable[str], scopes: Scopes, refused: str | None, meter: Meter
    ) -> bool:
        """Take in the challenge of a 401; whether there is another header than `refused` to try.

        Raises RegistryError when the token server refuses, or when no scheme is known.
        """
        challenges = parse_challenges(fields)
        known = {c.scheme: c for c in reversed(challenges)}
        chosen = known.get("bearer") or known.get("basic")
        if chosen is None:
            schemes = ", ".join(sorted(known)) or "none"
            raise RegistryError(
                f"registry {self._host} asks for a login by {schemes}, not by Bearer or Basic",
                hint="check that the address is a registry's, and not that of a web page",
            )
        with self._lock:
            token = self._tokens.get(scopes)
            if token and refused == f"Bearer {token.value}":
                del self._tokens[scopes]
            self._challenge = chosen
            self._renamed[scopes] = frozenset(s for s in chosen.scopes if not _covers(scopes, s))
            return self._header(scopes, meter) not in (None, refused)

    def _header(self, scopes: Scopes, meter: Meter) -> str | None:
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            return self._basic(self._credentials.find(self._host))
        token = self._tokens.get(scopes)
        if token is None or token.expires <= time.monotonic():
            token = self._fetch(self._challenge, scopes, meter)
            self._tokens[scopes] = token
        return f"Bearer {token.value}"

    def _basic(self, credential: Credential | None) -> str | None:
        if credential is None or not credential.username:
            return None
        pair = basic(credential.username, credential.password)
        self._secrets.add(pair, credential.password)
        return f"Basic {pair}"

    def _fetch(self, challenge: Challenge, scopes: Scopes, meter: Meter) -> _Token:
        credential = self._credentials.find(self._host)
        realm = self._realm(challenge)
        wanted = sorted(scopes | self._renamed.get(scopes, frozenset()))
        if credential and credential.identity_token:
            answer = self._exchange_identity(realm, challenge, wanted, credential, meter)
        else:
            answer = self._get(realm, challenge, wanted, credential, meter)
        return self._read(answer, urlsplit(realm).netloc, wanted, login=credential is not None)

    def _get(
        self,
        realm: str,
        challenge: Challenge,
        wanted: list[str],
        credential: Credential | None,
        meter: Meter,
    ) -> Answer:
        query = [("service", challenge.get("service"))] if challenge.get("service") else []
        query += [("scope", one) for one in wanted]
        if credential and credential.username:
            query.append(("account", credential.username))
        header = self._basic(credential)
        url = realm + ("&" if "?" in realm else "?") + urlencode(query, quote_via=quote, safe=":/")
        headers = {"Authorization": header} if header else {}
        return self._ask("GET", url, headers=headers, body=None, meter=meter)

    def _exchange_identity(
        self,
        realm: str,
        challenge: Challenge,
        wanted: list[str],
        credential: Credential,
        meter: Meter,
    ) -> Answer:
        self._secrets.add(credential.identity_token)
        form = {
            "grant_type": "refresh_token",
            "service": challenge.get("service"),
            "client_id": _CLIENT,
            "scope": " ".join(wanted),
            "refresh_token": credential.identity_token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode(form).encode("ascii")
        return self._ask("POST", realm, headers=headers, body=body, meter=meter)

    def _realm(self, challenge: Challenge) -> str:
        realm = challenge.get("realm")
        try:
            parts = urlsplit(realm)
            parts.port  # noqa: B018  read for its ValueError
        except ValueError:
            parts = urlsplit("")
        # A realm without TLS would carry the login of a registry with TLS over the open network.
        if parts.hostname and (parts.scheme == "https" or (self._plain and parts.scheme == "http")):
            return realm
        raise RegistryError(
            f"registry {self._host} names no token server that can be trusted: {realm[:100]!r}",
            hint="the registry's token realm must be an https address",
        )

    def _read(self, answer: Answer, server: str, wanted: list[str], *, login: bool) -> _Token:
        body = answer.read() if answer.status == 200 else answer.complaint()
        if answer.status != 200:
            text = self._secrets.clean(said(body))
            doing = f"giving a token for {' '.join(wanted) or self._host} (token server {server})"
            error = refusal(
                host=self._host, status=answer.status, doing=doing, text=text, login=login,
                headers=answer.headers,
            )  # fmt: skip
            if answer.status in TRANSIENT:
                raise Transient(error, after=retry_after(answer.headers.get("Retry-After")))
            raise TokenRefused(error.message, hint=error.hint)
        found = parse_object(body, f"the answer of the token server {server}")
        value = found.get("token") or found.get("access_token")
        if not isinstance(value, str) or not value or not value.isprintable():
            raise RegistryError(
                f"the token server {server} of {self._host} gave no token",
                hint="check that the registry's token server is in order",
            )
        self._secrets.add(value)
        return _Token(value, time.monotonic() + _lifetime(found.get("expires_in")))


def _covers(scopes: Scopes, other: str) -> bool:
    """Whether a scope of the registry's is of a repository that we ask for anyway."""
    return other.rpartition(":")[0] in {one.rpartition(":")[0] for one in scopes}


def _lifetime(told: object) -> float:
    """Seconds to use a token for: a little less than it lives, so that it arrives alive."""
    seconds = float(told) if isinstance(told, int | float) and told > 0 else _DEFAULT_SECONDS
    return seconds - min(10.0, seconds * 0.1)
