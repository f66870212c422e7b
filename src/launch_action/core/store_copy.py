"""Takes a job version over into another repository: everything it names first, its index last."""

from __future__ import annotations

from launch_action.core.errors import StoreError
from launch_action.core.image import Descriptor, Manifest
from launch_action.core.ports import Content
from launch_action.core.version import JobVersion


def copy_version(version: JobVersion, origin: Content, target: Content) -> None:
    """Put a version into the target, by its digest; blobs are mounted where the registry can.

    No alias is moved. Raises StoreError when the origin lacks a part, RegistryError as
    content does.
    """
    for entry in version.index.entries():
        manifest = origin.get_manifest(entry.digest)
        if manifest is None:
            raise _lost(version, origin, entry)
        _copy_named(manifest, origin, target)
        target.put_manifest(manifest)
    target.put_manifest(version.index)


def _copy_named(manifest: Manifest, origin: Content, target: Content) -> None:
    # Once each: an empty config may be the only layer too.
    for named in {one.digest: one for one in (manifest.config(), *manifest.layers())}.values():
        target.copy_blob(named, origin)


def _lost(version: JobVersion, origin: Content, entry: Descriptor) -> StoreError:
    return StoreError(
        f"job version {origin.name}@{version.digest} lacks {entry.digest}",
        hint="record it again: run the same build on its commit",
    )
