"""Reads a Poetry project: what pyproject.toml asks for, and what poetry.lock made of it.

Poetry's own tables are read as written, and come to the entries of a requirements file: what is
asked for as requirements, what is locked as constraints with hashes. Sources of the formats:
Poetry's documentation ("The pyproject.toml file", "Dependency specification"), and the poetry.lock
that Poetry 1.x (lock-version 1.1, 2.0) and 2.x (2.1) write.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from launch_action.core.context import sort_key
from launch_action.core.dataclass import replace
from launch_action.core.dependency_groups import check_names, group_requirements
from launch_action.core.dependency_inputs import DependencyInputs, Reader, Selection
from launch_action.core.poetry_constraint import alternatives, python_marker
from launch_action.core.poetry_lock import LOCK, Locked, read_lock
from launch_action.core.python_name import normal
from launch_action.core.requirement import (
    Entry,
    LocalRequirement,
    Option,
    Origin,
    Requirement,
)
from launch_action.core.requirement_line import read_requirement
from launch_action.core.toml_file import fault, inside, read_toml, strings, table, tables

_PROJECT = "pyproject.toml"


def is_poetry(document: Mapping[str, Any]) -> bool:
    """Whether a pyproject.toml has dependencies in Poetry's own tables."""
    poetry = table(document, "tool", "poetry")
    return "dependencies" in poetry or "group" in poetry


def read_poetry(read: Reader, wanted: Selection) -> DependencyInputs:
    """The dependencies of the Poetry project at the context's root, by its poetry.lock if any.

    Raises BuildError, with `file:line` where one is known, and InputError for unknown extras and
    groups.
    """
    content = read(_PROJECT) or b""
    document = read_toml(content, _PROJECT)
    check_names("extra", wanted.extras, _extras(document), _PROJECT)
    check_names("group", wanted.groups, _groups(document), _PROJECT)
    asked = list(_asked(document, content, wanted))
    lock = read(LOCK)
    locked = read_lock(lock) if lock is not None else Locked()
    if lock is not None:
        _check_lock(asked, locked, content)
    files = [(_PROJECT, content), *([(LOCK, lock)] if lock is not None else [])]
    local = [one for one in (*asked, *locked.entries) if isinstance(one, LocalRequirement)]
    locks = {one.name: one for one in locked.entries if isinstance(one, Requirement)}
    named = [_at_commit(one, locks) for one in asked if isinstance(one, Requirement)]
    direct = {one.name for one in named if one.git}
    fixed = [x for x in locked.entries if isinstance(x, Requirement) and x.name not in direct]
    return DependencyInputs(
        kind="requirements" if lock is None else "poetry-lock",
        main=_PROJECT if lock is None else LOCK,
        files=tuple(sorted(files, key=lambda item: sort_key(item[0]))),
        local=tuple(sorted({one.path for one in local}, key=sort_key)),
        extras=wanted.extras,
        groups=wanted.groups,
        project=wanted.project,
        pinned=lock is not None,
        repositories=tuple(one.git for one in (*named, *fixed) if one.git),
        requirements=tuple(named),
        constraints=tuple(fixed),
        local_requirements=tuple(x for x in asked if isinstance(x, LocalRequirement)),
        options=tuple(_indexes(document, locked, content)),
    )


def _at_commit(one: Requirement, locks: Mapping[str, Requirement]) -> Requirement:
    """A repository's requirement at the commit that is locked for it."""
    locked = locks.get(one.name)
    if one.git is None or locked is None or locked.git is None:
        return one
    text = one.text.replace(one.url, locked.url)
    return replace(one, text=text, url=locked.url, git=locked.git)


def _extras(document: Mapping[str, Any]) -> list[str]:
    poetry = table(document, "tool", "poetry", "extras")
    return [*table(document, "project", "optional-dependencies"), *poetry]


def _groups(document: Mapping[str, Any]) -> list[str]:
    poetry = table(document, "tool", "poetry")
    old = ["dev"] if "dev-dependencies" in poetry else []
    return [*table(document, "dependency-groups"), *table(poetry, "group"), *old]


def _asked(document: Mapping[str, Any], content: bytes, wanted: Selection) -> Iterator[Entry]:
    """What is asked for: of [project] and of Poetry's tables, which may stand side by side."""
    poetry, project = table(document, "tool", "poetry"), table(document, "project")
    extras = {normal(one) for one in wanted.extras}
    chosen = {normal(x) for k, v in table(poetry, "extras").items() if normal(k) in extras
              for x in strings(v)}  # fmt: skip
    plain = list(strings(project.get("dependencies")))
    for name, texts in table(project, "optional-dependencies").items():
        plain += strings(texts) if normal(name) in extras else ()
    known = {normal(name) for name in table(document, "dependency-groups")}
    plain += group_requirements(
        document, content, [one for one in wanted.groups if normal(one) in known]
    )
    for text in plain:
        yield read_requirement(text, (), _origin(content, text))
    yield from _of_tables(document, plain, chosen, content)
    for group in wanted.groups:
        yield from _of_group(poetry, normal(group), content)


