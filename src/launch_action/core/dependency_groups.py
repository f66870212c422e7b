"""Dependency groups of a pyproject.toml (PEP 735), with what they include."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.errors import InputError
from launch_action.core.python_name import normal
from launch_action.core.spelling import nearest
from launch_action.core.toml_file import fault, table

_FILE = "pyproject.toml"


def check_names(kind: str, asked: Sequence[str], known: Sequence[str], file: str) -> None:
    """Raise InputError for an extra or group (`kind`) that the file does not have."""
    there = {normal(name) for name in known}
    for name in asked:
        if normal(name) in there:
            continue
        near = nearest(name, list(known))
        listed = ", ".join(sorted(known)) or "none"
        raise InputError(
            f"{file} has no {kind} {name!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"its {kind}s: {listed}",
        )


def group_requirements(
    document: Mapping[str, Any], content: bytes, groups: Sequence[str]
) -> list[str]:
    """The requirements of the groups, those of included groups among them.

    Raises BuildError for a group that includes itself or one that is not there, and for an entry
    that is neither a requirement nor an inclusion.
    """
    known = {normal(name): value for name, value in table(document, "dependency-groups").items()}
    return [text for name in groups for text in _expanded(known, content, normal(name), ())]


def _expanded(
    known: Mapping[str, Any], content: bytes, name: str, stack: tuple[str, ...]
) -> list[str]:
    if name in stack:
        chain = " -> ".join((*stack, name))
        raise fault(content, _FILE, name, f"dependency group {name!r} includes itself: {chain}")
    entries = known.get(name)
    if not isinstance(entries, list):
        raise fault(content, _FILE, name, f"no dependency group {name!r}")
    found: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, Mapping) and isinstance(entry.get("include-group"), str):
            found += _expanded(known, content, normal(entry["include-group"]), (*stack, name))
        else:
            raise fault(content, _FILE, name, f"not an entry of a dependency group: {entry!r}")
    return found
