"""Faults in front of a registry: a proxy on loopback that forwards, records, and spoils."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any, Literal
from urllib.parse import urlsplit

from support.loopback import serving

_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade"}
Kind = Literal[
    "reset", "cut", "keep", "status", "redirect", "truncate", "corrupt", "no-range", "hide", "lose",
    "no-query",
]  # fmt: skip


@dataclass(slots=True)
class Fault:
    """What is to happen to the next `times` requests whose method and path match.

    reset: the connection is cut after `at` bytes of the request's body, which go nowhere. cut: the
    same, but the registry gets them. keep: the registry gets them, and has them when the upload is
    asked for, as registries do that keep what came of a broken request. status: `status`,
    `headers` and `body` are the answer. redirect: 307 to `location`. truncate: the answer is cut
    after `at` bytes of its body. corrupt: its byte at `at` is changed. no-range: `Range` is not
    forwarded. hide: `headers` replace those of the answer (empty: removed). lose: the request is
    carried out, its answer lost. no-query: the query is not forwarded.
    """

    kind: Kind
    method: str = ".*"
    path: str = ".*"
    times: int = 1
    at: int = 0
    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    location: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it arrived; header names are lower case."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass(slots=True)
class Proxy:
    """The proxy: `faults` are used up in order, `seen` grows. `limit`: bodies above it get 413."""

    upstream: str
    address: str = ""
    limit: int | None = None
    faults: list[Fault] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    kept: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets."""
        with self.lock:
            for fault in self.faults:
                if re.fullmatch(fault.method, method) and re.search(fault.path, path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def count(self, method: str, path: str = "") -> int:
        """How many requests of this method came whose path matches."""
        return sum(s.method == method and bool(re.search(path, s.path)) for s in self.seen)


@contextmanager
def proxy_to(upstream: str) -> Iterator[Proxy]:
    """A proxy to `host:port`, which registries take for the client's own connection."""
    proxy = Proxy(upstream)

    class Handler(_Handler):
        shared = proxy

    with serving(Handler) as address:
        proxy.address = address
        yield proxy


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    shared: Proxy

    def setup(self) -> None:
        super().setup()
        with self.shared.lock:
            self.shared.connections += 1

    def handle_one_request(self) -> None:
        """An engine tries TLS first, and needs an answer in HTTP to know that this is not it."""
        if self.rfile.peek(1)[:1] == b"\x16":  # type: ignore[attr-defined]
            self.wfile.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            self.close_connection = True
            return
        super().handle_one_request()

    def do_GET(self) -> None:
        proxy = self.shared
        headers = {k.lower(): v for k, v in self.headers.items()}
        with proxy.lock:
            proxy.seen.append(Seen(self.command, self.path, headers))
        length = int(headers.get("content-length") or 0)
        fault = proxy.take(self.command, self.path)
        if proxy.limit is not None and length > proxy.limit:
            fault = Fault("status", status=413, body=b"<html>too large</html>")
        if fault and fault.kind in ("status", "redirect"):
            self._refuse(fault, length)
        elif fault and fault.kind == "reset":
            self._read(min(fault.at, length))
            self._cut()
        elif fault and fault.kind in ("cut", "keep"):
            self._pass_on(fault, length)
            self._cut()
        else:
            self._forward(fault, length)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_CONNECT = do_GET

    def _read(self, length: int) -> None:
        while length > 0:
            chunk = self.rfile.read(min(length, 65536))
            if not chunk:
                return
            length -= len(chunk)

    def _pass_on(self, fault: Fault, length: int) -> None:
        """Give the registry the first `at` bytes: of a request that breaks off, or as a piece."""
        data = self.rfile.read(min(fault.at, length))
        upstream = http.client.HTTPConnection(self.shared.upstream, timeout=30)
        keep = fault.kind == "keep"
        path = re.sub("&digest=[^&]*", "", self.path) if keep else self.path
        upstream.putrequest("PATCH" if keep else self.command, path)
        upstream.putheader("Content-Type", "application/octet-stream")
        upstream.putheader("Content-Length", str(len(data) if keep else length))
        upstream.endheaders()
        upstream.send(data)
        if keep:
            answer = upstream.getresponse()
            location = urlsplit(answer.headers["Location"])
            self.shared.kept[path] = f"{location.path}?{location.query}"
        upstream.close()

    def _cut(self) -> None:
        """Close so that the peer gets a reset, not an end."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.rfile.close()
        self.connection.close()

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            super().finish()

    def _refuse(self, fault: Fault, length: int) -> None:
        self._read(length)
        self.send_response(307 if fault.kind == "redirect" else fault.status)
        if fault.location:
            self.send_header("Location", fault.location)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(fault.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(fault.body)

    def _forward(self, fault: Fault | None, length: int) -> None:
        upstream = http.client.HTTPConnection(self.shared.upstream, timeout=30)
        try:
            bare = fault is not None and fault.kind == "no-query"
            path = self.path.partition("?")[0] if bare else self.path
            path = self.shared.kept.get(path, path)
            upstream.putrequest(self.command, path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() in _HOP or (fault and fault.kind == "no-range" and name == "Range"):
                    continue
                upstream.putheader(name, value)
            upstream.endheaders()
            left = length
            while left > 0:
                chunk = self.rfile.read(min(left, 65536))
                if not chunk:
                    return
                upstream.send(chunk)
                left -= len(chunk)
            self._return(upstream.getresponse(), fault)
        except OSError:
            self.close_connection = True
        finally:
            upstream.close()

    def _return(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        if fault and fault.kind == "lose":
            answer.read()
            self._cut()
            return
        self.send_response(answer.status)
        changed = {k.lower(): v for k, v in (fault.headers if fault else {}).items()}
        for name, value in answer.getheaders():
            if name.lower() not in _HOP | {"date", "server"} | set(changed):
                self.send_header(name, value)
        for name, value in changed.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self._return_body(answer, fault)

    def _return_body(self, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        place = 0
        while chunk := answer.read(65536):
            end = place + len(chunk)
            if fault and fault.kind == "truncate" and end > fault.at:
                self.wfile.write(chunk[: max(0, fault.at - place)])
                self.wfile.flush()
                self._cut_softly()
                return
            if fault and fault.kind == "corrupt" and place <= fault.at < end:
                spoilt = bytearray(chunk)
                spoilt[fault.at - place] ^= 0xFF
                chunk = bytes(spoilt)
            self.wfile.write(chunk)
            place = end

    def _cut_softly(self) -> None:
        """An end in the middle: what was written before arrives."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        return
