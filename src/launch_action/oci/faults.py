"""What goes wrong with a registry, in words: the cause, the registry's own message, what to do.

Nothing here repeats a URL's query or a header, and `Secrets` takes out what a hostile or careless
server repeats of them.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from launch_action.core.errors import RegistryError

_LONGEST = 300
_SHORTEST_SECRET = 4
_CONTROL_BYTE = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\s]+")


class Refused(RegistryError):
    """The registry answered, and the answer was no."""


class TokenRefused(Refused):
    """The token server answered, and gave no token for what was asked."""


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
        return _plain(body)
    return "; ".join(dict.fromkeys(_messages(found)))


def _plain(body: bytes) -> str:
    """A body that is not JSON, if a person can read it: no page, and no compressed bytes."""
    text = body.decode("utf-8", "replace").strip()
    readable = "\ufffd" not in text and not _CONTROL_BYTE.search(body)
    return text if readable and not text.startswith("<") else ""


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
            detail = entry.get("detail")
            detail = detail.get("message") if isinstance(detail, dict) else detail  # Quay's
            parts = (entry.get("code"), entry.get("message"), isinstance(detail, str) and detail)
            yield ": ".join(str(part) for part in parts if part)
    for name in ("message", "details", "error_description", "error"):
        if isinstance(found.get(name), str):
            yield found[name]


def refusal(
    *,
    host: str,
    status: int,
    doing: str,
    text: str,
    login: bool,
    headers: Mapping[str, str] | None = None,
) -> Refused:
    """A registry's no: `doing` says what was asked (`writing ghcr.io/acme/train:v1`), `text` what
    it said, already cleaned; `login` tells whether it was asked with credentials."""
    from launch_action.oci.hints import hint

    message = f"registry {host} answered {status} {doing}" + (f": {text}" if text else "")
    return Refused(message, hint=hint(host, status, text, login=login, headers=headers))


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
    own = "MISMATCH" in cause.upper() or "EXPIRED" in cause.upper()
    private = "if its authority is a private one, give its certificate with --registry-ca FILE"
    return RegistryError(
        f"the certificate of {host} is not trusted: {cause}",
        hint="use the name that its certificate is for, or have it renewed" if own else private,
    )


def corrupt(what: str, found: str) -> Corrupt:
    """`what` was asked for; `found` is what came instead."""
    return Corrupt(
        f"{what} was received damaged: {found}",
        hint="something on the way changes the content, or the registry's storage is damaged",
    )
