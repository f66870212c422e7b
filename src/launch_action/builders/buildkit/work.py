"""What both ways of building share: the plan, its context, the bases, and where the image goes."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from launch_action.builders.buildkit.bases import DockerfileBase
from launch_action.builders.buildkit.client import Docker
from launch_action.builders.buildkit.target import Taking
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, field
from launch_action.core.dockerfile_plan import DockerfilePlan
from launch_action.core.ports import Reporter


@dataclass(frozen=True, slots=True)
class Work:
    """One build. `folder` is a temporary directory of its own.

    `text` is the Dockerfile, `wheels` the folder of a generated one's packages, already there.
    `repository` is the image's in its registry, empty for a local store; `place` names the
    Dockerfile from the repository's root; `epoch` is in seconds since 1970. `private`: the
    registry is reached with certificates that only we were given; `plain`: over http.
    `builder_image` is BuildKit's, for a builder of our own.
    """

    plan: DockerfilePlan
    context: Context
    text: bytes
    bases: tuple[DockerfileBase, ...]
    epoch: int
    taking: Taking
    docker: Docker
    folder: Path
    reporter: Reporter
    repository: str
    place: str
    private: bool = False
    plain: bool = False
    builder_image: str = ""
    secrets: Sequence[tuple[str, bytes]] = field(default=(), repr=False)
    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)

    @property
    def wheels(self) -> Path:
        """Where the packages of a generated Dockerfile are."""
        return self.folder / "context" / "wheels"

    @property
    def hosts(self) -> tuple[str, ...]:
        """The registries that the build speaks to."""
        named = [self.repository, *(base.pinned for base in self.bases)]
        return tuple(name.partition("/")[0] for name in named if name)

    @property
    def ignored(self) -> bool:
        """Whether the ignore rules leave the Dockerfile itself out of the context."""
        path = posixpath.normpath(self.plan.dockerfile.path)
        return all(file.path != path for file in self.plan.files)
