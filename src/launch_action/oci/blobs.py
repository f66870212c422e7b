"""The blobs of an OCI image layout: files named by their digest, checked when written and read."""

from __future__ import annotations

import errno
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import StoreError
from launch_action.core.image import Descriptor, digest_of
from launch_action.core.ports import Traffic
from launch_action.core.reference import Digest
from launch_action.oci.collect import MANIFEST_LIMIT, place
from launch_action.oci.directory import Directory, explained

_CHUNK = 1024 * 1024
_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, slots=True)
class Blobs:
    """The blobs below one directory; `name` is the repository's, for messages.

    Methods raise OSError of the directory, and StoreError for content that is not what its digest
    says.
    """

    files: Directory
    name: str
    read_only: bool = False
    traffic: Traffic = field(default_factory=Traffic)
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def has(self, digest: Digest) -> bool:
        return self.files.status(place(digest)) is not None

    def keep(self, digest: Digest, size: int | None = None) -> bool:
        """Whether the blob is there, of this size; if so it is young again and not collected."""
        found = self.files.status(place(digest))
        if found is None or size not in (None, found.st_size):
            return False
        return self.read_only or self._touched(digest)

    @contextmanager
    def open(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """The blob in chunks; StoreError when there is none."""
        with explained(self.files.root):
            try:
                file = self.files.open(place(descriptor.digest))
            except FileNotFoundError:
                raise self.missing(descriptor.digest) from None
        with file:
            yield self._received(descriptor, file)

    def small(self, digest: Digest) -> bytes | None:
        """A blob as bytes; None when there is none, or one too large for a manifest."""
        found = self.files.status(place(digest))
        if found is None or found.st_size > MANIFEST_LIMIT:
            return None
        data = self.files.read(place(digest), MANIFEST_LIMIT)
        if data is not None and digest_of(data) != digest:
            raise self.damaged(digest)
        self._count(received=len(data or b""))
        return data

    def store(self, descriptor: Descriptor, chunks: Iterable[bytes]) -> None:
        """Write a blob, whole or not at all."""

        def fill(file: BinaryIO) -> None:
            for chunk in self._checked(descriptor, chunks):
                write(file, chunk)

        self.files.write(place(descriptor.digest), fill)
        self._count(sent=descriptor.size)

    def store_document(self, digest: Digest, data: bytes) -> None:
        """Write a small blob unless exactly it is there, in which case it is young again."""
        found = self.files.status(place(digest))
        if found and found.st_size == len(data) and self._is(digest, data):
            self.files.touch(place(digest))
        else:
            self.store(Descriptor.of(data, ""), [data])

    def store_file(self, descriptor: Descriptor, source: Callable[[], BinaryIO]) -> None:
        """Write a blob from a file that is opened here."""
        with source() as file:
            self.store(descriptor, _chunks(file))

    def link(self, descriptor: Descriptor, origin: Blobs) -> bool:
        """Share a blob of another layout by a hard link; False where that cannot be."""

        def check(file: BinaryIO) -> None:
            for _ in self._checked(descriptor, _chunks(file)):
                pass

        return self.files.link(place(descriptor.digest), origin.files, check)

    def damaged(self, digest: Digest) -> StoreError:
        return StoreError(
            f"content of {self.name!r} is not what its digest says: {digest}",
            hint=f"remove {str(self.files.root / place(digest))!r} if it is there, and run again",
        )

    def missing(self, digest: Digest) -> StoreError:
        return StoreError(
            f"nothing with digest {digest} in {self.name!r}",
            hint="run the command that stored it again; it was deleted, or never complete",
        )

    def _is(self, digest: Digest, data: bytes) -> bool:
        return self.files.read(place(digest), len(data)) == data

    def _touched(self, digest: Digest) -> bool:
        """Make a blob young, under the lock so that no collection is under way; False: it went."""
        try:
            with self.files.lock(shared=True):
                self.files.touch(place(digest))
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno not in _UNWRITABLE:  # who may only read cannot keep anything
                raise
        return True

    def _received(self, descriptor: Descriptor, file: BinaryIO) -> Iterator[bytes]:
        with explained(self.files.root):
            yield from self._checked(descriptor, _chunks(file))
        self._count(received=descriptor.size)

    def _checked(self, descriptor: Descriptor, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks; StoreError after the last one when they are not what the descriptor says."""
        hashed, size = hashlib.sha256(), 0
        for chunk in chunks:
            hashed.update(chunk)
            size += len(chunk)
            if size > descriptor.size:
                break
            yield chunk
        if size != descriptor.size or hashed.hexdigest() != descriptor.digest.hex:
            raise self.damaged(descriptor.digest)

    def _count(self, *, sent: int = 0, received: int = 0) -> None:
        with self._counting:
            self.traffic.sent += sent
            self.traffic.received += received


def write(file: BinaryIO, data: bytes) -> None:
    """Write all of it: an unbuffered file may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk
