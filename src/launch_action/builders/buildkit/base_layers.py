"""What is in the base images of a Dockerfile: their layers, and when they were made."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from launch_action.builders.buildkit.bases import DockerfileBase
from launch_action.builders.buildkit.target import BaseLayers
from launch_action.builders.layers.archive import MTIME
from launch_action.builders.layers.base_image import BaseImage, find_image
from launch_action.cache import Cache
from launch_action.core.errors import BuildError
from launch_action.core.image import Descriptor, Platform
from launch_action.core.ports import Content
from launch_action.core.reference import Digest

_AT_ONCE = 4


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
