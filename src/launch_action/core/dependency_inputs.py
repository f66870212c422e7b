"""What a project declares it needs: its files, the entries read from them, remarks on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from launch_action.core.dataclass import dataclass
from launch_action.core.requirements_file import LocalRequirement, Option, Origin, Requirement

DependencyKind = Literal["requirements", "pyproject", "uv-lock", "none"]
Reader = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should be told about a declaration, with where it stands."""

    origin: Origin
    text: str


@dataclass(frozen=True, slots=True)
class DependencyInputs:
    """The files that declare a project's dependencies, and how they are to be read.

    `main` is the file the reading starts at (`requirements.txt`, `pyproject.toml`, `uv.lock`),
    relative to the build context; empty for kind "none". `files` holds every file reached (`-r`,
    `-c`, the lock, the pyproject), each with its bytes, in order of their paths. `local` are paths
    of the context that are required as packages: wheels, directories, and directories of wheels.
    `extras` are pyproject extras. `pinned` says that every requirement is fixed by a lock or a
    hash, so that no cutoff is needed.

    The entries of requirements files are kept as read: `requirements`, `constraints`,
    `local_requirements` and `options`. `variables` are the names of the environment variables
    that the files refer to; their values are never recorded.
    """

    kind: DependencyKind
    main: str = ""
    files: tuple[tuple[str, bytes], ...] = ()
    local: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    pinned: bool = False
    requirements: tuple[Requirement, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    local_requirements: tuple[LocalRequirement, ...] = ()
    options: tuple[Option, ...] = ()
    variables: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
