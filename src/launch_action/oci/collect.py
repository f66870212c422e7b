"""Garbage collection of an OCI image layout: what no tag reaches, and nobody is about to tag.

A file younger than the grace age is kept, and if it is a manifest everything it names: it was
written or looked up by a run that will tag it. What goes, goes from the top: a manifest before
what it names, so that a collection killed in between leaves no manifest with a hole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from graphlib import TopologicalSorter
from typing import Any, BinaryIO

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, StoreError
from launch_action.core.image import digest_of
from launch_action.core.reference import Digest
from launch_action.oci.directory import Directory

BLOBS = "blobs/sha256"
# A registry's limit for manifests (distribution: 4 MiB); what is larger is not one.
MANIFEST_LIMIT = 4 * 1024 * 1024
GRACE = 3600.0


@dataclass(frozen=True, slots=True)
class Blob:
    """A file of the layout. `document`: its bytes are a JSON object; `names`: what that names."""

    digest: Digest
    size: int
    modified: float
    links: int
    document: bool
    names: frozenset[Digest]
    manifests: frozenset[Digest]


def place(digest: Digest) -> str:
    """Where a blob lies in a layout (OCI image specification 1.1, image-layout.md, "Blobs")."""
    return f"{BLOBS}/{digest.hex}"


def survey(files: Directory) -> dict[Digest, Blob]:
    """Every blob of the layout. A file that is not named by a digest is none, and left alone."""
    found = (_blob(*file) for file in files.each(BLOBS))
    return {blob.digest: blob for blob in found if blob}


def unreached(
    found: Mapping[Digest, Blob], roots: Iterable[Digest], *, oldest: float
) -> tuple[Blob, ...]:
    """What can go: older than `oldest` (seconds since the epoch), reached from nothing that stays.

    Ordered so that whatever names another comes before it. Raises StoreError when a manifest on
    the way is damaged, because nobody knows what it names.
    """
    young = {digest for digest, blob in found.items() if blob.modified >= oldest}
    kept = _reached(found, {*roots, *young}, young)
    order = TopologicalSorter({digest: set[Digest]() for digest in found if digest not in kept})
    for blob in found.values():
        for named in blob.names:
            if blob.digest not in kept and named in found and named not in kept:
                order.add(named, blob.digest)
    return tuple(found[digest] for digest in order.static_order())


def named_by_others(found: Mapping[Digest, Blob], digest: Digest) -> bool:
    """Whether any manifest that is there names this blob."""
    return any(digest in blob.names for blob in found.values() if blob.digest != digest)


def named_blobs(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The descriptors in a manifest or index, each with the property it stands in.

    Source: OCI image specification 1.1, manifest.md and image-index.md (`blobs`: the artifact
    manifest of release candidates, still found in layouts).
    """
    for key in ("manifests", "config", "layers", "blobs", "subject"):
        value = document.get(key)
        for descriptor in value if isinstance(value, list) else (value,):
            if isinstance(descriptor, dict):
                yield key, descriptor


def _blob(name: str, status: os.stat_result, opened: Callable[[], BinaryIO]) -> Blob | None:
    try:
        digest = Digest(f"sha256:{name}")
    except InputError:
        return None
    document = _document(digest, opened) if status.st_size <= MANIFEST_LIMIT else None
    named = [(key, _digest(d)) for key, d in named_blobs(document or {})]
    return Blob(
        digest=digest,
        size=status.st_size,
        modified=status.st_mtime,
        links=status.st_nlink,
        document=document is not None,
        names=frozenset(d for _, d in named if d),
        manifests=frozenset(d for key, d in named if d and key == "manifests"),
    )


def _document(digest: Digest, opened: Callable[[], BinaryIO]) -> dict[str, Any] | None:
    """The JSON object that a blob is; None when it is something else, or damaged."""
    with opened() as file:
        data = file.read(1)
        if data != b"{":
            return None
        data += file.read(MANIFEST_LIMIT)
    with suppress(ValueError, RecursionError):
        found = json.loads(data)
        if isinstance(found, dict) and digest_of(data) == digest:
            return found
    return None


def _digest(descriptor: Mapping[str, Any]) -> Digest | None:
    with suppress(InputError, TypeError):
        return Digest(descriptor.get("digest", ""))
    return None


def _reached(
    found: Mapping[Digest, Blob], roots: Iterable[Digest], loose: Iterable[Digest]
) -> set[Digest]:
    """Everything reached from the roots. Those in `loose` need not be manifests."""
    reached: set[Digest] = set()
    manifests = set(roots) - set(loose)
    waiting = set(roots)
    while waiting:
        digest = waiting.pop()
        blob = found.get(digest)
        if blob is None or digest in reached:
            continue
        reached.add(digest)
        manifests |= blob.manifests
        waiting |= blob.names
    for digest in sorted(manifests & reached):
        if not found[digest].document:
            raise StoreError(
                f"a manifest of the store is damaged: {digest}",
                hint=f"nothing was collected; remove {place(digest)} and the aliases of it",
            )
    return reached
