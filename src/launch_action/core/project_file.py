"""Reads a project's dependencies from pyproject.toml (PEP 621, 735) and the uv.lock beside it."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from launch_action.core.context import sort_key
from launch_action.core.dependency_groups import check_names, group_requirements
from launch_action.core.dependency_inputs import DependencyInputs, Reader, Selection
from launch_action.core.python_name import normal
from launch_action.core.requirements_closure import read_requirements_closure
from launch_action.core.toml_file import fault, inside, read_toml, strings, table, tables
from launch_action.core.uv_lock import LOCK, check_lock, locked_paths
from launch_action.core.vcs import GitSource, is_vcs, read_git_url

if TYPE_CHECKING:
    from packaging.requirements import Requirement as Parsed

PROJECT = "pyproject.toml"


def read_project(read: Reader, wanted: Selection) -> DependencyInputs:
    """The dependencies of the pyproject.toml at the context's root, by its uv.lock if there is one.

    Raises BuildError, with `file:line` where one is known, and InputError for unknown extras and
    groups.
    """
    content = read(PROJECT) or b""
    document = read_toml(content, PROJECT)
    project = table(document, "project")
    _check_shape(document, content)
    check_names("extra", wanted.extras, list(table(project, "optional-dependencies")), PROJECT)
    check_names("group", wanted.groups, list(table(document, "dependency-groups")), PROJECT)
    if not project and not wanted.groups and not wanted.project:
        return DependencyInputs("none")
    lock = read(LOCK)
    if lock is not None and project:
        return _locked(read, content, document, lock, wanted)
    if "dependencies" in strings(project.get("dynamic")):
        return _dynamic(read, content, document, wanted)
    return _unlocked(read, content, document, wanted)


def has_static_metadata(content: bytes) -> bool:
    """Whether a pyproject.toml tells name, version and dependencies without running anything."""
    project = table(read_toml(content, PROJECT), "project")
    dynamic = strings(project.get("dynamic"))
    known = "name" in project and "version" in project
    return known and not {"dependencies", "optional-dependencies"} & set(dynamic)


def project_identity(content: bytes) -> tuple[str, str]:
    """Name and version as a pyproject.toml tells them, each empty where it does not."""
    document = read_toml(content, PROJECT)
    poetry = table(document, "tool", "poetry")
    project = table(document, "project")
    name = project.get("name") or poetry.get("name") or ""
    version = project.get("version") or ("" if project else poetry.get("version")) or ""
    return str(name), str(version)


def _check_shape(document: Mapping[str, Any], content: bytes) -> None:
    for name in ("project", "dependency-groups", "tool"):
        if not isinstance(document.get(name, {}), dict):
            raise fault(content, PROJECT, name, f"{name} is not a table")


def _locked(
    read: Reader, content: bytes, document: Mapping[str, Any], lock: bytes, wanted: Selection
) -> DependencyInputs:
    locked = read_toml(lock, LOCK)
    project = table(document, "project")
    if "dependencies" not in strings(project.get("dynamic")):
        parsed = [_parsed(text, content) for text in _listed(project, content)]
        declared = [(_text(one), one.name, str(one.specifier)) for one in parsed]
        check_lock(
            locked,
            [(text, normal(name), specifier) for text, name, specifier in declared],
            frozenset(map(normal, table(document, "tool", "uv", "sources"))),
            content,
        )
    members = [path for path in locked_members(locked) if read(path) is not None]
    files = [*_own_files(read, content), (LOCK, lock)]
    return DependencyInputs(
        kind="uv-lock",
        main=LOCK,
        files=_sorted([*files, *((path, read(path) or b"") for path in members)]),
        local=locked_paths(locked, lock),
        extras=wanted.extras,
        groups=wanted.groups,
        project=wanted.project,
        pinned=True,
    )


def locked_members(locked: Mapping[str, Any]) -> list[str]:
    """The pyproject.toml of every directory that is a package of the lock: uv reads them too."""
    found = set()
    for package in tables(locked, "package"):
        source = table(package, "source")
        for key in ("editable", "virtual", "directory"):
            path = source.get(key)
            if isinstance(path, str) and path != "." and not path.startswith(("/", "..")):
                found.add(posixpath.normpath(posixpath.join(path, PROJECT)))
    return sorted(found)


def _unlocked(
    read: Reader, content: bytes, document: Mapping[str, Any], wanted: Selection
) -> DependencyInputs:
    texts = [
        *_of_project(document, content, wanted.extras),
        *group_requirements(document, content, wanted.groups),
    ]
    parsed = [_parsed(text, content) for text in texts]
    direct = [read_git_url(one.url) for one in parsed if one.url and is_vcs(one.url)]
    sources = _sources(document, parsed)
    return DependencyInputs(
        kind="pyproject",
        main=PROJECT,
        files=_own_files(read, content),
        local=_paths(document, sources, content),
        extras=wanted.extras,
        groups=wanted.groups,
        project=wanted.project,
        repositories=(*(one for one in direct if one), *_repositories(sources, content)),
    )


def _dynamic(
    read: Reader, content: bytes, document: Mapping[str, Any], wanted: Selection
) -> DependencyInputs:
    """Dependencies that the project leaves to its build back end.

    setuptools may take them from requirements files, which are read as such. Raises BuildError
    when only running the back end could tell, and the project is not to be built anyway.
    """
    listed = table(document, "tool", "setuptools", "dynamic", "dependencies").get("file")
    files = (listed,) if isinstance(listed, str) else strings(listed)
    if files and not wanted.extras and not wanted.groups:
        return read_requirements_closure(read, *files, project=wanted.project)
    if wanted.project and not wanted.groups:
        return read_requirements_closure(read, project=True, extras=wanted.extras)
    raise fault(
        content,
        PROJECT,
        "dynamic",
        "project.dependencies is dynamic: only the build back end knows it",
        "commit a requirements.txt or a uv.lock, list the dependencies, or let the project be "
        "built with --install-project",
    )


def _own_files(read: Reader, content: bytes) -> tuple[tuple[str, bytes], ...]:
    config = read("uv.toml")
    return _sorted([(PROJECT, content), *([("uv.toml", config)] if config is not None else [])])


def _sorted(files: Sequence[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    return tuple(sorted(files, key=lambda item: sort_key(item[0])))


def _of_project(document: Mapping[str, Any], content: bytes, extras: Sequence[str]) -> list[str]:
    project = table(document, "project")
    asked = {normal(one) for one in extras}
    found = _listed(project, content)
    for name, value in table(project, "optional-dependencies").items():
        if normal(name) in asked:
            found += _strings(value, content)
    return found


def _listed(project: Mapping[str, Any], content: bytes) -> list[str]:
    return _strings(project.get("dependencies", []), content)


def _strings(value: object, content: bytes) -> list[str]:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return list(value)
    raise fault(content, PROJECT, "dependencies", f"not a list of requirements: {value!r}")


def _parsed(text: str, content: bytes) -> Parsed:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return Requirement(text)
    except InvalidRequirement as error:
        detail = str(error).splitlines()[0]
        raise fault(
            content,
            PROJECT,
            text,
            f"not a requirement: {text!r} ({detail[:1].lower()}{detail[1:]})",
        ) from None


def _text(parsed: Parsed) -> str:
    return str(parsed)


def _sources(
    document: Mapping[str, Any], wanted: Sequence[Parsed]
) -> list[tuple[str, Mapping[str, Any]]]:
    """What `tool.uv.sources` gives for what is required, by name; a name may have several."""
    names = {normal(one.name) for one in wanted}
    return [
        (name, source)
        for name, value in table(document, "tool", "uv", "sources").items()
        if normal(name) in names
        for source in (value if isinstance(value, list) else [value])
        if isinstance(source, Mapping)
    ]


def _repositories(
    sources: Sequence[tuple[str, Mapping[str, Any]]], content: bytes
) -> tuple[GitSource, ...]:
    found = []
    for name, source in sources:
        if "workspace" in source:
            raise fault(
                content,
                PROJECT,
                name,
                f"tool.uv.sources gives a workspace source for {name!r}",
                "run `uv lock` and commit uv.lock",
            )
        if isinstance(source.get("git"), str):
            chosen = (source.get(key) for key in ("rev", "tag", "branch"))
            revision = next((one for one in chosen if isinstance(one, str)), "")
            inside_it = str(source.get("subdirectory", ""))
            url = source["git"].removeprefix("git+")
            found.append(GitSource(url, revision, inside_it, name))
    return tuple(found)


def _paths(
    document: Mapping[str, Any], sources: Sequence[tuple[str, Mapping[str, Any]]], content: bytes
) -> tuple[str, ...]:
    """The paths of the context that sources, indexes and find-links name."""
    uv = table(document, "tool", "uv")
    found = {inside(str(x["path"]), content, name, PROJECT) for name, x in sources if "path" in x}
    places = [str(one.get("url", "")) for one in tables(uv, "index")]
    places += [*strings(uv.get("find-links")), *strings(table(uv, "pip").get("find-links"))]
    found |= {inside(one, content, one, PROJECT) for one in places if one and "://" not in one}
    return tuple(sorted(found, key=sort_key))
