"""What a project declares it needs, read from its files as they are written.

Nothing is resolved here: the fingerprint of these inputs is known without asking any index.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Literal

from launch_action.core.credentials import without_credentials, without_logins
from launch_action.core.dependency_inputs import (
    DependencyInputs,
    DependencyKind,
    Notice,
    Reader,
)
from launch_action.core.errors import InputError
from launch_action.core.project_file import read_project
from launch_action.core.requirements_closure import read_requirements_closure

__all__ = [
    "DependencyInputs",
    "DependencyKind",
    "Notice",
    "cutoff",
    "fingerprint",
    "read_dependencies",
]

# Part of the fingerprint: raised when the same inputs come to mean another set of wheels.
_FORMAT = "dependencies-1"


def read_dependencies(
    read: Reader,
    *,
    extras: Sequence[str] = (),
    prefer: Literal["requirements", "pyproject"] | None = None,
) -> DependencyInputs:
    """What the build context declares: requirements.txt, else pyproject.toml with its uv.lock.

    `prefer="pyproject"` passes over a requirements.txt. Raises BuildError, with `file:line` and
    the text, for what cannot be read, and InputError for extras that do not exist.
    """
    if prefer != "pyproject" and read("requirements.txt") is not None:
        if extras:
            raise InputError(
                f"extras {', '.join(extras)!r}: requirements.txt is used, which has none",
                hint="write package[extra] in requirements.txt, or leave the option out",
            )
        return read_requirements_closure(read, "requirements.txt")
    if prefer != "requirements" and read("pyproject.toml") is not None:
        return read_project(read, tuple(sorted(set(extras))))
    if extras:
        raise InputError(
            f"extras {', '.join(extras)!r}: there is no pyproject.toml in the build context",
            hint="leave the option out",
        )
    return DependencyInputs("none")


def fingerprint(
    inputs: DependencyInputs,
    *,
    python: str,
    platform: str,
    cutoff: str | None,
    local: Mapping[str, str] | None = None,
    indexes: Sequence[str] = (),
) -> str:
    """64 hexadecimal digits for everything declared: the same digits, the same wheels.

    `platform` names operating system, architecture and libc with its version; `cutoff` is a time
    of `cutoff()`; `local` gives the content id of every path of `inputs.local`; `indexes` are the
    URLs of indexes that come from the environment. Credentials in URLs do not count.
    """
    document = {
        "format": _FORMAT,
        "kind": inputs.kind,
        "main": inputs.main,
        "extras": list(inputs.extras),
        "python": python,
        "platform": platform,
        "cutoff": cutoff,
        "indexes": [without_credentials(url) for url in indexes],
        "files": [[path, _plain_hash(content)] for path, content in inputs.files],
        "local": [[path, (local or {})[path]] for path in inputs.local],
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _plain_hash(content: bytes) -> str:
    return hashlib.sha256(without_logins(content)).hexdigest()


def cutoff(
    committed: int, resolve_date: str | None, today: date, *, pinned: bool = False
) -> str | None:
    """The time as of which unpinned requirements are resolved, in RFC 3339; None for no cutoff.

    `committed` is the commit's time in seconds since 1970; its date in UTC at 00:00 is taken,
    `today` when it lies in the future. `resolve_date` is `latest`, `YYYY-MM-DD` or None. Raises
    InputError for anything else and for a date in the future.

    >>> cutoff(1700000000, None, date(2026, 1, 1))
    '2023-11-14T00:00:00Z'
    """
    if resolve_date == "latest":
        return None
    if resolve_date:
        chosen = _read_date(resolve_date, today)
    else:
        chosen = min(datetime.fromtimestamp(committed, UTC).date(), today)
    return None if pinned else f"{chosen.isoformat()}T00:00:00Z"


def _read_date(text: str, today: date) -> date:
    try:
        chosen = date.fromisoformat(text) if re.fullmatch(r"\d{4}-\d\d-\d\d", text) else None
    except ValueError:
        chosen = None
    if chosen is None:
        raise InputError(f"not a date: {text!r}", hint="write --resolve-date YYYY-MM-DD, or latest")
    if chosen > today:
        raise InputError(
            f"--resolve-date lies in the future: {text!r}", hint=f"today is {today} in UTC"
        )
    return chosen
