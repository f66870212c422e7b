"""Manifests of ours that nothing names: images of deleted versions, notes that were written anew.

A registry that collects its garbage needs none of this. GitHub's does not, and lists what has no
tag. An image may be on its way into a new version while it is deleted: what a tag's index names
afterwards is put back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol, runtime_checkable

from launch_action.core.concurrency import concurrently
from launch_action.core.errors import RegistryError
from launch_action.core.image import Manifest
from launch_action.core.ports import Content
from launch_action.core.reference import Digest
from launch_action.core.removal import survey

_OURS = "dev.launch-action."


@runtime_checkable
class Listing(Protocol):
    """A repository that may tell what has no tag."""

    def untagged(self) -> Mapping[Digest, int]:
        """Manifests without a tag, with when they were pushed last, in seconds since 1970."""
        ...


def remove_orphans(
    content: Content, before: int, spared: Collection[Digest] = ()
) -> tuple[Digest, ...]:
    """Delete what was pushed before that moment and no index names; returns what went.

    `spared` stays, for the time being: what versions named that were deleted just now, and that who
    found them may be about to name again. An index is never deleted, and what it names stays,
    whether it has a tag or not. So does what another tool wrote. Where something cannot be read,
    nothing goes.
    """
    try:
        going = _orphans(content, before, spared)
    except RegistryError:
        return ()
    gone = concurrently(lambda one: _delete(content, one), going)
    again = _named(content, ()) if going else set()
    for one in going:
        if one.descriptor.digest in again:
            content.put_manifest(one)
    digests = (one.descriptor.digest for one, done in zip(going, gone, strict=True) if done)
    return tuple(digest for digest in digests if digest not in again)


def _orphans(content: Content, before: int, spared: Collection[Digest]) -> list[Manifest]:
    pushed = content.untagged() if isinstance(content, Listing) else {}
    old = {digest for digest, at in pushed.items() if at < before}.difference(spared)
    if not old:
        return []
    untagged = [one for one in concurrently(content.get_manifest, list(pushed)) if one]
    named = _named(content, untagged)
    return [one for one in untagged if one.descriptor.digest in old - named and _is_ours(one)]


def _delete(content: Content, manifest: Manifest) -> bool:
    try:
        return content.delete_manifest(manifest.descriptor.digest)
    except RegistryError:  # the next cleanup finds it again
        return False


def _named(content: Content, untagged: Iterable[Manifest]) -> set[Digest]:
    """Every digest that has a tag, or that an index with or without one names."""
    tagged = [one.manifest for one in survey(content)]
    indexes = [one for one in (*tagged, *untagged) if one.is_index]
    return {
        *(one.descriptor.digest for one in tagged),
        *(entry.digest for index in indexes for entry in index.entries()),
    }


def _is_ours(manifest: Manifest) -> bool:
    """Whether a manifest, no index, was written by this program."""
    if manifest.is_index:
        return False
    try:
        layers = [key for layer in manifest.layers() for key in layer.annotations]
        keys = (*manifest.annotations(), *layers)
    except RegistryError:
        return False
    return any(key.startswith(_OURS) for key in keys)
