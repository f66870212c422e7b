"""The attestations of a version that is about to be recorded: kept, or made and stored.

A recording that was attested before keeps what it has, for a statement says which run it is of, and
the same version must be the same digest.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from launch_action.core.attest import Attest
from launch_action.core.attestation import (
    SLSA,
    SPDX,
    MadeAttestation,
    Statement,
    make_attestation,
    predicate_types,
)
from launch_action.core.base import BaseRecord
from launch_action.core.dataclass import dataclass
from launch_action.core.frozen import lines_for
from launch_action.core.image import UNKNOWN_PLATFORM, Descriptor
from launch_action.core.materials import InstalledWheel, read_wheels, wheels_of_lines
from launch_action.core.plan import LaunchPlan
from launch_action.core.ports import Content, read_blob
from launch_action.core.provenance import slsa_provenance
from launch_action.core.sbom import Contents, Source, spdx_document, unique_wheels
from launch_action.core.version import JobVersion, wheels_of

_PREDICATES = {"sbom": SPDX, "provenance": SLSA}
_LIST_LIMIT = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Attested:
    """What is known of the images, in the order of the platforms; `reused`: they were there."""

    images: tuple[Descriptor, ...]
    bases: tuple[BaseRecord, ...]
    frozen: bytes
    build_key: str
    reused: bool
    source: Source
    created: str


def attestations(
    plan: LaunchPlan, content: Content, made: Attested, earlier: JobVersion | None
) -> tuple[Descriptor, ...]:
    """What an index is to name; it is in the content. `earlier` is the same recording of before."""
    wanted = frozenset(_PREDICATES[name] for name in plan.attest.wanted)
    if earlier and _holds(content, earlier, wanted):
        return earlier.attestations
    return tuple(_store(content, _make(plan, content, made, image), image) for image in made.images)


def _holds(content: Content, version: JobVersion, wanted: frozenset[str]) -> bool:
    """Whether a version has exactly these statements of each of its images."""
    found = [content.get_manifest(entry.digest) for entry in version.attestations]
    return len(found) == len(version.images) and all(
        manifest is not None and predicate_types(manifest) == wanted for manifest in found
    )


def _make(plan: LaunchPlan, content: Content, made: Attested, image: Descriptor) -> MadeAttestation:
    bases = tuple(base for base in made.bases if base.platform in (None, image.platform))
    wheels = unique_wheels(_wheels(content, image, made.frozen))
    contents = Contents(plan.job_name, made.source, made.created, image, bases, wheels)
    return make_attestation(image, plan.job_name, _statements(plan, plan.attest, contents, made))


def _statements(
    plan: LaunchPlan, attest: Attest, contents: Contents, made: Attested
) -> Sequence[Statement]:
    found = []
    if attest.sbom:
        found.append(Statement(SPDX, spdx_document(contents, attest.tool)))
    if attest.provenance:
        predicate = slsa_provenance(
            contents, plan.build, made.build_key, attest, reused=made.reused
        )
        found.append(Statement(SLSA, predicate))
    return found


def _wheels(content: Content, image: Descriptor, frozen: bytes) -> tuple[InstalledWheel, ...]:
    named = wheels_of(image)
    if named is None:
        return wheels_of_lines(lines_for(frozen, image.platform or UNKNOWN_PLATFORM))
    return read_wheels(read_blob(content, named, _LIST_LIMIT))


def _store(content: Content, made: MadeAttestation, image: Descriptor) -> Descriptor:
    for descriptor, data in made.blobs:
        content.put_blob(descriptor, lambda data=data: io.BytesIO(data))  # type: ignore[misc]
    content.put_manifest(made.manifest)
    return made.entry(image)
