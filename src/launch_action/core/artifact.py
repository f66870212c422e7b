"""Manifests that hold files instead of an image.

Source: OCI image specification 1.1, manifest.md, "Guidelines for Artifact Usage". The plain form is
for registries that take only media types from a list of theirs (GitLab's): it looks like an image
of a platform that nobody has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from launch_action.core.dataclass import replace
from launch_action.core.errors import RegistryError
from launch_action.core.image import (
    EMPTY,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    UNKNOWN_PLATFORM,
    Descriptor,
    Manifest,
    canonical,
)

Blob = tuple[Descriptor, bytes]
# Of GitLab, and of a Quay that has a list.
_REFUSED = ("unknown media type", "is not one of")


def make_artifact(
    kind: str, layers: Sequence[Descriptor], annotations: Mapping[str, str]
) -> tuple[Blob, Manifest]:
    """An artifact of a kind (a media type) that holds these files, and its config."""
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": EMPTY.document(),
        "layers": [layer.document() for layer in layers],
        "annotations": dict(annotations),
    }
    return (EMPTY, b"{}"), Manifest.make(document)


def make_plain(
    layers: Sequence[Descriptor], annotations: Mapping[str, str]
) -> tuple[Blob, Manifest]:
    """The same in words that every registry knows."""
    data = plain_config(layers)
    config = Descriptor.of(data, OCI_CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": config.document(),
        "layers": [replace(layer, media_type=OCI_LAYER).document() for layer in layers],
        "annotations": dict(annotations),
    }
    return (config, data), Manifest.make(document)


def plain_config(layers: Sequence[Descriptor]) -> bytes:
    """The config of an image that is none, as BuildKit's attestations have one."""
    rootfs = {"type": "layers", "diff_ids": [str(layer.digest) for layer in layers]}
    return canonical({**UNKNOWN_PLATFORM.document(), "config": {}, "rootfs": rootfs})


def wants_plain(refusal: RegistryError) -> bool:
    """Whether a registry refuses a media type: in the plain form it may take the same."""
    words = refusal.message.lower()
    return any(word in words for word in _REFUSED)


def is_plain(manifest: Manifest) -> bool:
    """Whether files are held in the plain form."""
    return manifest.config().media_type == OCI_CONFIG
