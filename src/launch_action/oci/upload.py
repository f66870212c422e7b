"""Sending a blob: whole in one request, in pieces where a proxy limits requests, or by mount.

Source: OCI distribution specification 1.1, "Pushing blobs". Every attempt begins with a session
and the source of its own, so that nothing half-sent is built upon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from urllib.parse import quote

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import RegistryError
from launch_action.core.image import Descriptor
from launch_action.oci.auth import Scopes, scope
from launch_action.oci.faults import Corrupt, Refused, error_codes
from launch_action.oci.host import Host, Request
from launch_action.oci.retry import Transient, persist
from launch_action.oci.transport import Answer, Meter

Source = Callable[[], AbstractContextManager[Iterator[bytes]]]
Progress = Callable[[int], None]

_PIECE = 32 * 1024 * 1024
_SMALLEST_PIECE = 64 * 1024
# The answer to a large body may take as long as the registry's storage needs to put it together.
_SLOW = 10.0
_STORED = frozenset({200, 201, 204})
# Answers of a session that was lost or damaged on its way; a new session may do.
_LOST = frozenset({"DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"})
_OCTETS = {"Content-Type": "application/octet-stream"}


class Outgoing:
    """A blob's content on its way out: counted, and refused when it is not of the size it says."""

    def __init__(
        self, descriptor: Descriptor, source: Source, meter: Meter, progress: Progress
    ) -> None:
        self.size = descriptor.size
        self._what = f"blob {descriptor.digest}"
        self._source = source
        self._meter = meter
        self._progress = progress
        self._sent = 0

    def chunks(self) -> Iterator[bytes]:
        """The content from its beginning; progress made by an earlier sending is taken back."""
        self._progress(-self._sent)
        self._sent = 0
        try:
            with self._source() as chunks:
                for chunk in chunks:
                    self._count(chunk)
                    yield chunk
        except Corrupt as error:
            raise Transient(error) from error
        except OSError as error:
            # urllib3 would take an OSError of the disk for one of the network.
            raise RegistryError(
                f"cannot read {self._what} to send it: {error.strerror or error}",
                hint="check the disk, and that nothing removes files while this runs",
            ) from error
        if self._sent != self.size:
            raise self._changed()

    def _count(self, chunk: bytes) -> None:
        if self._sent + len(chunk) > self.size:
            raise self._changed()
        self._sent += len(chunk)
        self._meter.count(sent=len(chunk))
        self._progress(len(chunk))

    def _changed(self) -> RegistryError:
        return RegistryError(
            f"{self._what} does not have the {self.size} bytes it should have",
            hint="its file was changed while it was sent; run the command again",
        )


