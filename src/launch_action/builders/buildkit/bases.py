"""The base images of a Dockerfile: what they are called, and their digests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from launch_action.builders.buildkit.client import Docker
from launch_action.core.base import BaseRecord
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError, InputError, RegistryError
from launch_action.core.ports import Content
from launch_action.core.reference import Reference, Repository

_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class DockerfileBase:
    """A base image, found. `name` is as the Dockerfile has it, `identity` what decides its bytes.

    `reference` and `origin` are None for an image that only the engine has.
    """

    name: str
    identity: str
    reference: Reference | None = None
    origin: Content | None = None

    @property
    def record(self) -> BaseRecord:
        return BaseRecord(str(self.reference or self.name), self.identity)

    @property
    def pinned(self) -> str:
        """The reference by digest; empty where there is no digest."""
        return f"{self.reference.repository}@{self.identity}" if self.reference else ""


def find_bases(
    names: Iterable[str], open_content: Callable[[Repository], Content], docker: Docker
) -> tuple[DockerfileBase, ...]:
    """Resolve each name in its registry, else in the engine, where an earlier step may have put it.

    Raises BuildError for an image that is nowhere, RegistryError for a registry that is not read.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return tuple(pool.map(lambda name: _find(name, open_content, docker), tuple(names)))


def _find(
    name: str, open_content: Callable[[Repository], Content], docker: Docker
) -> DockerfileBase:
    try:
        reference = Reference.parse(name)
    except InputError as error:
        raise BuildError(
            f"the Dockerfile builds on what is no image: {name!r}",
            hint="name it in FROM, or give the build argument in it with --build-arg",
        ) from error
    origin = open_content(reference.repository)
    if reference.selector.startswith("sha256:"):
        return DockerfileBase(name, reference.selector, reference, origin)
    try:
        found = origin.get_manifest(reference.selector)
    except RegistryError:
        local = _in_engine(name, docker)
        if local is None:
            raise
        return local
    if found is not None:
        return DockerfileBase(name, str(found.descriptor.digest), reference, origin)
    local = _in_engine(name, docker)
    if local is None:
        raise BuildError(
            f"no such base image: {name}",
            hint="check the name and tag in FROM, and that this login may read it",
        )
    return local


def _in_engine(name: str, docker: Docker) -> DockerfileBase | None:
    asked = docker.ask("image", "inspect", "--format", "{{.Id}}", name)
    if asked is None or asked.code != 0 or not asked.text.strip():
        return None
    return DockerfileBase(name, f"engine:{asked.text.strip()}")
