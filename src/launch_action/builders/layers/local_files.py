"""Copies of what local requirements need to be read by uv: wheels, and metadata of directories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from launch_action.core.context import Context, TreeFile
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError
from launch_action.core.project_file import has_static_metadata
from launch_action.core.requirement_line import ARCHIVES

# What a local project's metadata may be read from, when it is written down statically.
_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg", "PKG-INFO")


def write_local(inputs: DependencyInputs, context: Context | None, root: Path) -> None:
    """Copy what local requirements need to be read: wheels, and the metadata of directories.

    Raises BuildError when the context has nothing at such a path.
    """
    if not inputs.local:
        return
    if context is None:
        raise ValueError("local requirements need the build context")
    wanted = list(_wanted(inputs, context))
    for file, chunks in context.contents(wanted):
        place = root / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("wb") as out:
            for chunk in chunks:
                out.write(chunk)


def _wanted(inputs: DependencyInputs, context: Context) -> Iterator[TreeFile]:
    origins = {one.path: str(one.origin) for one in inputs.local_requirements}
    declared = {path for path, _ in inputs.files} if inputs.kind == "pyproject" else set()
    # The project itself is resolved by its declaration; its files are needed to build it alone.
    own = inputs.project and inputs.kind != "requirements"
    for path in inputs.local:
        if own and path == ".":
            continue
        below = "" if path == "." else f"{path}/"
        found = [
            file
            for file in context.files
            if file.kind != "symlink" and (file.path == path or file.path.startswith(below))
        ]
        if not found:
            place = f"{origins[path]}: " if path in origins else ""
            raise BuildError(
                f"{place}no such path in the build context: {path!r}",
                hint="paths are relative to the build context's root; is it committed?",
            )
        yield from (one for one in _needed(found, below, context) if one.path not in declared)


def _needed(found: Sequence[TreeFile], below: str, context: Context) -> Sequence[TreeFile]:
    """What uv must see: of a project its static metadata, else all of it; else the archives."""
    project = [one for one in found if one.path in [f"{below}{name}" for name in _PROJECT_FILES]]
    if not project:
        return [one for one in found if one.path.endswith(ARCHIVES)]
    content = context.read(f"{below}pyproject.toml")
    return project if content is not None and has_static_metadata(content) else found