def _of_tables(
    document: Mapping[str, Any], plain: Sequence[str], chosen: set[str], content: bytes
) -> Iterator[Entry]:
    """The main dependencies of Poetry's own table; with [project], where a package comes from."""
    project = table(document, "project")
    listed = bool(project) and "dependencies" not in strings(project.get("dynamic"))
    named = {normal(re.split(r"[^\w.-]", text.strip())[0]) for text in plain}
    for name, value in table(document, "tool", "poetry", "dependencies").items():
        optional = isinstance(value, Mapping) and value.get("optional") is True
        wanted = normal(name) in chosen if optional else not listed or normal(name) in named
        if wanted and normal(name) != "python":
            yield from _entries(name, value, content)


def _of_group(poetry: Mapping[str, Any], group: str, content: bytes) -> Iterator[Entry]:
    described: dict[str, Any] = {}
    for name, value in table(poetry, "group").items():
        if normal(name) == group and isinstance(value, Mapping):
            described |= table(value, "dependencies")
    if group == "dev":
        described |= table(poetry, "dev-dependencies")
    for name, value in described.items():
        yield from _entries(name, value, content)


def _entries(name: str, value: object, content: bytes) -> Iterator[Entry]:
    """What one line of Poetry's tables comes to: a version, a table, or an array of tables."""
    for one in value if isinstance(value, list) else [value]:
        described = one if isinstance(one, Mapping) else {"version": one}
        try:
            for text in _texts(name, described, content):
                entry = read_requirement(text, (), _origin(content, name))
                if isinstance(entry, LocalRequirement):
                    entry = replace(entry, path=posixpath.normpath(entry.path))
                yield entry
        except ValueError as error:
            raise fault(
                content, _PROJECT, name, f"not a version that Poetry knows: {name} = {str(error)!r}"
            ) from None


def _texts(name: str, described: Mapping[str, Any], content: bytes) -> Iterator[str]:
    extras = ",".join(strings(described.get("extras")))
    named = f"{name}[{extras}]" if extras else name
    marker = _marker(described)
    tail = f" ; {marker}" if marker else ""
    if isinstance(described.get("git"), str):
        yield f"{named} @ {git_url(described)}{tail}"
    elif isinstance(described.get("url"), str):
        yield f"{named} @ {described['url']}{tail}"
    elif isinstance(path := described.get("path", described.get("file")), str):
        place = inside(path, content, name, _PROJECT)
        yield f"./{place}" + (f"[{extras}]" if extras else "") + tail
    else:
        for specifier in alternatives(str(described.get("version", "*"))):
            yield f"{named}{specifier}{tail}"


def git_url(described: Mapping[str, Any]) -> str:
    """The direct URL of a git dependency as Poetry's table describes it."""
    chosen = (described.get(key) for key in ("rev", "tag", "branch"))
    revision = next((one for one in chosen if isinstance(one, str)), "")
    url = str(described["git"])
    if "://" not in url:  # git's short form of ssh
        url = "ssh://" + url.replace(":", "/", 1)
    at = f"@{revision}" if revision else ""
    below = described.get("subdirectory")
    return f"git+{url}{at}" + (f"#subdirectory={below}" if isinstance(below, str) else "")


def _marker(described: Mapping[str, Any]) -> str:
    found = []
    if isinstance(described.get("python"), str):
        found.append(python_marker(described["python"]))
    if isinstance(described.get("platform"), str):
        found.append(f'sys_platform == "{described["platform"]}"')
    if isinstance(described.get("markers"), str):
        found.append(described["markers"])
    found = [one for one in found if one]
    return found[0] if len(found) == 1 else " and ".join(f"({one})" for one in found)


def _check_lock(asked: Sequence[Entry], locked: Locked, content: bytes) -> None:
    for entry in asked:
        if isinstance(entry, Requirement) and entry.name and entry.name not in locked.names:
            raise fault(
                content,
                _PROJECT,
                entry.text,
                f"{LOCK} was made without {entry.name!r}",
                "run `poetry lock` and commit poetry.lock",
            )


def _indexes(document: Mapping[str, Any], locked: Locked, content: bytes) -> Iterator[Option]:
    """The package indexes: those that the project names, and those that packages are locked to."""
    sources = tables(document, "tool", "poetry", "source")
    named = {str(one.get("url", "")): str(one.get("name", "")) for one in sources}
    first = [url for url, name in named.items() if _priority(sources, name) == "default"]
    for url in first[:1]:
        yield Option(_origin(content, url), "index-url", url, named[url])
    for url in dict.fromkeys([*named, *locked.indexes]):
        if url and url not in first:
            name = named.get(url) or locked.indexes.get(url, "")
            yield Option(_origin(content, url), "extra-index-url", url, name)


def _priority(sources: Sequence[Mapping[str, Any]], name: str) -> str:
    one = next((one for one in sources if str(one.get("name", "")) == name), {})
    return "default" if one.get("default") is True else str(one.get("priority", "primary"))


def _origin(content: bytes, needle: str) -> Origin:
    lines = content.decode("utf-8", "replace").splitlines()
    line = next((number for number, text in enumerate(lines, 1) if needle in text), 0)
    return Origin(_PROJECT, line)
