"""An OCI image layout directory as a repository: blobs, manifests and tags in plain files.

Everything is written beside its place and renamed, and `index.json` changes under a lock. Killed at
any moment, the layout is as it was before or after the call; what a killed writer left is swept
later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from launch_action.core.errors import InputError, StoreError
from launch_action.core.image import Descriptor, Manifest, digest_of
from launch_action.core.ports import Content, Moved, Traffic
from launch_action.core.reference import Digest, Tag
from launch_action.oci.blobs import Blobs
from launch_action.oci.collect import GRACE, named_blobs, named_by_others, place, survey, unreached
from launch_action.oci.directory import Directory, explained
from launch_action.oci.layout_index import (
    LayoutIndex,
    entry_digest,
    entry_for,
    manifest_type,
    ref_name,
)


class LayoutContent:
    """`Content` over an OCI image layout directory; an absent directory is an empty repository.

    Safe for several threads and processes. Methods raise StoreError.
    """

    def __init__(self, directory: Path, name: str, *, read_only: bool = False) -> None:
        self._files = Directory(directory)
        self._index = LayoutIndex(self._files)
        self._blobs = Blobs(self._files, name, read_only)
        self._swept = threading.Event()

    @classmethod
    def base(cls, directory: Path) -> LayoutContent:
        """The layout of a base image, `oci:DIR`: nothing is written into it."""
        return cls(directory, f"oci:{directory}", read_only=True)

    @property
    def name(self) -> str:
        return self._blobs.name

    @property
    def directory(self) -> Path:
        """Where it lies."""
        return self._files.root

    @property
    def traffic(self) -> Traffic:
        """Bytes newly written and bytes read; there are no requests."""
        return self._blobs.traffic

    def has_blob(self, digest: Digest) -> bool:
        """Whether the blob is there; if so it is not collected during the next hour."""
        with self._reading():
            return self._blobs.keep(digest)

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        return self._blobs.open(descriptor)

    def put_blob(self, descriptor: Descriptor, source: Callable[[], BinaryIO]) -> Moved:
        with self._changing():
            if self._blobs.keep(descriptor.digest, descriptor.size):
                return "present"
            self._blobs.store_file(descriptor, source)
            return "sent"

    def copy_blob(self, descriptor: Descriptor, origin: Content) -> Moved:
        """Take a blob over: by a hard link from a layout of this file system, else streamed."""
        with self._changing():
            if self._blobs.keep(descriptor.digest, descriptor.size):
                return "present"
            if isinstance(origin, LayoutContent) and self._link(descriptor, origin):
                return "mounted"
            with origin.open_blob(descriptor) as chunks:
                self._blobs.store(descriptor, chunks)
            return "sent"

    def get_manifest(self, reference: str) -> Manifest | None:
        """The manifest of a tag or digest; asked for by digest it is kept, with all it names."""
        with self._reading():
            if reference.startswith("sha256:"):
                found = self._manifest(Digest(reference))
                return found if found and self._blobs.keep(found.descriptor.digest) else None
            entry = self._index.find(reference)
            return self._manifest(entry_digest(entry)) if entry else None

    def put_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        """Store a manifest whose content is there; all of it is durable before the tag moves."""
        self.put_tagged(manifest, () if tag is None else (tag,))

    def put_tagged(self, manifest: Manifest, tags: Sequence[str]) -> None:
        """Store a manifest under several tags, which move together."""
        names = {Tag(tag) for tag in tags}
        with self._changing(), self._files.lock(shared=not names):
            self._require_named(manifest)
            self._blobs.store_document(manifest.descriptor.digest, manifest.data)
            if names:
                self._index.point({n: entry_for(manifest.descriptor, n) for n in sorted(names)})

    def tags(self) -> tuple[str, ...]:
        with self._reading():
            return tuple(name for name in self._index.names() if _is_tag(name))

    def delete_manifest(self, digest: Digest) -> bool:
        """Delete a manifest and every tag of it; the file stays while another manifest names it."""
        with self._changing(), self._files.lock():
            self._index.remove(lambda entry: entry.get("digest") == digest)
            if not named_by_others(survey(self._files), digest):
                self._files.remove(place(digest))
        return True

    def delete_tag(self, tag: str) -> bool:
        with self._changing(), self._files.lock():
            self._index.remove(lambda entry: ref_name(entry) == tag)
        return True

    def collect(self, grace: float = GRACE) -> int:
        """Remove what no tag reaches and is older than `grace` seconds; returns the bytes freed."""
        with self._changing(), self._files.lock():
            freed = self._files.sweep(grace)
            roots = [entry_digest(entry) for entry in self._index.entries()]
            for blob in unreached(survey(self._files), roots, oldest=time.time() - grace):
                self._files.remove(place(blob.digest))
                # A blob that another layout shares by hard link frees nothing.
                freed += blob.size if blob.links == 1 else 0
        return freed

    def select(self, selector: str = "") -> Manifest:
        """The image of a tag or digest; without one the layout's only image, else `latest`."""
        with explained(self._files.root):
            entries = self._index.entries() if self._index.exists() else None
        if entries is None:
            raise StoreError(
                f"no OCI image layout at {str(self._files.root)!r}",
                hint="write one there first, as `skopeo copy docker://IMAGE oci:DIR:TAG` does",
            )
        only = {entry_digest(entry) for entry in entries}
        found = self.get_manifest(selector or (only.pop() if len(only) == 1 else "latest"))
        if found is None:
            tags = ", ".join(self.tags()[:10]) or "none"
            raise StoreError(
                f"no image {selector or 'latest'!r} in the layout {str(self._files.root)!r}",
                hint=f"name a tag, as in oci:DIR:TAG; there are {tags}",
            )
        return found

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Around every reading: a directory that is something else is told, not taken for empty."""
        with explained(self._files.root):
            self._index.exists()
            yield

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Around every change: the layout is there, without what killed writers left long ago."""
        if self._blobs.read_only:
            raise StoreError(
                f"the layout is open for reading only: {self.name!r}",
                hint="a base image's directory is never written; name another one with --store",
            )
        with explained(self._files.root):
            self._index.make()
            if not self._swept.is_set():
                self._swept.set()
                self._files.sweep(GRACE)
            yield

    def _link(self, descriptor: Descriptor, origin: LayoutContent) -> bool:
        return self._blobs.link(descriptor, origin._blobs)

    def _manifest(self, digest: Digest) -> Manifest | None:
        data = self._blobs.small(digest)
        media_type = manifest_type(data) if data is not None else None
        if data is None or media_type is None:
            return None
        return Manifest(Descriptor.of(data, media_type), data)

    def _require_named(self, manifest: Manifest) -> None:
        """Raise StoreError unless everything that a manifest names is there."""
        if digest_of(manifest.data) != manifest.descriptor.digest:
            raise self._blobs.damaged(manifest.descriptor.digest)
        for key, found in named_blobs(manifest.document()):
            if key == "subject" or found.get("urls"):  # may lie elsewhere, by the specification
                continue
            named = Descriptor.read(found)
            if not self._blobs.has(named.digest):
                raise self._blobs.missing(named.digest)


def _is_tag(name: str) -> bool:
    try:
        Tag(name)
    except InputError:
        return False
    return True
