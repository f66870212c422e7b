"""What a project declares it needs: its files, the entries read from them, remarks on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from launch_action.core.dataclass import dataclass
from launch_action.core.requirement import LocalRequirement, Option, Origin, Requirement
from launch_action.core.vcs import GitSource

DependencyKind = Literal["requirements", "pyproject", "uv-lock", "poetry-lock", "pylock", "none"]
Reader = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a project's own file is asked for: extras, dependency groups, the project itself."""

    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    project: bool = False


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
    of the context that are required as packages: wheels, source archives, directories, and
    directories of wheels. `extras` and `groups` are those of the project's own file that are asked
    for; `project` says that the project itself is installed too. `pinned` says that every
    requirement is fixed by a lock or a hash, so that no cutoff is needed; `exact` that each is
    at the version that a whole environment had. `repositories` are the git repositories that are
    required; those without a commit mean another one every day.

    The entries of requirements files are kept as read: `requirements`, `constraints`,
    `local_requirements` and `options`; those of a Poetry lock have the same form. `variables` are
    the names of the environment variables that the files refer to; their values are never recorded.
    """

    kind: DependencyKind
    main: str = ""
    files: tuple[tuple[str, bytes], ...] = ()
    local: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    project: bool = False
    pinned: bool = False
    exact: bool = False
    repositories: tuple[GitSource, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    local_requirements: tuple[LocalRequirement, ...] = ()
    options: tuple[Option, ...] = ()
    variables: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
