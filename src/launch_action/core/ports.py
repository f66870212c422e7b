"""What `execute` needs of the world, as Protocols; the adapters live in the edge packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Literal, Protocol, runtime_checkable

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import RegistryError
from launch_action.core.image import Descriptor, Manifest
from launch_action.core.reference import Digest

Moved = Literal["present", "mounted", "sent"]


class Reporter(Protocol):
    """Tells a person what happens. Outside text given to it is escaped by it."""

    def info(self, text: str) -> None: ...

    def warning(self, text: str, *, file: str = "", line: int = 0) -> None: ...

    def phase(self, name: str) -> AbstractContextManager[None]:
        """A named part of the work; its duration is reported and kept in `timings`."""
        ...

    def transfer(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """A transfer of `total` bytes (0: unknown); call what is yielded with each byte count."""
        ...

    @property
    def timings(self) -> dict[str, float]:
        """Seconds per finished phase, in order of their start."""
        ...


@dataclass(slots=True)
class Traffic:
    """What was exchanged with a registry: requests, and body bytes each way."""

    requests: int = 0
    sent: int = 0
    received: int = 0


class Content(Protocol):
    """The blobs and manifests of one repository: in a registry, or in an OCI layout directory.

    Methods may be called from several threads. RegistryError is raised by a registry, StoreError
    by a directory; a missing thing is None or False, not an error, where the type says so.
    Digests and sizes of everything read are checked.
    """

    @property
    def name(self) -> str:
        """The repository as a user writes it, such as `ghcr.io/acme/train`."""
        ...

    @property
    def traffic(self) -> Traffic: ...

    def has_blob(self, digest: Digest) -> bool: ...

    def open_blob(self, descriptor: Descriptor) -> AbstractContextManager[Iterator[bytes]]:
        """The blob in chunks. Content that is not what the descriptor says ends in an error."""
        ...

    def put_blob(self, descriptor: Descriptor, source: Callable[[], BinaryIO]) -> Moved:
        """Store a blob unless it is there. `source` is opened once per attempt and closed."""
        ...

    def copy_blob(self, descriptor: Descriptor, origin: Content) -> Moved:
        """Take a blob over from another repository: not at all, by mount, or streamed."""
        ...

    def get_manifest(self, reference: str) -> Manifest | None:
        """The manifest or index behind a tag or digest; None when there is none."""
        ...

    def put_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        """Store a manifest, by tag or else by digest, after everything it names."""
        ...

    def tags(self) -> tuple[str, ...]:
        """Every tag, sorted; none when the repository does not exist."""
        ...

    def delete_manifest(self, digest: Digest) -> bool:
        """Delete a manifest with every tag of it; False where the registry cannot."""
        ...

    def delete_tag(self, tag: str) -> bool:
        """Delete one tag, leaving the manifest; False where the registry cannot."""
        ...


@runtime_checkable
class Collecting(Protocol):
    """A repository whose garbage is ours to collect."""

    def collect(self) -> int:
        """Remove what no tag reaches; returns the bytes freed."""
        ...


@runtime_checkable
class Tagging(Protocol):
    """A repository in which several tags move together."""

    def put_tagged(self, manifest: Manifest, tags: Sequence[str]) -> None:
        """Store a manifest under these tags."""
        ...


def read_blob(content: Content, descriptor: Descriptor, limit: int = 4 * 1024 * 1024) -> bytes:
    """A small blob as bytes. Raises RegistryError when it says to be larger than `limit` bytes."""
    if descriptor.size > limit:
        raise RegistryError(
            f"{content.name}@{descriptor.digest}: {descriptor.size} bytes are over {limit}",
            hint="the document was not written by this program",
        )
    with content.open_blob(descriptor) as chunks:
        return b"".join(chunks)
