"""The image behind a base reference: tag -> index -> platform -> manifest and config.

Source of the formats: OCI image specification 1.1 (manifest.md, image-index.md, config.md) and,
for reading, Docker image manifest version 2, schema 2. Documents are cached by digest, so that a
pinned digest needs no request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError, InputError
from launch_action.core.image import (
    DOCKER_LAYER_GZIP,
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    UNKNOWN_PLATFORM,
    Descriptor,
    Layer,
    Manifest,
    Platform,
    parse_object,
)
from launch_action.core.ports import Content, read_blob
from launch_action.core.reference import Digest

# Docker's names for the same bytes.
_LAYER_TYPES = {
    OCI_LAYER: OCI_LAYER,
    OCI_LAYER_GZIP: OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD: OCI_LAYER_ZSTD,
    DOCKER_LAYER_GZIP: OCI_LAYER_GZIP,
    "application/vnd.docker.image.rootfs.diff.tar": OCI_LAYER,
    "application/vnd.docker.image.rootfs.diff.tar.zstd": OCI_LAYER_ZSTD,
}
_KIND = "manifests"


@dataclass(frozen=True, slots=True)
class BaseImage:
    """One platform's image: `digest` is its manifest's, `config` its whole config document."""

    digest: Digest
    platform: Platform
    layers: tuple[Layer, ...]
    config: Mapping[str, Any]


def find_image(
    origin: Content, selector: str, platform: Platform, *, name: str, cache: Cache
) -> BaseImage:
    """The image that `selector` (a tag or digest; empty: the only one) names for a platform.

    Raises BuildError when there is none, RegistryError or StoreError when it cannot be read.
    """
    documents = _Documents(origin, cache)
    found = _select(documents, selector, name)
    if found.is_index:
        entry = _platform_entry(found, platform, name)
        found = _required(documents.manifest(entry.digest), f"{name} ({entry.digest})")
    if found.descriptor.media_type not in MANIFEST_TYPES:
        raise BuildError(
            f"{name} is not an image: its manifest is {found.descriptor.media_type!r}",
            hint="name an image of OCI or Docker schema 2 form",
        )
    config = parse_object(documents.blob(found.config()), f"the config of {name}")
    real = _config_platform(config)
    if not platform.accepts(real):
        raise _no_platform(name, platform, [real])
    return BaseImage(found.descriptor.digest, platform, _layers(found, config, name), config)


@dataclass(frozen=True, slots=True)
class _Documents:
    """Manifests and configs by digest, from the cache before the origin."""

    origin: Content
    cache: Cache

    def tagged(self, tag: str) -> Manifest | None:
        """What a tag names now; always asked of the origin."""
        found = self.origin.get_manifest(tag)
        if found is not None and self._cached(found.descriptor.digest) is None:
            self._keep(found.descriptor.digest, found.data)
        return found

    def manifest(self, digest: Digest) -> Manifest | None:
        data = self._cached(digest)
        if data is None:
            return self.tagged(digest)
        return Manifest(Descriptor(_media_type(data), digest, len(data)), data)

    def blob(self, descriptor: Descriptor) -> bytes:
        data = self._cached(descriptor.digest)
        if data is None:
            data = read_blob(self.origin, descriptor)
            self._keep(descriptor.digest, data)
        return data

    def _cached(self, digest: Digest) -> bytes | None:
        path = self.cache.find(_KIND, digest.hex)
        if path is None:
            return None
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == digest.hex else None

    def _keep(self, digest: Digest, data: bytes) -> None:
        with self.cache.write(_KIND, digest.hex) as path:
            path.write_bytes(data)


def _media_type(data: bytes) -> str:
    """A stored document's type: OCI documents may leave `mediaType` out."""
    document = parse_object(data, "a cached manifest")
    return str(
        document.get("mediaType") or (OCI_INDEX if "manifests" in document else OCI_MANIFEST)
    )


def _select(documents: _Documents, selector: str, name: str) -> Manifest:
    if selector.startswith("sha256:"):
        return _required(documents.manifest(Digest(selector)), name)
    if selector:
        return _required(documents.tagged(selector), name)
    tags = documents.origin.tags()
    if len(tags) > 1 and "latest" not in tags:
        raise BuildError(
            f"{name} holds several images: {', '.join(tags[:10])}", hint=f"write {name}:{tags[0]}"
        )
    return _required(documents.tagged(tags[0] if len(tags) == 1 else "latest"), name)


def _required(found: Manifest | None, name: str) -> Manifest:
    if found is None:
        raise BuildError(
            f"no such base image: {name}",
            hint="check the name and tag of --base-image, and that this login may read it",
        )
    return found


def _platform_entry(index: Manifest, platform: Platform, name: str) -> Descriptor:
    """The index's entry for a platform; one without a platform serves when it is the only one."""
    entries = [e for e in index.entries() if e.media_type in (*MANIFEST_TYPES, *INDEX_TYPES)]
    images = [e for e in entries if e.platform != UNKNOWN_PLATFORM]
    for entry in images:
        if entry.platform and platform.accepts(entry.platform):
            return entry
    if len(images) == 1 and images[0].platform is None:
        return images[0]
    raise _no_platform(name, platform, [e.platform for e in images if e.platform])


def _no_platform(name: str, platform: Platform, there: list[Platform]) -> BuildError:
    found = ", ".join(dict.fromkeys(map(str, there))) or "no platform"
    return BuildError(
        f"no {platform} in base image {name}: it has {found}",
        hint="choose one of these with --platform, or another --base-image",
    )


def _config_platform(config: Mapping[str, Any]) -> Platform:
    return Platform(
        str(config.get("os") or "linux"),
        str(config.get("architecture") or "unknown"),
        str(config.get("variant") or ""),
    )


def _layers(manifest: Manifest, config: Mapping[str, Any], name: str) -> tuple[Layer, ...]:
    """The layers with their diff_ids. Annotations are left behind: ours say what a layer was made
    from, and must not be taken from a base."""
    descriptors = manifest.layers()
    rootfs = config.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list) or len(diff_ids) != len(descriptors):
        count = len(diff_ids) if isinstance(diff_ids, list) else 0
        raise BuildError(
            f"{name} has {len(descriptors)} layers, but its config names {count}",
            hint="the image is damaged; push it again or name another one",
        )
    return tuple(
        Layer(_layer(descriptor, name), _diff_id(diff_id, name))
        for descriptor, diff_id in zip(descriptors, diff_ids, strict=True)
    )


def _layer(descriptor: Descriptor, name: str) -> Descriptor:
    media_type = _LAYER_TYPES.get(descriptor.media_type)
    if media_type is None:
        raise BuildError(
            f"{name} has a layer that cannot be taken over: {descriptor.media_type!r}",
            hint="foreign and non-distributable layers are refused; name another base image",
        )
    return Descriptor(media_type, descriptor.digest, descriptor.size)


def _diff_id(found: object, name: str) -> Digest:
    try:
        return Digest(str(found))
    except InputError as error:
        raise BuildError(
            f"{name} has a diff_id that is no digest: {str(found)[:80]!r}",
            hint="the image is damaged; push it again or name another one",
        ) from error
