"""The address of a git repository as a user gives it, with what it may carry of a login."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote, urlsplit

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError

Protocol = Literal["https", "http", "ssh"]

_SCP = re.compile(r"(?:[A-Za-z0-9_][\w.+-]*@)?(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][\w.-]*):(?!//)\S+")
# `user:password@host:path` is no spelling of ssh: the user would be its host.
_LOGIN = re.compile(r"[^@/\[]*:[^/]*@")
_TRANSPORT = re.compile(r"[^@/\[]*::")
_HOST = re.compile(r"[A-Za-z0-9](?:[\w.-]*\w)?|[0-9A-Fa-f:.]+")
_UNUSABLE = re.compile(r"[\x00-\x20\x7f]")
_HINT = "use https://host/owner/repository, ssh://git@host/owner/repository or git@host:path"


@dataclass(frozen=True, slots=True)
class GitAddress:
    """Where to fetch from. `url` is as given, without user and password of an http(s) URL.

    `host` is `protocol://host[:port]`, for which the login is, empty for ssh.
    """

    url: str
    protocol: Protocol
    host: str = ""
    username: str = ""
    password: str = field(default="", repr=False)


def is_git_address(text: str) -> bool:
    """Whether this is meant as an address rather than a directory: a URL, or `host:path`."""
    return "://" in text or "::" in text or _SCP.fullmatch(text) is not None


def parse_git_address(text: str) -> GitAddress:
    """Read an address. Raises InputError for another protocol than https, http and ssh.

    git would run a program for `ext::...` and read any file of this machine for `file://...`, and
    takes what begins with `-` for an option.

    >>> parse_git_address("https://me:secret@host/acme/mono.git").url
    'https://host/acme/mono.git'
    """
    if "://" in text:
        return _from_url(text)
    unusual = text.startswith("-") or _TRANSPORT.match(text) or _LOGIN.match(text)
    if unusual or not _SCP.fullmatch(text):
        raise _refused(text)
    return GitAddress(text, "ssh")


def _from_url(text: str) -> GitAddress:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _refused(text) from error
    host = parts.hostname or ""
    if _UNUSABLE.search(text) or not _HOST.fullmatch(host) or not parts.path.strip("/"):
        raise _refused(text)
    scheme, shown = parts.scheme.lower(), f"[{host}]" if ":" in host else host
    place = f"{shown}:{port}" if port else shown
    match scheme:
        case "ssh":
            _check_user(parts.username, text)
            user = f"{parts.username}@" if parts.username else ""
            return GitAddress(f"ssh://{user}{place}{parts.path}", "ssh")
        case "https" | "http":
            return GitAddress(
                f"{scheme}://{place}{parts.path}",
                "https" if scheme == "https" else "http",
                f"{scheme}://{place}",
                unquote(parts.username or ""),
                unquote(parts.password or ""),
            )
        case _:
            raise _refused(text)


def _check_user(user: str | None, text: str) -> None:
    # ssh would take such a user, which stands at the front of its argument, for an option.
    if user is not None and not re.fullmatch(r"\w[\w.+-]*", user):
        raise _refused(text)


def _refused(text: str) -> InputError:
    scheme, joint, rest = text.partition("://")
    # What stands before the last '@' may be a password.
    shown = f"{scheme}{joint}{rest.rpartition('@')[2]}" if joint else text.rpartition("@")[2]
    return InputError(f"not an address that is fetched from: {shown!r}", hint=_HINT)
