"""Sending a blob: whole in one request, in pieces where a proxy limits requests, or by mount.

Source: OCI distribution specification 1.1, "Pushing blobs" and "Pushing a blob in chunks". An
upload that broke off goes on where the registry says that it is; where it does not say, it begins
anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import RegistryError
from launch_action.core.image import Descriptor
from launch_action.oci.auth import Scopes, scope
from launch_action.oci.faults import Refused, error_codes
from launch_action.oci.host import Host, Request
from launch_action.oci.outgoing import Outgoing, Pieces
from launch_action.oci.retry import Transient, persist
from launch_action.oci.transport import Answer, Meter

_PIECE = 32 * 1024 * 1024
_SMALLEST_PIECE = 64 * 1024
# The answer to a large body may take as long as the registry's storage needs to put it together.
_SLOW = 10.0
_STORED = frozenset({200, 201, 204})
# Answers of a session that was lost or damaged on its way; a new session may do.
_LOST = frozenset({"DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN"})
_OCTETS = {"Content-Type": "application/octet-stream"}
# What a session holds, as registries spell it: `0-99`, `bytes=0-99`.
_HELD = re.compile(r"(?:bytes[= ])?0-(\d{1,18})")


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
            answer = self.host.request(self.begin(query, scopes), self.meter)
        except Refused:
            return ""
        answer.complaint()
        return None if answer.status == 201 else self.session(answer)

    def send(self, outgoing: Outgoing, exists: Callable[[], bool], session: str = "") -> None:
        """Send the content through a given session, or through one of its own."""
        sending = _Sending(self, outgoing, session)

        def attempt(number: int) -> None:
            # A lost answer is not a lost blob.
            if number > 1 and exists():
                return
            sending.attempt(again=number > 1)

        persist(attempt, self.host.patience, self.host.note, outgoing)

    @property
    def doing(self) -> str:
        """What errors say."""
        return f"writing blob {self.descriptor.digest} to {self.name}"

    def begin(self, query: str, scopes: Scopes) -> Request:
        """The request that opens a session."""
        path = f"/v2/{self.path}/blobs/uploads/{query}"
        return Request("POST", path, self.doing, scopes, frozenset({201, 202}))

    def open(self) -> tuple[str, int]:
        """A new session, and the smallest piece that it takes, in bytes."""
        answer = self.host.once(self.begin("", self.scopes), self.meter)
        answer.complaint()
        return self.session(answer), _minimum(answer)

    def session(self, answer: Answer) -> str:
        """Where the upload goes on. Raises RegistryError where the answer does not say it."""
        location = answer.headers.get("Location")
        if not location:
            raise RegistryError(
                f"registry {self.host.name} opened no upload session {self.doing}",
                hint="check that the address is a registry's, not that of a mirror that only reads",
            )
        return self.host.resolve(location, answer.url)

    def closing(self, session: str) -> str:
        """Where a session is ended, and the blob named."""
        mark = "&" if "?" in session else "?"
        return f"{session}{mark}digest={quote(self.descriptor.digest, safe='')}"


class _Sending:
    """The attempts to send one blob: what is known of its session from one to the next."""

    def __init__(self, upload: Upload, outgoing: Outgoing, session: str) -> None:
        self._upload = upload
        self._host = upload.host
        self._outgoing = outgoing
        self._session = session
        self._minimum = 0

    def attempt(self, *, again: bool) -> None:
        """Send it to its end. Raises Transient when that broke off."""
        held = self._held() if again and self._session and self._host.takes_pieces else 0
        if again and not self._host.takes_pieces:
            self._session = ""
        if not self._session:
            self._session, self._minimum = self._upload.open()
        done = self._in_pieces(held) if held or self._cautious(again) else self._whole()
        while not done:
            # What was refused as too large may have left the session as it was.
            held = self._held() if self._session else 0
            if not self._session:
                self._session, self._minimum = self._upload.open()
            done = self._in_pieces(held)

    def _cautious(self, again: bool) -> bool:
        """Whether to send in pieces from the start: after a break, the next costs a piece only."""
        size = self._outgoing.size
        large = size > 2 * _PIECE and self._piece() >= _PIECE // 2
        return self._limited or (again and large and self._host.takes_pieces)

    @property
    def _limited(self) -> bool:
        limit = self._host.body_limit
        return limit is not None and self._outgoing.size >= limit

    def _in_pieces(self, start: int) -> bool:
        try:
            return self._pieces(start)
        except Refused as error:
            if self._limited:
                raise
            # No pieces are taken here: the next attempt is one request again.
            self._host.takes_pieces = False
            raise Transient(error) from error

    def _held(self) -> int:
        """How many bytes of a session that broke off the registry has; the session is forgotten
        where it does not say."""
        session, self._session = self._session, ""
        self._outgoing.kept = self._outgoing.size  # where it does not say: nothing more is gained
        known = frozenset({200, 204})
        request = Request("GET", session, self._upload.doing, self._upload.scopes, known)
        try:
            answer = self._host.once(request, self._upload.meter)
        except Refused:
            return 0
        answer.complaint()
        found = _HELD.fullmatch(answer.headers.get("Range", "").strip())
        # `0-0` is said of an empty session as well (distribution): then nothing is lost by it.
        held = int(found[1]) + 1 if found and int(found[1]) else 0
        if found is None or held > self._outgoing.size:
            return 0
        self._session = self._upload.session(answer) if "Location" in answer.headers else session
        self._outgoing.kept = held
        if held:
            self._host.note(f"{self._host.name} has {held} bytes of it: going on from there")
        return held

    def _whole(self) -> bool:
        """One request for all; False where that is too large."""
        answer = self._host.once(
            Request(
                "PUT",
                self._upload.closing(self._session),
                self._upload.doing,
                self._upload.scopes,
                _STORED | {400, 404, 413, 416},
                headers=_OCTETS,
                body=self._outgoing.chunks,
                length=self._outgoing.size,
                slow=_SLOW,
            ),
            self._upload.meter,
        )
        if answer.status == 413:
            answer.complaint()
            self._lower(self._outgoing.size)
            return False
        self._judge(answer)
        return True

    def _pieces(self, start: int) -> bool:
        """Whether every piece from byte `start` on was taken; a refused one lowers the limit."""
        size, piece = self._outgoing.size, max(self._piece(), self._minimum)
        stream = Pieces(self._outgoing.chunks(start))
        while size - start > piece:
            answer = self._send_piece("PATCH", self._session, stream, start, piece)
            if self._refused_as_large(answer, piece):
                return False
            if answer.status != 202:
                self._judge(answer)
            answer.complaint()
            self._session = self._upload.session(answer)
            start = self._outgoing.kept = start + piece
        # The last one ends the upload: some registries refuse an end without content (ECR).
        closing = self._upload.closing(self._session)
        answer = self._send_piece("PUT", closing, stream, start, size - start)
        if self._refused_as_large(answer, size - start):
            return False
        self._judge(answer)
        stream.finish()
        return True

    def _send_piece(
        self, method: str, session: str, stream: Pieces, start: int, length: int
    ) -> Answer:
        place = {"Content-Range": f"{start}-{start + length - 1}"} if length else {}
        request = Request(
            method, session, self._upload.doing, self._upload.scopes,
            _STORED | {202, 400, 404, 413, 416}, headers=_OCTETS | place,
            body=stream.opener(length) if length else None, length=length, slow=_SLOW,
        )  # fmt: skip
        return self._host.once(request, self._upload.meter)

    def _piece(self) -> int:
        limits = filter(None, (self._host.body_limit, self._host.piece_limit))
        return max(min([_PIECE, *(limit // 2 for limit in limits)]), _SMALLEST_PIECE)

    def _refused_as_large(self, answer: Answer, length: int) -> bool:
        """Whether a piece was refused for its size: by a proxy, or with 416 by ghcr.io."""
        if answer.status not in (413, 416):
            return False
        body = answer.complaint()
        if answer.status == 416 and b"too large" not in body.lower():
            self._judge_body(answer.status, body)
        if length <= _SMALLEST_PIECE:
            raise self._host.refusal(self._begin, 413, body)
        if answer.status == 413:
            self._lower(length)
        else:
            self._host.piece_limit = length
        return True

    def _lower(self, refused: int) -> None:
        self._host.body_limit = min(refused, self._host.body_limit or refused)

    @property
    def _begin(self) -> Request:
        return self._upload.begin("", self._upload.scopes)

    def _judge(self, answer: Answer) -> None:
        """Raise unless the blob is stored; a session that is not what it was is forgotten."""
        self._judge_body(answer.status, answer.complaint())

    def _judge_body(self, status: int, body: bytes) -> None:
        if status in _STORED:
            return
        error = self._host.refusal(self._begin, status, body)
        if error_codes(body) & _LOST:
            self._session = ""
            raise Transient(error)
        if status == 416:
            raise Transient(error)
        raise error


def _minimum(answer: Answer) -> int:
    """`OCI-Chunk-Min-Length`: the smallest piece a registry takes, in bytes."""
    told = answer.headers.get("OCI-Chunk-Min-Length", "")
    return int(told) if told.isdecimal() and len(told) < 19 else 0
