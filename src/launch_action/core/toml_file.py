"""TOML files of a project, read into plain tables, and errors at their lines."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from launch_action.core.errors import BuildError
from launch_action.core.requirement import Origin


def read_toml(content: bytes, file: str) -> dict[str, Any]:
    """The document. Raises BuildError, with `file:line` where it is known, for anything else."""
    import tomli

    try:
        return tomli.loads(content.decode("utf-8-sig"))
    except (UnicodeDecodeError, tomli.TOMLDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        where = f"{file}:{line}" if line else file
        raise BuildError(f"{where}: not TOML: {error}", hint="correct the file") from None


def table(document: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """The table below these names; empty where there is none, or something else is there."""
    found: Any = document
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def tables(document: Mapping[str, Any], *names: str) -> tuple[Mapping[str, Any], ...]:
    """The tables of an array of tables; whatever else is in it is left out."""
    found = table(document, *names[:-1]).get(names[-1])
    return (
        tuple(one for one in found if isinstance(one, Mapping)) if isinstance(found, list) else ()
    )


def strings(value: object) -> tuple[str, ...]:
    """The texts of an array; none for anything else."""
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def inside(path: str, content: bytes, needle: str, file: str) -> str:
    """A path from the context's root, normalised. Raises BuildError when it leaves the context."""
    found = posixpath.normpath(path)
    if found.startswith("/") or found.split("/")[0] == "..":
        raise fault(
            content,
            file,
            needle,
            f"outside the build context: {path!r}",
            "choose a --build-context that contains it",
        )
    return found


def fault(
    content: bytes, file: str, needle: str, what: str, hint: str = "correct that line"
) -> BuildError:
    """An error at the first line of the file that holds `needle`."""
    lines = content.decode("utf-8", "replace").splitlines()
    line = next((number for number, text in enumerate(lines, 1) if needle in text), 0)
    return BuildError(f"{Origin(file, line)}: {what}", hint=hint)
