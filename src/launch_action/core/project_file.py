"""Reads a project's dependencies from pyproject.toml (PEP 621) and the uv.lock beside it."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from launch_action.core.context import sort_key
from launch_action.core.dependency_inputs import DependencyInputs, Notice, Reader
from launch_action.core.errors import BuildError, InputError
from launch_action.core.requirements_file import Origin
from launch_action.core.spelling import nearest

if TYPE_CHECKING:
    from packaging.requirements import Requirement as Parsed

_PROJECT = "pyproject.toml"
_LOCK = "uv.lock"
# Where uv's lock says that a package is a directory or file of the project.
_LOCAL_SOURCES = ("directory", "editable", "path")


def read_project(read: Reader, extras: tuple[str, ...]) -> DependencyInputs:
    """The dependencies of the pyproject.toml at the context's root.

    Raises BuildError, with `file:line` where one is known, and InputError for unknown extras.
    """
    content = read(_PROJECT) or b""
    document = _read_toml(content, _PROJECT)
    project = _table(document, "project", content)
    _check_extras(project, extras)
    lock = read(_LOCK)
    config = read("uv.toml")
    files = [(_PROJECT, content)] + ([("uv.toml", config)] if config is not None else [])
    if lock is not None and project:
        files.append((_LOCK, lock))
        locked = _read_toml(lock, _LOCK)
        if "dependencies" not in project.get("dynamic", ()):
            _check_lock(project, document, locked, content)
        return DependencyInputs(
            kind="uv-lock",
            main=_LOCK,
            files=_sorted(files),
            local=_locked_paths(locked, lock),
            extras=extras,
            pinned=True,
        )
    if not project:
        return DependencyInputs("none", notices=_without_project(document))
    wanted = _declared(project, extras, content)
    return DependencyInputs(
        kind="pyproject",
        main=_PROJECT,
        files=_sorted(files),
        local=_source_paths(document, wanted, content),
        extras=extras,
    )


def has_static_metadata(content: bytes) -> bool:
    """Whether a pyproject.toml tells name, version and dependencies without running anything."""
    project = _table(_read_toml(content, _PROJECT), "project", content)
    dynamic = project.get("dynamic", ())
    known = "name" in project and "version" in project
    return known and not {"dependencies", "optional-dependencies"} & set(dynamic)


def _sorted(files: list[tuple[str, bytes]]) -> tuple[tuple[str, bytes], ...]:
    return tuple(sorted(files, key=lambda item: sort_key(item[0])))


def _read_toml(content: bytes, file: str) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        line = getattr(error, "lineno", 0)
        where = f"{file}:{line}" if line else file
        raise BuildError(f"{where}: not TOML: {error}", hint="correct the file") from None


def _table(document: Mapping[str, Any], name: str, content: bytes) -> dict[str, Any]:
    found = document.get(name, {})
    if not isinstance(found, dict):
        raise _fault(content, name, f"{name} is not a table")
    return found


def _declared(project: Mapping[str, Any], extras: tuple[str, ...], content: bytes) -> list[Parsed]:
    """The requirements of the project and of the extras, each checked to be PEP 508."""
    if "dependencies" in project.get("dynamic", ()):
        raise _fault(
            content,
            "dynamic",
            "project.dependencies is dynamic: only the build back end knows it",
            "commit a requirements.txt or a uv.lock, or list the dependencies",
        )
    optional = project.get("optional-dependencies", {})
    groups = [project.get("dependencies", [])]
    groups += [optional[key] for key in optional if _normal(key) in map(_normal, extras)]
    return [_parsed(text, content) for group in groups for text in _strings(group, content)]


def _strings(value: object, content: bytes) -> list[str]:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise _fault(content, "dependencies", f"not a list of requirements: {value!r}")


def _parsed(text: str, content: bytes) -> Parsed:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        parsed = Requirement(text)
    except InvalidRequirement as error:
        detail = str(error).splitlines()[0]
        raise _fault(
            content, text, f"not a requirement: {text!r} ({detail[:1].lower()}{detail[1:]})"
        ) from None
    if parsed.url and not parsed.url.split("#")[0].endswith(".whl"):
        raise _fault(
            content,
            text,
            f"not the URL of a wheel: {parsed.name!r}",
            "point at a .whl file, or build with --builder buildkit and a Dockerfile",
        )
    return parsed


def _check_extras(project: Mapping[str, Any], extras: tuple[str, ...]) -> None:
    known = [str(key) for key in project.get("optional-dependencies", {})]
    for extra in extras:
        if _normal(extra) in map(_normal, known):
            continue
        near = nearest(extra, known)
        listed = ", ".join(sorted(known)) or "none"
        raise InputError(
            f"{_PROJECT} has no extra {extra!r}",
            hint=f"did you mean {near[0]!r}?" if near else f"its extras: {listed}",
        )


def _without_project(document: Mapping[str, Any]) -> tuple[Notice, ...]:
    if "poetry" not in document.get("tool", {}):
        return ()
    text = "dependencies of tool.poetry are not read: export a requirements.txt or use [project]"
    return (Notice(Origin(_PROJECT, 0), text),)


def _source_paths(
    document: Mapping[str, Any], wanted: list[Parsed], content: bytes
) -> tuple[str, ...]:
    """The local paths that `tool.uv.sources` gives for what is required."""
    sources = document.get("tool", {}).get("uv", {}).get("sources", {})
    names = {_normal(one.name) for one in wanted}
    found = []
    for name, value in sources.items():
        if _normal(name) not in names:
            continue
        for source in value if isinstance(value, list) else [value]:
            if "git" in source or "workspace" in source:
                kind = "git" if "git" in source else "workspace"
                raise _fault(
                    content,
                    name,
                    f"tool.uv.sources gives a {kind} source for {name!r}",
                    "run `uv lock` and commit uv.lock"
                    if kind == "workspace"
                    else "require a released version, or build with --builder buildkit",
                )
            if "path" in source:
                found.append(_inside(source["path"], content, name, _PROJECT))
    return tuple(sorted(set(found), key=sort_key))


def _locked_paths(locked: Mapping[str, Any], content: bytes) -> tuple[str, ...]:
    """The directories and files of the context that the lock names, the project itself left out."""
    found = set()
    for package in locked.get("package", ()):
        source = package.get("source", {})
        for key in _LOCAL_SOURCES:
            path = source.get(key)
            if isinstance(path, str) and path != ".":
                found.add(_inside(path, content, f'"{path}"', _LOCK))
    return tuple(sorted(found, key=sort_key))


def _inside(path: str, content: bytes, needle: str, file: str) -> str:
    normal = posixpath.normpath(path)
    if normal.startswith("/") or normal.split("/")[0] == "..":
        raise _fault(
            content,
            needle,
            f"outside the build context: {path!r}",
            "choose a --build-context that contains it",
            file,
        )
    return normal


def _check_lock(
    project: Mapping[str, Any],
    document: Mapping[str, Any],
    locked: Mapping[str, Any],
    content: bytes,
) -> None:
    """Raise BuildError when the lock was made for other dependencies than are declared now."""
    metadata = next(
        (
            one.get("metadata")
            for one in locked.get("package", ())
            if "."
            in (one.get("source", {}).get(key) for key in ("editable", "virtual", "directory"))
        ),
        None,
    )
    if metadata is None:
        return
    then = {
        (_normal(one["name"]), one.get("specifier", ""))
        for one in metadata.get("requires-dist", ())
        if "extra ==" not in one.get("marker", "")
    }
    sourced = {_normal(name) for name in document.get("tool", {}).get("uv", {}).get("sources", {})}
    now = {}
    for text in _strings(project.get("dependencies", []), content):
        parsed = _parsed(text, content)
        specifier = "" if _normal(parsed.name) in sourced else str(parsed.specifier)
        now[(_normal(parsed.name), _canonical(specifier))] = text
    before = {(name, "" if name in sourced else _canonical(text)) for name, text in then}
    changed = next((text for key, text in now.items() if key not in before), None)
    gone = next((name for name, text in sorted(before) if (name, text) not in now), None)
    if changed or gone:
        raise _fault(
            content,
            changed or "dependencies",
            f"{_LOCK} was made without {changed!r}"
            if changed
            else f"{_LOCK} still requires {gone!r}",
            "run `uv lock` and commit uv.lock",
        )


def _canonical(specifier: str) -> str:
    return ",".join(sorted(part.strip().replace(" ", "") for part in specifier.split(",")))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _fault(
    content: bytes, needle: str, what: str, hint: str = "correct that line", file: str = _PROJECT
) -> BuildError:
    lines = content.decode("utf-8", "replace").splitlines()
    line = next((number for number, text in enumerate(lines, 1) if needle in text), 0)
    return BuildError(f"{Origin(file, line)}: {what}", hint=hint)
