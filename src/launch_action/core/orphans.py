"""Manifests of ours that nothing names: images of deleted versions, notes that were written anew.

A registry that collects its garbage needs none of this. GitHub's does not, and lists what has no
tag. An image may be on its way into a new version while it is deleted: what a tag's index names
afterwards is put back.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

from launch_action.core.concurrency import concurrently
from launch_action.core.errors import RegistryError, StoreError
from launch_action.core.image import INDEX_TYPES, Manifest
from launch_action.core.ports import Content
from launch_action.core.reference import Digest, Tag
from launch_action.core.removal import version_of
from launch_action.core.store import JobStore

_OURS = "dev.launch-action."
_DIGEST = re.compile(rb"sha256:([0-9a-f]{64})")


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
    whether it has a tag or not. So does what another tool wrote, and the image that a job runs by
    its digest. Where something cannot be read, or is listed and not there, nothing goes.
    """
    going = _orphans(content, before, spared)
    gone = concurrently(lambda one: _delete(content, one), going)
    again = _named_again(content, going)
    for one in going:
        if one.descriptor.digest in again:
            content.put_manifest(one)
    digests = (one.descriptor.digest for one, done in zip(going, gone, strict=True) if done)
    return tuple(digest for digest in digests if digest not in again)


def find_orphans(
    content: Content, before: int, spared: Collection[Digest] = ()
) -> tuple[Digest, ...]:
    """What `remove_orphans` would delete."""
    return tuple(one.descriptor.digest for one in _orphans(content, before, spared))


def _orphans(content: Content, before: int, spared: Collection[Digest]) -> list[Manifest]:
    try:
        return _unnamed(content, before, spared)
    except (RegistryError, StoreError):
        return []


def _unnamed(content: Content, before: int, spared: Collection[Digest]) -> list[Manifest]:
    pushed = content.untagged() if isinstance(content, Listing) else {}
    old = {digest for digest, at in pushed.items() if at < before}.difference(spared)
    if not old:
        return []
    untagged = _read(content, list(pushed))
    named = _named(content, untagged)
    return [one for one in untagged if one.descriptor.digest in old - named and _is_ours(one)]


def _delete(content: Content, manifest: Manifest) -> bool:
    try:
        return content.delete_manifest(manifest.descriptor.digest)
    except RegistryError:  # the next cleanup finds it again
        return False


def _named_again(content: Content, going: Sequence[Manifest]) -> set[Digest]:
    """What has got a name meanwhile; all of it where that cannot be read."""
    try:
        return _named(content, ()) if going else set()
    except (RegistryError, StoreError):
        return {one.descriptor.digest for one in going}


def _named(content: Content, untagged: Sequence[Manifest]) -> set[Digest]:
    """Every digest that has a tag, that an index with or without one names, or that a job runs."""
    tagged = _read(content, [Tag(tag) for tag in content.tags()])
    if not tagged:  # GitHub deletes no last version with a tag: its list was not to be had
        raise _unread(content, "its tags")
    every = [*tagged, *untagged]
    return {
        *(one.descriptor.digest for one in tagged),
        *_in_indexes(content, every),
        *_run_by_digest(content, every),
    }


def _in_indexes(content: Content, manifests: Sequence[Manifest]) -> set[Digest]:
    """What the indexes among these name, and those that they name, and so on."""
    named: set[Digest] = set()
    known = {one.descriptor.digest for one in manifests}
    indexes = [one for one in manifests if one.is_index]
    while indexes:
        entries = [entry for index in indexes for entry in index.entries()]
        named |= {entry.digest for entry in entries}
        inner = {entry.digest for entry in entries if entry.media_type in INDEX_TYPES} - known
        known |= inner
        indexes = [one for one in _read(content, sorted(inner)) if one.is_index]
    return named


def _run_by_digest(content: Content, manifests: Sequence[Manifest]) -> set[Digest]:
    """What the documents of jobs name that have no image of their own: one that was there."""
    store = JobStore(content)
    versions = [found for one in manifests if (found := version_of(one)) and not found.images]
    files = concurrently(store.job_files, [one for one in versions if one.job])
    return {Digest(f"sha256:{one.decode()}") for text, _ in files for one in _DIGEST.findall(text)}


def _read(content: Content, references: Sequence[str]) -> list[Manifest]:
    """What is behind these tags or digests. Raises RegistryError where one is not there."""
    found = concurrently(content.get_manifest, references)
    for reference, one in zip(references, found, strict=True):
        if one is None:
            raise _unread(content, reference)
    return [one for one in found if one]


def _unread(content: Content, what: str) -> RegistryError:
    return RegistryError(f"{content.name} lists {what}, which is not there", hint="clean up again")


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
