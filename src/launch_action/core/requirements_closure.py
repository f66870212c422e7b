"""A requirements file with everything it includes by `-r` and `-c`."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence

from launch_action.core.context import sort_key
from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass, field
from launch_action.core.dependency_inputs import (
    DependencyInputs,
    Notice,
    Reader,
)
from launch_action.core.errors import BuildError
from launch_action.core.requirement import (
    Include,
    LocalRequirement,
    Option,
    Origin,
    Requirement,
)
from launch_action.core.requirement_line import ARCHIVES
from launch_action.core.requirements_file import read_requirements, variables


@dataclass(slots=True)
class _Closure:
    """What was read so far; `stack` is the chain of files that include each other."""

    read: Reader
    files: dict[str, bytes] = field(default_factory=dict)
    requirements: list[Requirement] = field(default_factory=list)
    constraints: list[Requirement] = field(default_factory=list)
    local: list[LocalRequirement] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    done: set[tuple[str, bool]] = field(default_factory=set)


def read_requirements_closure(
    read: Reader, *mains: str, project: bool = False, extras: Sequence[str] = ()
) -> DependencyInputs:
    """Requirements files and everything they include.

    With `project` the project at the context's root is a requirement too, with `extras` of it.
    Raises BuildError.
    """
    closure = _Closure(read)
    for main in mains:
        _visit(closure, main, None, constraint=False, stack=())
    hashed = _check_hashes(closure)
    if project:
        _require_project(closure, extras)
    found_links = [
        _inside(one.value, one.origin)
        for one in closure.options
        if one.name == "find-links" and "://" not in one.value
    ]
    local = {one.path for one in closure.local} | set(found_links)
    names = {name for file, data in closure.files.items() for name in variables(data, file)}
    return DependencyInputs(
        kind="requirements",
        main=mains[0] if mains else closure.local[0].path,
        files=tuple(sorted(closure.files.items(), key=lambda item: sort_key(item[0]))),
        local=tuple(sorted(local, key=sort_key)),
        project=project,
        pinned=hashed,
        requirements=tuple(closure.requirements),
        repositories=tuple(one.git for one in closure.requirements if one.git),
        constraints=tuple(closure.constraints),
        local_requirements=tuple(closure.local),
        options=tuple(closure.options),
        variables=tuple(sorted(names)),
        notices=tuple(_notices(closure)),
    )


def _require_project(closure: _Closure, extras: Sequence[str]) -> None:
    if any(one.path == "." for one in closure.local):
        return
    suffix = f"[{','.join(extras)}]" if extras else ""
    entry = LocalRequirement(Origin("--install-project", 0), ".", suffix)
    closure.local.append(_checked_local(closure, entry, constraint=False))


def _visit(
    closure: _Closure,
    file: str,
    origin: Origin | None,
    *,
    constraint: bool,
    stack: tuple[str, ...],
) -> None:
    if file in stack:
        raise BuildError(
            f"{origin}: {file!r} includes itself: {' -> '.join((*stack, file))}",
            hint="remove one of the -r or -c lines",
        )
    if (file, constraint) in closure.done:
        return
    content = closure.read(file)
    if content is None:
        raise BuildError(
            f"{origin}: no such file in the build context: {file!r}" if origin else f"no {file!r}",
            hint="paths of -r and -c are relative to the file they stand in; is it committed?",
        )
    closure.done.add((file, constraint))
    closure.files[file] = content
    for entry in read_requirements(content, file):
        match entry:
            case Include(where, path, only_constrains):
                target = _included(path, where)
                narrowed = constraint or only_constrains
                _visit(closure, target, where, constraint=narrowed, stack=(*stack, file))
            case Requirement():
                (closure.constraints if constraint else closure.requirements).append(entry)
            case LocalRequirement():
                closure.local.append(_checked_local(closure, entry, constraint=constraint))
            case Option():
                closure.options.append(entry)


def _included(path: str, origin: Origin) -> str:
    if "://" in path:
        raise BuildError(
            f"{origin}: a file of another host: {without_credentials(path)!r}",
            hint="commit the file; what is built must be in the commit",
        )
    return _inside(posixpath.join(posixpath.dirname(origin.file), path), origin)


def _inside(path: str, origin: Origin) -> str:
    """A path from the context's root, normalised. Raises BuildError when it leaves the context."""
    path = path.removeprefix("file://").removeprefix("file:")
    normal = posixpath.normpath(path)
    if normal.startswith(("/", "~")) or normal.split("/")[0] == "..":
        raise BuildError(
            f"{origin}: outside the build context: {path!r}",
            hint="choose a --build-context that contains it",
        )
    return normal


def _checked_local(
    closure: _Closure, entry: LocalRequirement, *, constraint: bool
) -> LocalRequirement:
    """The requirement with its path from the context's root.

    As in pip, such a path is relative to where the installation is started (the context's root),
    not to the file that it stands in.
    """
    path = _inside(entry.path, entry.origin)
    if constraint:
        raise BuildError(f"{entry.origin}: a path constrains nothing: {path!r}", hint="remove it")
    markers = [posixpath.join(path, name) for name in ("pyproject.toml", "setup.py")]
    if not path.endswith(ARCHIVES) and all(
        closure.read(posixpath.normpath(name)) is None for name in markers
    ):
        raise BuildError(
            f"{entry.origin}: no Python project in the build context at {path!r}",
            hint="paths are relative to the build context's root; is it committed?",
        )
    return LocalRequirement(entry.origin, path, entry.suffix, entry.editable, entry.hashes)


def _check_hashes(closure: _Closure) -> bool:
    """Whether hashes are required: one hash anywhere, or the option, requires all of them."""
    wanted: list[Requirement | LocalRequirement] = [*closure.requirements, *closure.local]
    demanded = any(option.name == "require-hashes" for option in closure.options)
    if not demanded and not any(one.hashes for one in [*wanted, *closure.constraints]):
        return False
    constrained = {one.name for one in closure.constraints if one.hashes}
    for one in wanted:
        if isinstance(one, Requirement) and one.name in constrained:
            continue
        if not one.hashes:
            text = one.text if isinstance(one, Requirement) else one.path
            raise BuildError(
                f"{one.origin}: no hash for {without_credentials(text)!r}, while others have one",
                hint="give every requirement a hash (`uv pip compile --generate-hashes`), or none",
            )
        if isinstance(one, Requirement) and not one.exact:
            raise BuildError(
                f"{one.origin}: a hash needs one version: {without_credentials(one.text)!r}",
                hint=f"write {one.name}==<version>",
            )
    return True


def _notices(closure: _Closure) -> list[Notice]:
    editable: list[tuple[Origin, str]] = [(x.origin, x.path) for x in closure.local if x.editable]
    editable += [(x.origin, x.url) for x in closure.requirements if x.editable]
    found = [
        Notice(origin, f"{what}: an editable install becomes a normal one")
        for origin, what in editable
    ]
    return found + [
        Notice(
            option.origin,
            f"--trusted-host {option.value} is not followed: certificates are always checked; "
            "a private authority is given by SSL_CERT_FILE",
        )
        for option in closure.options
        if option.name == "trusted-host"
    ]
