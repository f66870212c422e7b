"""What of a uv.lock must be known before uv reads it: its paths, and whether it is current."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.context import sort_key
from launch_action.core.python_name import normal
from launch_action.core.toml_file import fault, inside, table, tables

LOCK = "uv.lock"
# Where uv's lock says that a package is a directory or file of the project.
_LOCAL_SOURCES = ("directory", "editable", "path")


def locked_paths(locked: Mapping[str, Any], content: bytes) -> tuple[str, ...]:
    """The directories and files of the context that the lock names, the project itself left out."""
    found = set()
    for package in tables(locked, "package"):
        source = table(package, "source")
        for key in _LOCAL_SOURCES:
            path = source.get(key)
            if isinstance(path, str) and path != ".":
                found.add(inside(path, content, f'"{path}"', LOCK))
    return tuple(sorted(found, key=sort_key))


def check_lock(
    locked: Mapping[str, Any],
    declared: Sequence[tuple[str, str, str]],
    sourced: frozenset[str],
    content: bytes,
) -> None:
    """Raise BuildError when the lock was made for other dependencies than are declared now.

    `declared` has each dependency's text, name and specifier, `sourced` the names that
    `tool.uv.sources` gives a place; `content` is the pyproject.toml's.
    """
    metadata = next((table(x, "metadata") for x in tables(locked, "package") if _is_root(x)), None)
    if metadata is None:
        return
    before = {
        (name, "" if name in sourced else _canonical(str(one.get("specifier", ""))))
        for one in tables(metadata, "requires-dist")
        if "extra ==" not in str(one.get("marker", ""))
        for name in [normal(str(one.get("name", "")))]
    }
    now = {
        (name, "" if name in sourced else _canonical(specifier)): text
        for text, name, specifier in declared
    }
    changed = next((text for key, text in now.items() if key not in before), None)
    gone = next((name for name, text in sorted(before) if (name, text) not in now), None)
    if changed or gone:
        raise fault(
            content,
            "pyproject.toml",
            changed or "dependencies",
            f"{LOCK} was made without {changed!r}"
            if changed
            else f"{LOCK} still requires {gone!r}",
            "run `uv lock` and commit uv.lock",
        )


def _is_root(package: Mapping[str, Any]) -> bool:
    source = table(package, "source")
    return "." in (source.get(key) for key in ("editable", "virtual", "directory"))


def _canonical(specifier: str) -> str:
    return ",".join(sorted(part.strip().replace(" ", "") for part in specifier.split(",")))
