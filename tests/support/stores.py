"""Stores of every kind as fixtures, and what the tests of the store do with them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from support.registry import Logins, Running
from support.versions import (
    blob_path,
    put_image,
)

from launch_action.core.image import (
    Descriptor,
    Manifest,
)
from launch_action.core.ports import Content, Moved, Traffic
from launch_action.core.reference import Digest, Tag
from launch_action.core.store import JobStore
from launch_action.core.version import (
    JobVersion,
    VersionSpec,
)
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

Open = Callable[[str], Content]
OTHER_COMMIT = "e" * 40
MAIN, V1 = Tag("main"), Tag("v1")


@contextmanager
def opening(folder: Path, server: Running | None) -> Iterator[Open]:
    """What opens repositories by their paths, on the server or as layouts below a test's folder."""
    if server is None:
        yield lambda path: LayoutContent(folder / path, path)
        return
    prefix = folder.name.lower().replace("_", "-").strip("-")
    with Registries(Logins()) as registries:
        yield lambda path: registries.open(server.repository(f"{prefix}/{path}"), writable=True)


def fresh(store: JobStore) -> JobStore:
    """The store as the next process finds it."""
    return JobStore(store.content)


def save(store: JobStore, wanted: VersionSpec, *aliases: str) -> JobVersion:
    """Put the images of a version (their seed is in the document), record, point."""
    seed = wanted.files.document.split(b'"')[3].decode()
    for image in wanted.images:
        assert image.platform
        put_image(store.content, seed, image.platform)
    recorded = store.record(wanted)
    store.point(recorded.version, [Tag(alias) for alias in aliases])
    return recorded.version


def lose(content: Content, digest: Digest, directory: Path) -> bool:
    """Take a manifest away under the index that names it, as clean-ups of registries do."""
    if isinstance(content, LayoutContent):  # its own deletion keeps what is named
        blob_path(directory, digest).unlink()
        return True
    return content.delete_manifest(digest)


class Counting:
    """A content that counts what is asked of it; a base for those that do more."""

    def __init__(self, content: Content) -> None:
        self.content = content
        self.reads: list[str] = []
        self.changes: list[str] = []
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self.content.name

    @property
    def traffic(self) -> Traffic:
        return self.content.traffic

    def change(self, what: str) -> None:
        with self._lock:
            self.changes.append(what)

    def has_blob(self, digest: Digest) -> bool:
        self.reads.append(digest)
        return self.content.has_blob(digest)

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        self.reads.append(descriptor.digest)
        return self.content.open_blob(descriptor)

    def get_manifest(self, reference: str) -> Manifest | None:
        self.reads.append(reference)
        return self.content.get_manifest(reference)

    def tags(self) -> tuple[str, ...]:
        self.reads.append("tags")
        return self.content.tags()

    def put_blob(self, descriptor: Descriptor, source: Callable[[], BinaryIO]) -> Moved:
        self.change("put_blob")
        return self.content.put_blob(descriptor, source)

    def copy_blob(self, descriptor: Descriptor, origin: Content) -> Moved:
        self.change("copy_blob")
        return self.content.copy_blob(descriptor, origin)

    def put_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        self.change(f"put_manifest {tag or manifest.descriptor.digest}")
        self.content.put_manifest(manifest, tag)

    def delete_manifest(self, digest: Digest) -> bool:
        self.change("delete_manifest")
        return self.content.delete_manifest(digest)

    def delete_tag(self, tag: str) -> bool:
        self.change("delete_tag")
        return self.content.delete_tag(tag)
