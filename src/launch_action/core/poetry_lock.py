"""Reads a poetry.lock: every package at its version, with the hashes of its files.

Source of the format: the poetry.lock that Poetry 1.1 to 2.x write (lock-version 1.1, 2.0, 2.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.poetry_constraint import python_excluded, python_marker
from launch_action.core.python_name import normal
from launch_action.core.requirement import Entry, LocalRequirement, Origin, Requirement
from launch_action.core.requirement_line import read_requirement
from launch_action.core.toml_file import fault, inside, read_toml, table, tables

if TYPE_CHECKING:
    from packaging.version import Version

LOCK = "poetry.lock"
_EXTRA = re.compile(r"""extra\s*[!=]=\s*(?:"[^"]*"|'[^']*')""")


@dataclass(frozen=True, slots=True)
class Locked:
    """What a lock fixes: `names` of all packages, `indexes` their names by URL (but not PyPI)."""

    entries: tuple[Entry, ...] = ()
    names: frozenset[str] = frozenset()
    indexes: Mapping[str, str] = field(default_factory=dict)


def read_lock(content: bytes) -> Locked:
    """The packages of a lock. Raises BuildError for another format, or a package without hashes.

    A package with several versions, for several environments, has each with its marker. A lock of
    before Poetry 2 has no markers: the newest version that the Python allows is taken to hold. What
    that does not tell apart is left to the hashes.
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
    versions: dict[str, list[Mapping[str, Any]]] = {}
    for one in packages:
        versions.setdefault(_name(one), []).append(one)
    hashes = table(document, "metadata", "files")
    found = [
        _entry(one, _hashes(one, hashes, content), content, versions[_name(one)])
        for one in packages
    ]
    sources = [table(one, "source") for one in packages]
    indexes = {
        str(one.get("url", "")): str(one.get("reference", ""))
        for one in sources
        if one.get("type") == "legacy"
    }
    return Locked(tuple(found), frozenset(versions), indexes)


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
    package: Mapping[str, Any],
    hashes: tuple[str, ...],
    content: bytes,
    versions: Sequence[Mapping[str, Any]],
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
    if len(versions) == 1:
        return Requirement(origin, f"{name}=={version}", name, "", hashes, exact=True)
    marker = _marker(package) or _by_python(package, versions)
    text = f"{name}=={version} ; {marker}" if marker else name
    return Requirement(origin, text, name, "", hashes, exact=bool(marker))


def _marker(package: Mapping[str, Any]) -> str:
    """When one of several versions holds; empty where the lock does not say."""
    found = package.get("markers")
    texts = [found] if isinstance(found, str) else list(table(package, "markers").values())
    # Which extra asks for it does not matter to which version it is.
    plain = [_EXTRA.sub('python_version >= "0"', x) for x in texts if isinstance(x, str)]
    return plain[0] if len(plain) == 1 else " or ".join(f"({one})" for one in plain)


def _by_python(package: Mapping[str, Any], versions: Sequence[Mapping[str, Any]]) -> str:
    """The Pythons that a version allows and no newer one does; empty where that tells nothing."""
    mine = str(package.get("python-versions", "*"))
    newer = [x for x in versions if _order(x) > _order(package)]
    try:
        excluded = [python_excluded(str(one.get("python-versions", "*"))) for one in newer]
        own = python_marker(mine)
    except ValueError:
        return ""
    if not all(excluded):
        return ""
    return " and ".join(f"({one})" for one in (own, *excluded) if one)


def _order(package: Mapping[str, Any]) -> Version:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(str(package.get("version", "")))
    except InvalidVersion:
        return Version("0")


def _origin(content: bytes, needle: str) -> Origin:
    lines = content.decode("utf-8", "replace").splitlines()
    return Origin(LOCK, next((n for n, text in enumerate(lines, 1) if text == needle), 0))
