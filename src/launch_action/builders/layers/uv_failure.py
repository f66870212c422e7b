"""What uv says when it fails, as one line that names the cause.

The texts are those of uv 0.9 to 0.13; one that is not known is passed on as its first line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from launch_action.builders.layers.target import Target
from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError

FailureKind = Literal[
    "missing", "version", "wheel", "conflict", "login", "network", "source", "python", "other"
]  # fmt: skip

_LIMIT = 400
_CONTEXT_LINES = 30
_NAME = r"([A-Za-z0-9][A-Za-z0-9._-]*)"
_NOT_FOUND = re.compile(rf"Because {_NAME} was not found in the (?:package registry|provided)")
_NO_WHEEL = re.compile(
    rf"(?:all versions of {_NAME} have|{_NAME}(?:==\S+|[<>=!~]\S*)? has) no "
    r"(?:wheels with a matching|usable wheels)"
)
_INVALID = re.compile(rf"{_NAME}(?:==(\S+))? has (?:invalid|inconsistent) metadata")
_NO_VERSION = re.compile(
    rf"(?:there (?:is|are) no versions? of {_NAME}|only (?:the following versions of )?{_NAME}"
    r"(?:[<>=!~]=?\S+)? (?:is|are) available)"
)
_PYTHON = re.compile(r"does not satisfy Python(\S+) and (\S+) depends on Python")
_FETCH = re.compile(
    r"(?:error|cause): Failed to (?:fetch|download)[^:]*: `?(\S+?)`?$", re.MULTILINE
)
_LOGIN = re.compile(r"\((\S+)\).*?\((40[13] \w+)\)|(40[13] \w+)\) for url \((\S+)\)")
_BUILD = re.compile(
    rf"Failed to (?:build|download and build|prepare|resolve requirements).*?`{_NAME}"
)

_TELLING = re.compile(r"\w*Error\b|\berror\b|\bfatal\b|not found|No such file|is required")


@dataclass(frozen=True, slots=True)
class Failure:
    """The kind of a failure, one line about it, the package it is about where one is known."""

    kind: FailureKind
    message: str
    hint: str
    package: str = ""


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """A text without the credentials of URLs and without the given secrets."""
    masked = without_credentials(text)
    # Longest first: a secret may contain another one.
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        masked = masked.replace(secret, "***")
    return masked


def read_failure(stderr: str, target: Target) -> Failure:
    """What went wrong, from uv's standard error (already masked)."""
    text = _joined(stderr)
    if found := _LOGIN.search(text):
        url, status = (found[1], found[2]) if found[1] else (found[4], found[3])
        return Failure(
            "login",
            f"the index {url} refused: {status}",
            "give its login by UV_INDEX_<NAME>_USERNAME and UV_INDEX_<NAME>_PASSWORD, or by netrc",
        )
    if found := _FETCH.search(stderr):
        return Failure(
            "network",
            f"cannot fetch {found[1]}: {_last_cause(stderr)}",
            "check the network, the proxy variables and the index URL, then run it again",
        )
    if found := _NOT_FOUND.search(text):
        return Failure(
            "missing",
            f"no package {found[1]!r} in the index",
            "check the spelling, or name the index that has it by --extra-index-url",
            found[1],
        )
    if found := _NO_WHEEL.search(text):
        name = found[1] or found[2]
        return Failure(
            "wheel",
            f"no wheel of {name} for {target}: {_essence(text)}",
            "require a version that has one, or build with --builder buildkit and a Dockerfile",
            name,
        )
    return _without_solution(stderr, text, target)


def _without_solution(stderr: str, text: str, target: Target) -> Failure:
    if found := _BUILD.search(text):
        return Failure(
            "source",
            f"{found[1]} has no wheel here, and its source cannot be read: "
            + (back_end_words(stderr) or _last_cause(stderr)),
            "require a version that has a wheel, or build with --builder buildkit and a Dockerfile",
            found[1],
        )
    if found := _PYTHON.search(text):
        return Failure(
            "python",
            f"{found[2]} needs Python {found[1]}, the job has {target.python}",
            "choose another --python, or another version of the package",
            re.split(r"[<>=!~]", found[2])[0],
        )
    if found := _NO_VERSION.search(text):
        name = found[1] or found[2]
        return Failure(
            "version",
            f"no version of {name} fits: {_essence(text)}",
            "ask for a version that exists",
            name,
        )
    if found := _INVALID.search(text):
        return Failure(
            "source",
            f"{found[1]} {found[2] or ''}".strip() + " has metadata that break the rules (PEP 508)",
            "require a later version of it",
            found[1],
        )
    if "No solution found" in text:
        return Failure(
            "conflict",
            f"the requirements contradict each other: {_essence(text)}",
            "loosen one of them",
        )
    return Failure("other", f"uv: {_first_error(stderr)}", "uv's own words are above")


def failed(failure: Failure, stderr: str, places: Mapping[str, str]) -> BuildError:
    """The error for a failure; `places` tells where a package is required (`file:line`)."""
    place = places.get(failure.package.lower().replace("_", "-"))
    return BuildError(
        f"{place}: {failure.message}" if place else failure.message,
        hint=failure.hint,
        context=last_lines(stderr),
    )


def back_end_words(stderr: str) -> str:
    """The last line that a build back end wrote to standard error, as uv quotes it."""
    quoted = re.search(r"\[stderr\]\n(.*?)(?:\n\s*\n(?!\s)|\nhint: |\Z)", stderr, re.DOTALL)
    lines = [line.strip() for line in quoted[1].splitlines() if line.strip()] if quoted else []
    return lines[-1] if lines else ""


def build_words(stderr: str) -> str:
    """The line of a build that says most about its failure: uv passes the back end's words on."""
    before = re.split(r"^error: ", stderr, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [line.strip() for line in before.splitlines() if line.strip()]
    telling = [line for line in lines if _TELLING.search(line)]
    return (telling or lines[1:] or [_last_cause(stderr)])[-1]


def last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_CONTEXT_LINES:])


def _joined(stderr: str) -> str:
    return re.sub(r"\s+", " ", stderr)


def _essence(text: str) -> str:
    """The reasons of a failed resolution, without its first and last words."""
    reasons = re.search(r"cause: (?:Because )?(.*?)(?: hint: |$)", text)
    found = reasons[1] if reasons else text
    found = found.strip().removesuffix(".")
    found = re.sub(r",? we can conclude that your requirements are unsatisfiable$", "", found)
    return found if len(found) <= _LIMIT else f"{found[:_LIMIT]} ..."


def _last_cause(stderr: str) -> str:
    causes = re.findall(r"^\s*cause: (.*)$", stderr, re.MULTILINE)
    return causes[-1] if causes else _first_error(stderr)


def _first_error(stderr: str) -> str:
    found = re.search(r"^error: (.*)$", stderr, re.MULTILINE)
    lines = stderr.strip().splitlines()
    return found[1] if found else (lines[-1] if lines else "no message")
