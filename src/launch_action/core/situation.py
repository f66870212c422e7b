"""What was read before anything is decided: the project at its commit, and where this runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launch_action.core.context import TreeFile
from launch_action.core.dataclass import dataclass
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.image import Platform
from launch_action.core.python_version import PythonChoice

if TYPE_CHECKING:
    from launch_action.core.build_options import BuildOptions
    from launch_action.core.claims import Turn
    from launch_action.core.dockerfile_choice import Dockerfile


@dataclass(frozen=True, slots=True)
class Project:
    """What was read of the build context at the commit, before anything is decided.

    `files` are the context's files after the ignore rules, `digest` identifies them. `local` gives
    the content id of every path that the dependencies name, `indexes` the URLs of package indexes
    that the environment names. `dockerfile` is there where one is built, with its `options`.
    `schema` is the checked schema of the job's inputs.
    """

    build_context: str
    files: tuple[TreeFile, ...]
    digest: str
    python: PythonChoice
    dependencies: DependencyInputs
    local: tuple[tuple[str, str], ...] = ()
    indexes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    dockerfile: Dockerfile | None = None
    options: BuildOptions | None = None
    schema: bytes | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """What the plan must know of where it runs; all of it is read by the shell.

    `event_branch`, `event_tag`, `pull_request` and `default_branch` are what CI says; a command
    line outside CI says nothing and the checkout's own are used. Where an event is not `trusted`,
    nothing of a package is run, which may choose other versions. `tool` is this program with its
    version, `builder` the URI of who vouches for what is built, `invocation` that of this run;
    `turn` is the run among those of its repository.
    """

    platform: Platform
    now: int
    store_directory: str
    builder_format: str
    ci: bool = False
    event_branch: str = ""
    event_tag: str = ""
    pull_request: int | None = None
    base_branch: str = ""
    default_branch: str = ""
    trusted: bool = True
    tool: str = ""
    builder: str = ""
    invocation: str = ""
    turn: Turn | None = None
