"""The base images of a Dockerfile: their digests, which are in the build key, and their layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from launch_action.builders.buildkit.client import Docker
from launch_action.builders.buildkit.target import BaseLayers
from launch_action.builders.layers.archive import MTIME
from launch_action.builders.layers.base_image import BaseImage, find_image
from launch_action.cache import Cache
from launch_action.core.base import BaseRecord
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError, InputError, RegistryError
from launch_action.core.image import Descriptor, Platform
from launch_action.core.ports import Content
from launch_action.core.reference import Digest, Reference, Repository

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


def read_images(
    bases: Iterable[DockerfileBase], platforms: Iterable[Platform], cache: Cache
) -> tuple[tuple[DockerfileBase, BaseImage], ...]:
    """The images of the bases for each platform; a base that lacks one is left to BuildKit."""
    wanted = [(base, platform) for base in bases if base.origin for platform in platforms]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(lambda one: (one[0], _read(one[0], one[1], cache)), wanted)
        return tuple((base, image) for base, image in found if image)


def _read(base: DockerfileBase, platform: Platform, cache: Cache) -> BaseImage | None:
    assert base.origin is not None  # noqa: S101  - the caller's condition, for the type checker
    try:
        return find_image(base.origin, base.identity, platform, name=base.name, cache=cache)
    except BuildError:
        return None  # a stage for the build platform, or a manifest of a kind of its own


def base_layers(images: Iterable[tuple[DockerfileBase, BaseImage]]) -> BaseLayers:
    """Where the layers of these images are."""
    by_digest: dict[Digest, Content] = {}
    by_diff_id: dict[Digest, tuple[Descriptor, Content]] = {}
    for base, image in images:
        for layer in image.layers:
            if base.origin is not None:
                by_digest[layer.descriptor.digest] = base.origin
                by_diff_id[layer.diff_id] = layer.descriptor, base.origin
    return BaseLayers(by_digest, by_diff_id)


def source_date_epoch(images: Iterable[tuple[DockerfileBase, BaseImage]]) -> int:
    """The time of what is built: that of the newest base, a function of content alone.

    Seconds since 1970. So a base's own files are never newer, and never made older.
    """
    return max([MTIME, *(_seconds(image.config.get("created")) for _, image in images)])


def _seconds(created: object) -> int:
    try:
        return int(datetime.fromisoformat(str(created)).timestamp())
    except (ValueError, OverflowError):
        return 0
