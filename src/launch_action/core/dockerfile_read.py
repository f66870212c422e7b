"""Reads the chosen Dockerfile of a build context, and says which ignore file goes with it."""

from __future__ import annotations

from launch_action.core.context import Context
from launch_action.core.dockerfile_choice import Dockerfile, DockerfileChoice
from launch_action.core.errors import InputError
from launch_action.core.links import resolve


def read_dockerfile(context: Context, choice: DockerfileChoice) -> Dockerfile:
    """The chosen Dockerfile, with links on its path followed inside the context.

    Raises InputError for one that a link leads out of the context, or that is no file.
    """
    if not choice.path:
        return Dockerfile("", b"", choice.reason, choice.folder)
    place = resolve(choice.path, _links(context))
    if place is None:
        raise InputError(
            f"Dockerfile {choice.path!r} is a link that leaves the build context",
            hint="commit the file itself, or choose a --build-context that holds what it points to",
        )
    content = context.read(place)
    if content is None:
        raise InputError(
            f"Dockerfile {choice.path!r} is no file of the commit",
            hint="commit it, or name another one with --dockerfile",
        )
    return Dockerfile(choice.path, content, choice.reason, choice.folder)


def ignore_file(context: Context, dockerfile: str) -> str:
    """The ignore file of a Dockerfile: its own, `<Dockerfile>.dockerignore`, else the context's."""
    own = f"{dockerfile}.dockerignore"
    there = dockerfile and any(file.path == own for file in context.files)
    return own if there else ".dockerignore"


def _links(context: Context) -> dict[str, str]:
    links = [file for file in context.files if file.kind == "symlink"]
    return {
        file.path: b"".join(chunks).decode("utf-8", "surrogateescape")
        for file, chunks in context.contents(links)
    }