@dataclass(frozen=True, slots=True)
class Upload:
    """One blob for one repository. `path` is the repository's at the host, `name` for errors."""

    host: Host
    name: str
    path: str
    scopes: Scopes
    descriptor: Descriptor
    meter: Meter

    def mount(self, origin_path: str) -> str | None:
        """Take the blob over from a repository of the same registry.

        None: it is there now. Else the session to send it through, or an empty string where the
        registry refuses to mount at all.
        """
        query = (
            f"?mount={quote(self.descriptor.digest, safe='')}&from={quote(origin_path, safe='')}"
        )
        # One token for both: a registry mounts only what the asking token may read.
        scopes = self.scopes | {scope(origin_path, "pull")}
        try:
            answer = self.host.request(self._begin_request(query, scopes), self.meter)
        except Refused:
            return ""
        answer.complaint()
        return None if answer.status == 201 else self._session(answer)

    def send(self, outgoing: Outgoing, exists: Callable[[], bool], session: str = "") -> None:
        """Send the content through a given session, or through one of its own."""

        def attempt(number: int) -> None:
            # A lost answer is not a lost blob.
            if number > 1 and exists():
                return
            limit = self.host.body_limit
            whole = limit is None or outgoing.size < limit
            if not (whole and self._send_whole(outgoing, session if number == 1 else "")):
                self._send_pieces(outgoing)

        persist(attempt, self.host.patience, self.host.note)

    def _send_whole(self, outgoing: Outgoing, session: str) -> bool:
        answer = self.host.once(
            Request(
                "PUT",
                self._closing(session or self._open()),
                self._doing,
                self.scopes,
                _STORED | {400, 404, 413},
                headers=_OCTETS,
                body=outgoing.chunks,
                length=outgoing.size,
                slow=_SLOW,
            ),
            self.meter,
        )
        if answer.status == 413:
            answer.complaint()
            self._lower(outgoing.size)
            return False
        self._judge(answer)
        return True

    def _send_pieces(self, outgoing: Outgoing) -> None:
        while not self._sent_in_pieces(outgoing, self._piece()):
            pass

    def _piece(self) -> int:
        limit = self.host.body_limit or _PIECE
        return max(min(_PIECE, limit // 2), _SMALLEST_PIECE)

    def _sent_in_pieces(self, outgoing: Outgoing, piece: int) -> bool:
        """Whether every piece was taken; a refused one lowers the host's limit."""
        answer = self.host.request(self._begin_request("", self.scopes), self.meter)
        answer.complaint()
        session = self._session(answer)
        piece = max(piece, _minimum(answer))
        stream = _Pieces(outgoing.chunks())
        for start in range(0, outgoing.size, piece):
            length = min(piece, outgoing.size - start)
            answer = self._send_piece(session, stream, start, length)
            if answer.status == 413:
                self._refuse_smaller(length, answer)
                return False
            if answer.status != 202:
                self._judge(answer)
            answer.complaint()
            session = self._session(answer)
        stream.finish()
        closing = Request(
            "PUT", self._closing(session), self._doing, self.scopes, _STORED | {400, 404},
            slow=_SLOW,
        )  # fmt: skip
        self._judge(self.host.once(closing, self.meter))
        return True

    def _send_piece(self, session: str, stream: _Pieces, start: int, length: int) -> Answer:
        headers = _OCTETS | {"Content-Range": f"{start}-{start + length - 1}"}
        request = Request(
            "PATCH", session, self._doing, self.scopes, frozenset({202, 400, 404, 413, 416}),
            headers=headers, body=stream.opener(length), length=length, slow=_SLOW,
        )  # fmt: skip
        return self.host.once(request, self.meter)

    def _refuse_smaller(self, length: int, answer: Answer) -> None:
        body = answer.complaint()
        if length <= _SMALLEST_PIECE:
            request = self._begin_request("", self.scopes)
            raise self.host.refusal(request, 413, body)
        self._lower(length)

    def _lower(self, refused: int) -> None:
        self.host.body_limit = min(refused, self.host.body_limit or refused)

    def _judge(self, answer: Answer) -> None:
        body = answer.complaint()
        if answer.status in _STORED:
            return
        error = self.host.refusal(self._begin_request("", self.scopes), answer.status, body)
        if error_codes(body) & _LOST or answer.status == 416:
            raise Transient(error)
        raise error

    @property
    def _doing(self) -> str:
        return f"writing blob {self.descriptor.digest} to {self.name}"

    def _begin_request(self, query: str, scopes: Scopes) -> Request:
        path = f"/v2/{self.path}/blobs/uploads/{query}"
        return Request("POST", path, self._doing, scopes, frozenset({201, 202}))

    def _open(self) -> str:
        answer = self.host.once(self._begin_request("", self.scopes), self.meter)
        answer.complaint()
        return self._session(answer)

    def _session(self, answer: Answer) -> str:
        location = answer.headers.get("Location")
        if not location:
            raise RegistryError(
                f"registry {self.host.name} opened no upload session {self._doing}",
                hint="check that the address is a registry's, not that of a mirror that only reads",
            )
        return self.host.resolve(location, answer.url)

    def _closing(self, session: str) -> str:
        mark = "&" if "?" in session else "?"
        return f"{session}{mark}digest={quote(self.descriptor.digest, safe='')}"


def _minimum(answer: Answer) -> int:
    """`OCI-Chunk-Min-Length`: the smallest piece a registry takes, in bytes."""
    told = answer.headers.get("OCI-Chunk-Min-Length", "")
    return int(told) if told.isdecimal() else 0


class _Pieces:
    """A stream that is given out in pieces of wanted lengths, none of them held as a whole."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def opener(self, length: int) -> Callable[[], Iterator[bytes]]:
        """What opens the next piece; it can be opened once."""
        opened = False

        def open_piece() -> Iterator[bytes]:
            nonlocal opened
            if opened:  # a login that ran out between pieces: the whole upload begins anew
                raise Transient(_INTERRUPTED)
            opened = True
            return self._take(length)

        return open_piece

    def finish(self) -> None:
        """Read the end, so that a source of the wrong size is noticed."""
        next(self._chunks, None)

    def _take(self, length: int) -> Iterator[bytes]:
        while length > 0:
            chunk = self._rest or next(self._chunks, b"")
            if not chunk:
                return
            self._rest = chunk[length:]
            yield chunk[:length]
            length -= len(chunk[:length])


_INTERRUPTED = RegistryError(
    "the login ran out while a blob was sent in pieces",
    hint="ask for tokens that live longer, or raise the proxy's limit for the size of a request",
)
