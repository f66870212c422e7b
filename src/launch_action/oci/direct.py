"""Connections that need no proxy: kept, shared by threads, their faults told in words.

By `http.client`, which is half of what urllib3 is at start-up (docs/decisions/0001). What urllib3
knows beyond it and is needed here is here: connections are kept, a kept one that was closed
meanwhile is noticed, a body that ends early is noticed, and so is an answer that comes before all
of the body was sent.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, NamedTuple, cast
from urllib.parse import SplitResult, quote, urlsplit

from launch_action.oci.faults import unreachable
from launch_action.oci.network import Response, cause, tls_fault
from launch_action.oci.retry import Transient

_CHUNK = 256 * 1024
_SAFE = "!#$%&'()*+,/:;=?@[]~"
_IDLE = 16  # connections that are kept for each address


class _Address(NamedTuple):
    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, parts: SplitResult) -> _Address:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme, parts.hostname or "", port)


class Direct:
    """Connections by address. `trust` gives the certificates that are trusted."""

    def __init__(self, trust: Callable[[], ssl.SSLContext]) -> None:
        self._trust = trust
        self._idle: dict[_Address, list[HTTPConnection]] = {}
        self._lock = threading.Lock()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Iterable[bytes] | bytes | None,
        connect: float,
        seconds: float,
    ) -> Response:
        """Send one request; the answer's beginning. Raises Transient and RegistryError."""
        parts = urlsplit(url)
        with _naming_faults(parts.netloc):
            address = _Address.of(parts)
        connection = self._kept(address) or self._open(address, parts.netloc, connect)
        connection.sock.settimeout(seconds)
        try:
            with _naming_faults(parts.netloc):
                named = {"Host": parts.netloc, **headers}
                whole = _send(connection, method, _target(parts), named, body)
                response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        # After an answer that only announces another (103), that one would be the next request's.
        again = whole and not response.will_close and response.status >= 200
        done = partial(self._keep, address, connection) if again else connection.close
        return _Response(parts.netloc, response, connection, done)

    def close(self) -> None:
        """Close what is kept."""
        with self._lock:
            kept = [one for some in self._idle.values() for one in some]
            self._idle.clear()
        for connection in kept:
            connection.close()

    def _kept(self, address: _Address) -> HTTPConnection | None:
        while True:
            with self._lock:
                kept = self._idle.get(address)
                if not kept:
                    return None
                connection = kept.pop()
            if _is_open(connection):
                return connection
            connection.close()

    def _keep(self, address: _Address, connection: HTTPConnection) -> None:
        with self._lock:
            kept = self._idle.setdefault(address, [])
            if len(kept) < _IDLE:
                kept.append(connection)
                return
        connection.close()

    def _open(self, address: _Address, name: str, seconds: float) -> HTTPConnection:
        connection = HTTPConnection(address.host, address.port)
        connection.sock = _connected(address, name, seconds)
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.scheme == "https":
            with _naming_faults(name):
                connection.sock = self._trust().wrap_socket(
                    connection.sock, server_hostname=address.host
                )
        return connection


class _Response:
    """An answer whose body was not read yet; `done` is called at its end."""

    def __init__(
        self,
        host: str,
        response: HTTPResponse,
        connection: HTTPConnection,
        done: Callable[[], None],
    ) -> None:
        self.status = response.status
        self.headers = cast("Mapping[str, str]", response.headers)
        self._host = host
        self._response = response
        self._connection = connection
        self._done = done
        self._ended = False

    def fields(self, name: str) -> tuple[str, ...]:
        return tuple(self._response.headers.get_all(name, ()))

    def chunks(self) -> Iterator[bytes]:
        """The body; its end gives the connection back."""
        with _naming_faults(self._host):
            while chunk := self._response.read(_CHUNK):
                yield chunk
        left = self._response.length
        if left:
            raise Transient(unreachable(self._host, f"the answer ended {left} bytes early"))
        self._ended = True
        self._done()

    def close(self) -> None:
        """Let go of the connection, unless it was given back: another may use it by now."""
        if not self._ended:
            self._response.close()
            self._connection.close()


def _connected(address: _Address, name: str, seconds: float) -> socket.socket:
    try:
        # As bytes where it can be: IDNA's tables are slow to import.
        host: Any = address.host.encode("ascii") if address.host.isascii() else address.host
        return socket.create_connection((host, address.port), seconds)
    except socket.gaierror as error:
        raise Transient(unreachable(name, "its name is not known here")) from error
    except TimeoutError as error:
        raise Transient(unreachable(name, "no connection was made in time")) from error
    except UnicodeError as error:
        raise unreachable(name, "its name cannot be a host's") from error
    except OSError as error:
        raise Transient(unreachable(name, cause(error))) from error


def _target(parts: SplitResult) -> str:
    """The path with its query; what a redirect left unescaped is escaped."""
    query = f"?{parts.query}" if parts.query else ""
    return quote(f"{parts.path or '/'}{query}", safe=_SAFE)


def _send(
    connection: HTTPConnection,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: Iterable[bytes] | bytes | None,
) -> bool:
    """Send a request; False when the other side took no more, for it may have answered why."""
    try:
        connection.request(method, path, body, headers)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def _is_open(connection: HTTPConnection) -> bool:
    """Whether a kept connection can be used: nothing comes unasked, but its end."""
    waiting = select.poll()
    waiting.register(connection.sock, select.POLLIN)
    return not waiting.poll(0)


@contextmanager
def _naming_faults(host: str) -> Iterator[None]:
    """Turn what a connection raises into Transient or RegistryError, naming host and cause."""
    try:
        yield
    except ssl.SSLError as error:
        raise tls_fault(host, error) from error
    except TimeoutError as error:
        raise Transient(unreachable(host, "it stopped answering")) from error
    except (OSError, HTTPException) as error:
        broken = f"the connection broke off ({cause(error)})"
        raise Transient(unreachable(host, broken)) from error
    except ValueError as error:  # a header or path that HTTP cannot carry
        raise unreachable(host, "its address or a header is not of HTTP") from error
