"""What a project declares it needs, read from its files as they are written.

Nothing is resolved here: the fingerprint of these inputs is known without asking any index.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from launch_action.core.credentials import without_credentials, without_logins
from launch_action.core.dataclass import replace
from launch_action.core.dependency_inputs import (
    DependencyInputs,
    DependencyKind,
    Notice,
    Reader,
    Selection,
)
from launch_action.core.errors import BuildError, InputError
from launch_action.core.requirement import Requirement
from launch_action.core.requirements_closure import read_requirements_closure
from launch_action.core.vcs import GitSource

__all__ = [
    "DependencyInputs",
    "DependencyKind",
    "Notice",
    "at_commits",
    "cutoff",
    "fingerprint",
    "read_dependencies",
]

# Part of the fingerprint: raised when the same inputs come to mean another set of wheels.
_FORMAT = "dependencies-2"
_PROJECT_FILES = ("pyproject.toml", "uv.lock", "poetry.lock")


def read_dependencies(
    read: Reader,
    *,
    extras: Sequence[str] = (),
    groups: Sequence[str] = (),
    project: bool = False,
    file: str = "",
) -> DependencyInputs:
    """What the build context declares: by `file`, else by the first that is there of
    requirements.txt, pylock.toml, pyproject.toml with its uv.lock or poetry.lock, and setup.py.

    `extras` and `groups` are the project's own; with `project` the project itself is installed.
    Raises BuildError, with `file:line` and the text, for what cannot be read, and InputError for
    extras, groups and files that do not exist.
    """
    wanted = Selection(tuple(sorted(set(extras))), tuple(sorted(set(groups))), project)
    found = _read(read, _chosen(read, file) if file else _found(read), wanted)
    if not found.project or "." in found.local:
        return found
    # Its own files decide its wheel.
    return replace(found, local=(".", *found.local))


def _read(read: Reader, main: str, wanted: Selection) -> DependencyInputs:
    name = posixpath.basename(main)
    if is_pylock(name):
        from launch_action.core.pylock_file import read_pylock

        return read_pylock(read, main, wanted)
    if name in _PROJECT_FILES:
        return _of_project(read, name, wanted)
    _check_selection(main, wanted)
    project = wanted.project
    if main:
        return read_requirements_closure(read, main, project=project, extras=wanted.extras)
    if project:
        return read_requirements_closure(read, project=True, extras=wanted.extras)
    return DependencyInputs("none")


def is_pylock(name: str) -> bool:
    """Whether a file is named as PEP 751 asks for: pylock.toml or pylock.NAME.toml."""
    return re.fullmatch(r"pylock(\.[^.]+)?\.toml", name) is not None


def _found(read: Reader) -> str:
    """The declaring file at the context's root; empty when there is none."""
    known = ("requirements.txt", "pylock.toml", "pyproject.toml")
    return next((name for name in known if read(name) is not None), "")


def _chosen(read: Reader, file: str) -> str:
    path = posixpath.normpath(file)
    if path.startswith(("/", "../")) or read(path) is None:
        raise InputError(
            f"no such file in the build context: {file!r}",
            hint="--requirements is relative to the build context; is it committed?",
        )
    if posixpath.basename(path) in _PROJECT_FILES and "/" in path:
        raise InputError(
            f"not at the build context's root: {file!r}",
            hint=f"name its directory with --build-context {posixpath.dirname(path)}",
        )
    return path


def _of_project(read: Reader, name: str, wanted: Selection) -> DependencyInputs:
    """By pyproject.toml: of Poetry where it has Poetry's tables or lock, else by PEP 621."""
    locks = {lock for lock in ("uv.lock", "poetry.lock") if read(lock) is not None}
    chosen = (
        name if name in locks else next((x for x in ("uv.lock", "poetry.lock") if x in locks), "")
    )
    content = read("pyproject.toml")
    if content is None:
        raise BuildError(f"no pyproject.toml beside {name!r}", hint="is it committed?")
    poetry = chosen == "poetry.lock"
    if not chosen and b"tool.poetry" in content:
        from launch_action.core.poetry_file import is_poetry
        from launch_action.core.toml_file import read_toml

        poetry = is_poetry(read_toml(content, "pyproject.toml"))
    if poetry:
        from launch_action.core.poetry_file import read_poetry

        return read_poetry(read, wanted)
    from launch_action.core.project_file import read_project

    return read_project(read, wanted)


def _check_selection(main: str, wanted: Selection) -> None:
    """Raise InputError for extras and groups where no file of the project's own is read."""
    extras = () if wanted.project else wanted.extras
    for kind, asked in (("extras", extras), ("groups", wanted.groups)):
        if asked and main:
            raise InputError(
                f"{kind} {', '.join(asked)!r}: {main} is used, which has none",
                hint="--requirements pyproject.toml reads the project's own file instead",
            )
        if asked:
            raise InputError(
                f"{kind} {', '.join(asked)!r}: there is no pyproject.toml in the build context",
                hint="leave the option out",
            )


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
        "groups": list(inputs.groups),
        "project": inputs.project,
        "repositories": sorted(one.requirement() for one in inputs.repositories),
        "python": python,
        "platform": platform,
        "cutoff": cutoff,
        "indexes": [without_credentials(url) for url in indexes],
        "files": [[path, _plain_hash(content)] for path, content in inputs.files],
        "local": [[path, (local or {})[path]] for path in inputs.local],
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def at_commits(inputs: DependencyInputs, commits: Mapping[str, str]) -> DependencyInputs:
    """The inputs with the commits that branches and tags stand for now, by `GitSource.place`."""

    def fixed(source: GitSource) -> GitSource:
        commit = commits.get(source.place)
        return source.at(commit) if commit else source

    def pinned(one: Requirement) -> Requirement:
        if one.git is None:
            return one
        source = fixed(one.git)
        text = one.text.replace(one.url, source.requirement())
        return replace(one, text=text, url=source.requirement(), git=source)

    return replace(
        inputs,
        requirements=tuple(map(pinned, inputs.requirements)),
        repositories=tuple(map(fixed, inputs.repositories)),
    )


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
