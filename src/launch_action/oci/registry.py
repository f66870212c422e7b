"""The content of one repository of a registry: the port `Content` over OCI distribution 1.1."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import BinaryIO, Protocol
from urllib.parse import quote

from launch_action.core.errors import RegistryError
from launch_action.core.image import (
    Descriptor,
    Manifest,
    parse_object,
)
from launch_action.core.ports import Content, Moved, Traffic
from launch_action.core.reference import Digest, Repository
from launch_action.oci.auth import scope
from launch_action.oci.download import Download
from launch_action.oci.faults import Refused, TokenRefused, corrupt, error_codes
from launch_action.oci.host import Host, Request
from launch_action.oci.outgoing import Outgoing, Progress, Source
from launch_action.oci.received import ACCEPT, read_manifest
from launch_action.oci.retry import persist
from launch_action.oci.transport import CHUNK, Meter
from launch_action.oci.upload import Upload

_TAGS_PER_PAGE = 1000
_WORTH_ASKING = 1024 * 1024  # bytes: at 100 Mbit/s a round trip to a distant registry
_MOST_PAGES = 10_000
_NEXT = re.compile(r'<([^>]*)>\s*;[^,]*\brel="?next"?', re.IGNORECASE)
_CANNOT = frozenset({400, 401, 403, 404, 405, 409, 412, 501})


class Elsewhere(Protocol):
    """Another API of a registry, for what its own does not do."""

    def __call__(self, repository: Repository, digest: Digest, exists: Callable[[], bool]) -> bool:
        """Delete a manifest; False where it does not. `exists` asks the registry for it."""
        ...

    def untagged(self, repository: Repository) -> Mapping[Digest, int]:
        """Manifests without a tag, with when they were pushed, in seconds since 1970."""
        ...


class RegistryContent:
    """The blobs and manifests of one repository of a registry; made by `Registries.open`.

    Every method raises RegistryError for what the port does not call an answer.
    """

    def __init__(
        self,
        repository: Repository,
        hosts: tuple[Host, ...],
        *,
        writable: bool,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self.repository = repository
        self._elsewhere = elsewhere
        self._hosts = hosts
        self._origin = hosts[-1]
        self._path = repository.path
        self._meter = Meter()
        self._write = frozenset({scope(self._path, "pull,push")})
        self._read = self._write if writable else frozenset({scope(self._path, "pull")})
        self._delete_scopes = frozenset({scope(self._path, "delete,pull,push")})
        # Blobs seen here by this object; a registry does not lose what was just there.
        self._present: set[Digest] = set()

    @property
    def name(self) -> str:
        """The repository as a user writes it."""
        return str(self.repository)

    @property
    def traffic(self) -> Traffic:
        """Requests and body bytes so far, those to token servers and storage hosts included."""
        return self._meter.traffic

    def has_blob(self, digest: Digest) -> bool:
        """Whether the repository holds the blob; the origin is asked, never a mirror."""
        if digest in self._present:
            return True
        request = self._request(
            "HEAD", f"blobs/{digest}", f"looking for blob {digest} in {self.name}", {200, 404}
        )
        answer = self._origin.request(request, self._meter)
        answer.complaint()
        if answer.status == 200:
            self._present.add(digest)
        return answer.status == 200

    @contextmanager
    def open_blob(self, descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        """The blob in chunks; a broken download goes on where it broke off."""
        download = Download(
            self._hosts,
            name=self.name,
            path=self._path,
            scopes=self._read,
            descriptor=descriptor,
            meter=self._meter,
        )
        try:
            yield download.chunks()
        finally:
            download.close()

    def put_blob(
        self,
        descriptor: Descriptor,
        source: Callable[[], BinaryIO],
        *,
        progress: Progress | None = None,
    ) -> Moved:
        """Store a blob unless it is known to be there.

        `progress` is told the bytes of each chunk sent, and a negative number when an attempt
        begins anew.
        """
        # To ask for a small one costs about as much as to send it, and it is seldom there.
        asked = descriptor.size > _WORTH_ASKING or descriptor.digest in self._present
        if asked and self.has_blob(descriptor.digest):
            return "present"
        self._send(descriptor, lambda: _reading(source), progress)
        return "sent"

    def copy_blob(
        self, descriptor: Descriptor, origin: Content, *, progress: Progress | None = None
    ) -> Moved:
        """Take a blob over: not at all, by mount within one registry, or streamed through here."""
        if self.has_blob(descriptor.digest):
            return "present"
        session: str | None = ""
        near = self._near(origin) if isinstance(origin, RegistryContent) else ""
        if near:
            session = self._upload(descriptor).mount(near)
        if session is None:
            self._present.add(descriptor.digest)
            return "mounted"
        self._send(descriptor, lambda: origin.open_blob(descriptor), progress, session)
        return "sent"

    def get_manifest(self, reference: str) -> Manifest | None:
        """The manifest behind a tag or digest: its bytes checked, at most 8 MiB."""
        for host, following in pairwise(self._hosts):
            try:
                found = self._get_manifest(host, reference)
            except RegistryError as error:
                host.note(f"{error.message}; asking {following.name} instead")
                continue
            if found:
                return found
        return self._get_manifest(self._origin, reference)

    def put_manifest(self, manifest: Manifest, tag: str | None = None) -> None:
        """Store a manifest under a tag, or by its digest alone."""
        reference = tag or manifest.descriptor.digest
        request = Request(
            "PUT",
            f"/v2/{self._path}/manifests/{quote(reference, safe=':')}",
            f"writing manifest {reference} to {self.name}",
            self._write,
            frozenset({200, 201, 202, 204}),
            headers={"Content-Type": manifest.descriptor.media_type},
            body=lambda: self._sending(manifest.data),
            length=len(manifest.data),
        )
        try:
            answer, _ = self._origin.document(request, self._meter)
        except Refused as error:
            if tag and self._is_there(tag, manifest, error):
                return
            raise
        stored = answer.headers.get("Docker-Content-Digest")
        if stored and stored != manifest.descriptor.digest:
            raise corrupt(f"manifest {reference} of {self.name}", f"the registry stored {stored}")

    def _is_there(self, tag: str, manifest: Manifest, error: Refused) -> bool:
        """Whether an immutable tag, which ECR refuses to write at all, names this already."""
        from launch_action.oci.hints import immutable

        if not immutable(error.message):
            return False
        found = self._get_manifest(self._origin, tag)
        return found is not None and found.descriptor.digest == manifest.descriptor.digest

    def tags(self) -> tuple[str, ...]:
        """Every tag, sorted; none when the repository does not exist."""
        found: set[str] = set()
        path = f"/v2/{self._path}/tags/list?n={_TAGS_PER_PAGE}"
        for number in range(_MOST_PAGES):
            page, path = self._tag_page(path, first=number == 0)
            if not path:
                return tuple(sorted(found | page))
            if page <= found:
                break
            found |= page
        raise RegistryError(
            f"registry {self._origin.name} lists the tags of {self.name} without end",
            hint="the registry's paging is broken; tell who runs it",
        )

    def delete_manifest(self, digest: Digest) -> bool:
        """Delete a manifest with every tag of it; False where the registry, or the login, may not.

        True as well when it was not there: it is gone.
        """
        exists = lambda: self._get_manifest(self._origin, digest) is not None  # noqa: E731
        if self._elsewhere and self._elsewhere(self.repository, digest, exists):
            return True
        status, codes = self._delete(digest)
        return status not in _CANNOT or (status == 404 and "MANIFEST_UNKNOWN" in codes)

    def untagged(self) -> Mapping[Digest, int]:
        """Manifests without a tag, with when they were pushed; none where that is not told."""
        return self._elsewhere.untagged(self.repository) if self._elsewhere else {}

    def delete_tag(self, tag: str) -> bool:
        """Delete one tag; False where the registry cannot (most cannot), or has no such tag."""
        return self._delete(tag)[0] not in _CANNOT

    def _request(self, method: str, place: str, doing: str, accepted: set[int]) -> Request:
        path = f"/v2/{self._path}/{place}"
        return Request(method, path, doing, self._read, frozenset(accepted))

    def _near(self, origin: RegistryContent) -> str:
        """The path in this registry that another repository's content has, its own or a mirror's;
        empty for none."""
        mine = self.repository
        paths = (h.prefix + origin._path for h in origin._hosts if h.name == mine.registry)
        return next((path for path in paths if path != mine.path), "")

    def _upload(self, descriptor: Descriptor) -> Upload:
        return Upload(self._origin, self.name, self._path, self._write, descriptor, self._meter)

    def _send(
        self,
        descriptor: Descriptor,
        source: Source,
        progress: Progress | None,
        session: str = "",
    ) -> None:
        outgoing = Outgoing(descriptor, source, self._meter, progress or _count_nothing)
        exists = lambda: self.has_blob(descriptor.digest)  # noqa: E731
        self._upload(descriptor).send(outgoing, exists, session)
        self._present.add(descriptor.digest)

    def _sending(self, data: bytes) -> Iterator[bytes]:
        self._meter.count(sent=len(data))
        yield data

    def _get_manifest(self, host: Host, reference: str) -> Manifest | None:
        what = f"manifest {reference} of {self.name}"
        path = host.prefix + self._path
        request = Request(
            "GET",
            f"/v2/{path}/manifests/{quote(reference, safe=':')}",
            f"reading {what}",
            frozenset({scope(path, "pull")}) if host.prefix else self._read,
            frozenset({200, 404}),
            headers=ACCEPT,
        )

        def attempt(_: int) -> Manifest | None:
            answer = host.once(request, self._meter)
            if answer.status == 404:
                answer.complaint()
                return None
            return read_manifest(answer, reference, what)

        found = persist(attempt, host.patience, host.note)
        if found and host is self._origin:
            self._present |= _named_by(found)
        return found

    def _tag_page(self, path: str, *, first: bool) -> tuple[set[str], str]:
        # Of a list that has begun, a page which is not there leaves tags out.
        accepted = frozenset({200, 404} if first else {200})
        request = Request("GET", path, f"listing the tags of {self.name}", self._read, accepted)
        answer, data = self._origin.document(request, self._meter)
        if answer.status == 404:
            return set(), ""
        listed = parse_object(data, f"the tag list of {self.name}").get("tags") or []
        found = _NEXT.search(answer.headers.get("Link", ""))
        following = self._origin.resolve(found[1], answer.url) if found and listed else ""
        return {tag for tag in listed if isinstance(tag, str)}, following

    def _delete(self, reference: str) -> tuple[int, frozenset[str]]:
        try:
            answer, data = self._origin.document(self._deleting(reference), self._meter)
        except TokenRefused:
            if self._delete_scopes == self._write:
                raise
            # Quay gives no token for a scope with `delete`: there, who may push may delete.
            self._delete_scopes = self._write
            return self._delete(reference)
        if answer.status in (401, 403):
            self._origin.note(
                f"{self._origin.name} does not let this login delete {reference} of {self.name}"
            )
        return answer.status, error_codes(data)

    def _deleting(self, reference: str) -> Request:
        return Request(
            "DELETE",
            f"/v2/{self._path}/manifests/{quote(reference, safe=':')}",
            f"deleting {reference} of {self.name}",
            self._delete_scopes,
            frozenset({200, 202, 204}) | _CANNOT,
        )


def _named_by(manifest: Manifest) -> set[Digest]:
    """The blobs of a manifest: a registry that has it keeps them."""
    try:
        return {one.digest for one in (manifest.config(), *manifest.layers())}
    except RegistryError:  # an index, or another tool's document, which whoever wants it judges
        return set()


@contextmanager
def _reading(source: Callable[[], BinaryIO]) -> Iterator[Iterator[bytes]]:
    with closing(source()) as stream:
        yield iter(lambda: stream.read(CHUNK), b"")


def _count_nothing(count: int) -> None:
    del count
