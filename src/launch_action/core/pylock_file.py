"""Reads a pylock.toml (PEP 751) as far as it must be known before it is resolved.

Source of the format: PyPA specification "pylock.toml Specification", version 1.0.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from launch_action.core.context import sort_key
from launch_action.core.credentials import without_credentials
from launch_action.core.dependency_groups import check_names
from launch_action.core.dependency_inputs import DependencyInputs, Reader, Selection
from launch_action.core.errors import BuildError
from launch_action.core.toml_file import fault, inside, read_toml, strings, table, tables
from launch_action.core.vcs import GitSource

_PROJECT = "pyproject.toml"


def read_pylock(read: Reader, main: str, wanted: Selection) -> DependencyInputs:
    """The dependencies of a lock file of the context.

    Raises BuildError for one that is not of the specification, or names what is outside the
    context, and InputError for unknown extras and groups.
    """
    content = read(main) or b""
    document = read_toml(content, main)
    _validate(document, main)
    _check_urls(document, content, main)
    check_names("extra", wanted.extras, strings(document.get("extras")), main)
    check_names("group", wanted.groups, strings(document.get("dependency-groups")), main)
    folder = posixpath.dirname(main)
    local = {inside(posixpath.join(folder, path), content, path, main) for path in _paths(document)}
    files = [(main, content)]
    own = read(_PROJECT) if wanted.project else None
    return DependencyInputs(
        kind="pylock",
        main=main,
        files=tuple(files + ([(_PROJECT, own)] if own is not None else [])),
        local=tuple(sorted(local, key=sort_key)),
        extras=wanted.extras,
        groups=wanted.groups,
        project=wanted.project,
        pinned=True,
        repositories=tuple(_repositories(document)),
    )


def _validate(document: Mapping[str, Any], main: str) -> None:
    from packaging.pylock import Pylock, PylockValidationError

    try:
        Pylock.from_dict(document)
    except PylockValidationError as error:
        raise BuildError(
            f"{main}: not a lock of the pylock.toml specification: {error}", hint="lock again"
        ) from None


def _check_urls(document: Mapping[str, Any], content: bytes, main: str) -> None:
    for package in tables(document, "packages"):
        entries = [table(package, key) for key in ("vcs", "archive", "sdist")]
        for entry in (*entries, *tables(package, "wheels")):
            url = str(entry.get("url", ""))
            try:
                urlsplit(url).port  # noqa: B018  read for its ValueError
            except ValueError:
                shown = without_credentials(url)
                raise fault(content, main, url, f"not a URL: {shown!r}", "lock again") from None


def _paths(document: Mapping[str, Any]) -> Iterator[str]:
    for package in tables(document, "packages"):
        entries = [table(package, key) for key in ("directory", "archive", "sdist")]
        for entry in (*entries, *tables(package, "wheels")):
            if isinstance(entry.get("path"), str) and "url" not in entry:
                yield entry["path"]


def _repositories(document: Mapping[str, Any]) -> Iterator[GitSource]:
    for package in tables(document, "packages"):
        vcs = table(package, "vcs")
        if vcs.get("type") == "git" and isinstance(vcs.get("url"), str):
            name, below = str(package.get("name", "")), str(vcs.get("subdirectory", ""))
            yield GitSource(vcs["url"], str(vcs.get("commit-id", "")), below, name)
