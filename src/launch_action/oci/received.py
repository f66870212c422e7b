"""A manifest as it came from a registry: its size, digest and kind, checked before it is used."""

from __future__ import annotations

from launch_action.core.image import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
    parse_object,
)
from launch_action.oci.faults import Refused, corrupt
from launch_action.oci.retry import Transient
from launch_action.oci.transport import Answer

MANIFEST_LIMIT = 8 * 1024 * 1024
ACCEPT = {"Accept": ", ".join((*INDEX_TYPES, *MANIFEST_TYPES))}


def read_manifest(answer: Answer, reference: str, what: str) -> Manifest:
    """Check what came against the digest asked for, and the one the registry tells.

    Raises Transient for another content, RegistryError above 8 MiB and for unknown kinds.
    """
    data = answer.read(MANIFEST_LIMIT)
    digest = digest_of(data)
    asked = reference if reference.startswith("sha256:") else None
    for wanted in filter(None, (asked, answer.headers.get("Docker-Content-Digest"))):
        if wanted != digest and wanted.startswith("sha256:"):
            raise Transient(corrupt(what, f"{digest} instead of {wanted}"))
    media_type = _media_type(data, answer, what)
    return Manifest(Descriptor(media_type, digest, len(data)), data)


def _media_type(data: bytes, answer: Answer, what: str) -> str:
    """The document's own media type, which its digest covers, before the header's."""
    document = parse_object(data, what)
    told = answer.headers.get("Content-Type", "").partition(";")[0].strip()
    found = document.get("mediaType") or told
    if found in (*INDEX_TYPES, *MANIFEST_TYPES):
        return str(found)
    if "mediaType" not in document and document.get("schemaVersion") == 2:
        return OCI_INDEX if "manifests" in document else OCI_MANIFEST
    raise Refused(
        f"{what} is of a kind that is not known: {str(found)[:100]!r}",
        hint="it is no image of OCI or Docker schema 2; push the image again with a newer tool",
    )
