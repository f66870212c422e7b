"""Reads a poetry.lock: every package at its version, with the hashes of its files.

Source of the format: the poetry.lock that Poetry 1.1 to 2.x write (lock-version 1.1, 2.0, 2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.requirement import Entry, LocalRequirement, Origin, Requirement
from launch_action.core.requirement_line import read_requirement
from launch_action.core.toml_file import fault, inside, normal, read_toml, table, tables

LOCK = "poetry.lock"


@dataclass(frozen=True, slots=True)
class Locked:
    """What a lock fixes: `names` of all packages, `indexes` their names by URL (but not PyPI)."""

    entries: tuple[Entry, ...] = ()
    names: frozenset[str] = frozenset()
    indexes: Mapping[str, str] = field(default_factory=dict)


def read_lock(content: bytes) -> Locked:
    """The packages of a lock. Raises BuildError for another format, or a package without hashes.

    A package with several versions (for several Pythons) has an entry for each where the lock says
    by markers when it holds; where it does not, none: its files' hashes bound what is taken.
    """
    document = read_toml(content, LOCK)
    version = str(table(document, "metadata").get("lock-version", ""))
    if version.partition(".")[0] not in ("1", "2"):
        raise fault(
            content,
            LOCK,
            "lock-version",
            f"a lock of another format: lock-version {version!r}",
            "lock again with Poetry 1.1 or later",
        )
    packages = tables(document, "package")
    count: dict[str, int] = {}
    for one in packages:
        count[_name(one)] = count.get(_name(one), 0) + 1
    hashes = table(document, "metadata", "files")
    found = [
        _entry(one, _hashes(one, hashes, content), content, single=count[_name(one)] == 1)
        for one in packages
    ]
    sources = [table(one, "source") for one in packages]
    indexes = {
        str(one.get("url", "")): str(one.get("reference", ""))
        for one in sources
        if one.get("type") == "legacy"
    }
    return Locked(tuple(found), frozenset(count), indexes)


def _name(package: Mapping[str, Any]) -> str:
    return normal(str(package.get("name", "")))


def _hashes(
    package: Mapping[str, Any], elsewhere: Mapping[str, Any], content: bytes
) -> tuple[str, ...]:
    files = package.get("files", elsewhere.get(str(package.get("name")), ()))
    listed = files if isinstance(files, list) else ()
    found = (one.get("hash") for one in listed if isinstance(one, Mapping))
    hashes = tuple(one.lower() for one in found if isinstance(one, str))
    if not hashes and table(package, "source").get("type", "legacy") in ("legacy", "file", "url"):
        name = str(package.get("name"))
        raise fault(
            content, LOCK, f'"{name}"', f"no hash is locked for {name!r}", "run `poetry lock`"
        )
    return hashes


def _entry(
    package: Mapping[str, Any], hashes: tuple[str, ...], content: bytes, *, single: bool
) -> Entry:
    name, version = _name(package), str(package.get("version", ""))
    source = table(package, "source")
    url = str(source.get("url", ""))
    origin = _origin(content, f'name = "{package.get("name")}"')
    match source.get("type", "legacy"):
        case "git":
            below = source.get("subdirectory")
            commit = source.get("resolved_reference", source.get("reference", ""))
            tail = f"#subdirectory={below}" if below else ""
            address = url if "://" in url else "ssh://" + url.replace(":", "/", 1)
            return read_requirement(f"{name} @ git+{address}@{commit}{tail}", (), origin)
        case "directory" | "file":
            path = inside(url, content, f'"{url}"', LOCK)
            return LocalRequirement(origin, path, hashes=hashes)
        case "url":
            return Requirement(origin, f"{name} @ {url}", name, url, hashes, exact=True)
    marker = _marker(package)
    if single or marker:
        text = f"{name}=={version}" + (f" ; {marker}" if marker and not single else "")
        return Requirement(origin, text, name, "", hashes, exact=True)
    return Requirement(origin, name, name, "", hashes)


def _marker(package: Mapping[str, Any]) -> str:
    """When one of several versions holds; empty where the lock does not say, or by group."""
    found = package.get("markers")
    return found if isinstance(found, str) and "extra" not in found else ""


def _origin(content: bytes, needle: str) -> Origin:
    lines = content.decode("utf-8", "replace").splitlines()
    return Origin(LOCK, next((n for n, text in enumerate(lines, 1) if text == needle), 0))
