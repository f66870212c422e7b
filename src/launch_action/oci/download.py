"""Receiving a blob: in chunks, resumed where it broke off, checked before its last chunk is given.

Whoever reads it never holds the complete content of a blob that is not what its digest says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence

from launch_action.core.errors import RegistryError
from launch_action.core.image import Descriptor
from launch_action.oci.auth import Scopes, scope
from launch_action.oci.faults import Corrupt, corrupt, unreachable
from launch_action.oci.host import Host, Request
from launch_action.oci.retry import Transient, persist
from launch_action.oci.transport import Answer, Meter

_RANGE = re.compile(r"bytes (\d{1,18})-")
_SLOW = 2.0


class Download:
    """One blob on its way here, from the first of `hosts` that gives it (mirrors, then the origin).

    `name` is the repository's name in errors, `path` its path at the hosts.
    """

    def __init__(
        self,
        hosts: Sequence[Host],
        *,
        name: str,
        path: str,
        scopes: Scopes,
        descriptor: Descriptor,
        meter: Meter,
    ) -> None:
        self._hosts = list(hosts)
        self._what = f"blob {descriptor.digest} of {name}"
        self._path = path
        self._scopes = scopes
        self._descriptor = descriptor
        self._meter = meter
        self._offset = 0
        self._hash = hashlib.sha256()
        self._answer: Answer | None = None
        self._body: Iterator[bytes] = iter(())

    def chunks(self) -> Iterator[bytes]:
        """The content. Raises RegistryError when it cannot be got, Corrupt when it is another."""
        if not self._descriptor.size:
            self._check(b"")
        while self._offset < self._descriptor.size:
            host = self._hosts[0]
            try:
                chunk = persist(lambda _: self._next(), host.patience, host.note)
            except RegistryError as error:
                spoilt = isinstance(error, Corrupt) and self._offset > 0
                if spoilt or len(self._hosts) == 1:
                    raise
                host.note(f"{error.message}; asking {self._hosts[1].name} instead")
                del self._hosts[0]
                continue
            yield chunk

    def close(self) -> None:
        """Let go of the connection when the content was not read to its end."""
        if self._answer is not None and self._offset < self._descriptor.size:
            self._answer.close()
        self._answer = None

    def _next(self) -> bytes:
        """The next chunk; each one that comes renews the patience."""
        try:
            if self._answer is None:
                self._answer = self._begin(self._hosts[0])
            chunk = next(self._body, b"")
            if not chunk:
                raise Transient(unreachable(self._hosts[0].name, f"{self._what} ended too early"))
            self._check(chunk)
        except (Transient, RegistryError):
            if self._answer is not None:
                self._answer.close()
                self._answer = None
            raise
        return chunk

    def _begin(self, host: Host) -> Answer:
        headers = {"Range": f"bytes={self._offset}-"} if self._offset else {}
        path = host.prefix + self._path
        request = Request(
            "GET",
            f"/v2/{path}/blobs/{self._descriptor.digest}",
            f"reading {self._what}",
            frozenset({scope(path, "pull")}) if host.prefix else self._scopes,
            frozenset({200, 206}),
            headers=headers,
            slow=_SLOW,
        )
        answer = host.once(request, self._meter)
        self._body = answer.chunks()
        found = _RANGE.match(answer.headers.get("Content-Range", ""))
        at = int(found[1]) if answer.status == 206 and found else 0
        if at > self._offset:
            answer.close()
            raise corrupt(self._what, f"bytes from {at} on instead of {self._offset}")
        self._skip(self._offset - at)
        return answer

    def _skip(self, count: int) -> None:
        """Pass over what is here already, where a server does not know ranges."""
        while count > 0:
            chunk = next(self._body, b"")
            if not chunk:
                raise Transient(unreachable(self._hosts[0].name, f"{self._what} ended too early"))
            if len(chunk) > count:
                self._body = _chain(chunk[count:], self._body)
            count -= len(chunk)

    def _check(self, chunk: bytes) -> None:
        end = self._offset + len(chunk)
        if end > self._descriptor.size:
            raise corrupt(self._what, f"more than its {self._descriptor.size} bytes")
        before = self._hash.copy() if self._offset == 0 else None
        self._hash.update(chunk)
        if end == self._descriptor.size and self._hash.hexdigest() != self._descriptor.digest.hex:
            error = corrupt(self._what, f"sha256:{self._hash.hexdigest()}")
            if before is None:
                raise error
            self._hash = before  # nothing was given away yet: it can be asked for again
            raise Transient(error)
        self._offset = end


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
