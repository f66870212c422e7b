"""What goes wrong with a registry, in words: the cause, the registry's own message, what to do.

Nothing here repeats a URL's query or a header, and `Secrets` takes out what a hostile or careless
server repeats of them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

from launch_action.core.errors import RegistryError
from launch_action.core.reference import DOCKER_HUB

_LONGEST = 300
_SHORTEST_SECRET = 4
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")
_ECR = re.compile(
    r"(?:\d+\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?|public\.ecr\.aws)"
)
_GOOGLE = re.compile(r"(?:.+\.)?gcr\.io|.+-docker\.pkg\.dev")

_GHCR = (
    "give the workflow job 'permissions: packages: write' and this repository write access to the "
    "package (package settings, Manage Actions access); elsewhere log in to ghcr.io with a token "
    "of scope write:packages"
)
_RATE_LIMIT = (
    "Docker Hub limits pulls per address and account: log in with docker login, or pull through "
    "a mirror with --registry-mirror"
)


class Refused(RegistryError):
    """The registry answered, and the answer was no."""


class Corrupt(RegistryError):
    """What was received is not what its digest or size says."""


class Secrets:
    """The secrets in use; `clean` takes them out of a text."""

    def __init__(self) -> None:
        self._words: set[str] = set()

    def add(self, *words: str) -> None:
        self._words |= {word for word in words if len(word) >= _SHORTEST_SECRET}

    def clean(self, text: str) -> str:
        """One line of at most 300 characters without control characters and secrets."""
        for word in sorted(self._words, key=len, reverse=True):
            text = text.replace(word, "***")
        line = _CONTROL.sub(" ", text).strip()
        return line if len(line) <= _LONGEST else line[:_LONGEST] + "..."


def basic(username: str, password: str) -> str:
    """The credentials of `Authorization: Basic` (RFC 7617)."""
    return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def said(body: bytes) -> str:
    """A registry's own message: the `errors` of OCI distribution 1.1, or a token server's."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text
    return "; ".join(dict.fromkeys(_messages(found)))


def error_codes(body: bytes) -> frozenset[str]:
    """The error codes of OCI distribution 1.1 in an answer, such as `BLOB_UNKNOWN`."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return frozenset()
    errors = found.get("errors") if isinstance(found, dict) else None
    entries = errors if isinstance(errors, list) else []
    return frozenset(str(e.get("code", "")).upper() for e in entries if isinstance(e, dict))


def _messages(found: Any) -> Iterator[str]:
    if not isinstance(found, dict):
        return
    errors = found.get("errors")
    for entry in errors if isinstance(errors, list) else ():
        if isinstance(entry, dict):
            parts = (entry.get("code"), entry.get("message"))
            yield ": ".join(str(part) for part in parts if part)
    for name in ("message", "details", "error_description", "error"):
        if isinstance(found.get(name), str):
            yield found[name]


def refusal(*, host: str, status: int, doing: str, text: str, login: bool) -> Refused:
    """A registry's no: `doing` says what was asked (`writing ghcr.io/acme/train:v1`), `text` what
    it said, already cleaned; `login` tells whether it was asked with credentials."""
    message = f"registry {host} answered {status} {doing}" + (f": {text}" if text else "")
    return Refused(message, hint=_hint(host, status, text, login))


def _hint(host: str, status: int, text: str, login: bool) -> str:
    if status in (401, 403):
        return _access_hint(host, login)
    if status == 404:
        return _missing_hint(host)
    if status == 429:
        return _RATE_LIMIT if host == DOCKER_HUB else "the registry limits requests; wait a little"
    if status == 413:
        return "a proxy before the registry limits the size of a request; raise its limit"
    if status in (400, 426) and "https" in text.lower():
        return f"the registry speaks https: take {host} out of --insecure-registry"
    if status >= 500:
        return "the registry has a fault of its own; try again later, or ask who runs it"
    return "check the repository's name, and that the address is a registry's"


def _access_hint(host: str, login: bool) -> str:
    if host == "ghcr.io":
        return _GHCR
    if host == DOCKER_HUB and not login:
        return (
            "the repository does not exist, or is private: log in with docker login, or give "
            "--registry-username and --registry-password"
        )
    if host == DOCKER_HUB:
        return "the login must be allowed to write there: its own account or an organisation's team"
    if _ECR.fullmatch(host):
        return (
            f"log in: aws ecr get-login-password | docker login -u AWS --password-stdin {host}; a "
            "push needs ecr:InitiateLayerUpload, ecr:UploadLayerPart, ecr:CompleteLayerUpload, "
            "ecr:PutImage"
        )
    if _GOOGLE.fullmatch(host):
        return f"log in: gcloud auth configure-docker {host}; a push needs artifactregistry.writer"
    if host.endswith(".azurecr.io"):
        return f"log in: az acr login --name {host.split('.')[0]}; a push needs the role AcrPush"
    if login:
        return f"the login for {host} was sent and refused: renew it, or grant it this repository"
    return (
        f"no login for {host} was found: docker login {host}, or give --registry-username and "
        "--registry-password"
    )


def _missing_hint(host: str) -> str:
    if _ECR.fullmatch(host):
        return "the repository must exist first: aws ecr create-repository --repository-name NAME"
    return "check the name; some registries want the repository or project to be created first"


def unreachable(host: str, cause: str) -> RegistryError:
    """No connection, or none that lasted."""
    return RegistryError(
        f"cannot reach {host}: {cause}",
        hint="check the name, the network, and HTTPS_PROXY and NO_PROXY",
    )


def untrusted(host: str, cause: str) -> RegistryError:
    """TLS failed: another protocol, or a certificate that is not trusted."""
    if any(
        word in cause.upper()
        for word in ("WRONG_VERSION_NUMBER", "RECORD_LAYER", "UNKNOWN_PROTOCOL", "HTTP_REQUEST")
    ):
        return RegistryError(
            f"{host} does not speak https",
            hint=f"if plain http is meant there: --insecure-registry {host}",
        )
    return RegistryError(
        f"the certificate of {host} is not trusted: {cause}",
        hint="if its authority is a private one, give its certificate with --registry-ca FILE",
    )


def corrupt(what: str, found: str) -> Corrupt:
    """`what` was asked for; `found` is what came instead."""
    return Corrupt(
        f"{what} was received damaged: {found}",
        hint="something on the way changes the content, or the registry's storage is damaged",
    )
