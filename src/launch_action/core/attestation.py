"""Attestations of an image, as BuildKit keeps them: a manifest beside the image in its index.

Sources: BuildKit, docs/attestations/attestation-storage.md (the manifest, its config without a
meaning, the annotations); in-toto Attestation Framework 1.1 (the statement).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.artifact import plain_config
from launch_action.core.dataclass import dataclass
from launch_action.core.image import (
    OCI_CONFIG,
    OCI_MANIFEST,
    UNKNOWN_PLATFORM,
    Descriptor,
    Manifest,
    canonical,
)

SPDX = "https://spdx.dev/Document"
SLSA = "https://slsa.dev/provenance/v1"
IN_TOTO = "application/vnd.in-toto+json"
PREDICATE_TYPE = "in-toto.io/predicate-type"
REFERENCE_TYPE = "vnd.docker.reference.type"
REFERENCE_DIGEST = "vnd.docker.reference.digest"
_STATEMENT = "https://in-toto.io/Statement/v1"
_MANIFEST = "attestation-manifest"


@dataclass(frozen=True, slots=True)
class Statement:
    """A predicate of a type (its URI), about an image."""

    predicate_type: str
    predicate: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MadeAttestation:
    """What is to be stored, blobs before the manifest, and how an index names it."""

    blobs: tuple[tuple[Descriptor, bytes], ...]
    manifest: Manifest

    def entry(self, image: Descriptor) -> Descriptor:
        """The entry of the index that says whose attestations these are."""
        return attestation_entry(self.manifest.descriptor, image)


def make_attestation(
    image: Descriptor, subject: str, statements: Sequence[Statement]
) -> MadeAttestation:
    """The attestation manifest of an image; `subject` is what the statements call it."""
    layers = [_layer(image, subject, statement) for statement in statements]
    config = plain_config([layer for layer, _ in layers])
    described = Descriptor.of(config, OCI_CONFIG)
    manifest = Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": described.document(),
            "layers": [layer.document() for layer, _ in layers],
        }
    )
    return MadeAttestation(((described, config), *layers), manifest)


def attestation_entry(manifest: Descriptor, image: Descriptor) -> Descriptor:
    """An attestation manifest as an index names it, beside the image that it is about."""
    found = {REFERENCE_DIGEST: str(image.digest), REFERENCE_TYPE: _MANIFEST}
    return Descriptor(
        manifest.media_type, manifest.digest, manifest.size, found, platform=UNKNOWN_PLATFORM
    )


def predicate_types(manifest: Manifest) -> frozenset[str]:
    """What an attestation manifest holds, by the URIs of its predicates."""
    return frozenset(layer.annotations.get(PREDICATE_TYPE, "") for layer in manifest.layers())


def _layer(image: Descriptor, subject: str, statement: Statement) -> tuple[Descriptor, bytes]:
    data = canonical(
        {
            "_type": _STATEMENT,
            "subject": [{"name": subject, "digest": {"sha256": image.digest.hex}}],
            "predicateType": statement.predicate_type,
            "predicate": dict(statement.predicate),
        }
    )
    named = Descriptor.of(data, IN_TOTO).annotated({PREDICATE_TYPE: statement.predicate_type})
    return named, data
