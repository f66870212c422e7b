"""One HTTP exchange at a time over shared connections: TLS, proxies, and network faults in words.

Nothing is retried, redirected or authenticated here. Answers are streamed; whoever takes one
reads it to its end or closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from launch_action import __version__
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, RegistryError
from launch_action.core.ports import Traffic
from launch_action.oci.faults import Secrets
from launch_action.oci.network import naming_faults, proxy_of
from launch_action.oci.retry import Transient

if TYPE_CHECKING:
    from ssl import SSLContext

    from urllib3 import BaseHTTPResponse, PoolManager

CHUNK = 256 * 1024
# An answer's body that is not content: errors, tokens, tag lists.
DOCUMENT_LIMIT = 8 * 1024 * 1024
_IDLE_CONNECTIONS = 16
_POOLS = 32


class Meter:
    """Traffic that is counted from several threads."""

    def __init__(self) -> None:
        self.traffic = Traffic()
        self._lock = threading.Lock()

    def count(self, *, requests: int = 0, sent: int = 0, received: int = 0) -> None:
        with self._lock:
            self.traffic.requests += requests
            self.traffic.sent += sent
            self.traffic.received += received


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whose body was not read yet; `host` is where it came from."""

    status: int
    headers: Mapping[str, str]
    challenges: tuple[str, ...]
    url: str
    raw: BaseHTTPResponse
    meter: Meter

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def chunks(self) -> Iterator[bytes]:
        """The body; its end gives the connection back. Raises Transient when it breaks off."""
        with naming_faults(self.host):
            for chunk in self.raw.stream(CHUNK, decode_content=False):
                self.meter.count(received=len(chunk))
                yield chunk
        self.raw.release_conn()

    def read(self, limit: int = DOCUMENT_LIMIT) -> bytes:
        """The whole body. Raises RegistryError above `limit` bytes, else as `chunks`."""
        parts, size = [], 0
        for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                self.close()
                raise RegistryError(
                    f"an answer of {self.host} is larger than the limit of {limit} bytes",
                    hint="check that the address is a registry's",
                )
            parts.append(chunk)
        return b"".join(parts)

    def complaint(self) -> bytes:
        """The beginning of an error's body; a fault while reading it hides nothing of the error."""
        try:
            return self.read(64 * 1024)
        except (Transient, RegistryError):
            self.close()
            return b""

    def close(self) -> None:
        """Let go of a body that is not wanted; the connection is not used again."""
        self.raw.close()
        self.raw.release_conn()


class Transport:
    """Connections to every host, shared by threads.

    `ca_file` holds certificates (PEM) that are trusted besides the system's; `environment` is
    where HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are read.
    """

    def __init__(self, *, ca_file: str = "", environment: Mapping[str, str] | None = None) -> None:
        self.secrets = Secrets()
        self._ca_file = ca_file
        self._environment = environment or {}
        self._pools: dict[tuple[str, str], PoolManager] = {}
        self._lock = threading.Lock()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        meter: Meter,
        body: Iterable[bytes] | bytes | None = None,
        connect: float,
        seconds: float,
    ) -> Answer:
        """Send one request and return the answer's beginning.

        `connect`: seconds until there is a connection; `seconds`: until something is answered.

        Raises Transient for faults of the network, RegistryError for TLS and addresses.
        """
        from urllib3 import Timeout

        host = urlsplit(url).netloc
        pool = self._pool(url)
        meter.count(requests=1, sent=len(body) if isinstance(body, bytes) else 0)
        with naming_faults(host):
            response = pool.urlopen(
                method,
                url,
                body=body,
                headers=_COMMON | dict(headers),
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=Timeout(connect=connect, read=seconds),
            )
        challenges = tuple(response.headers.getlist("WWW-Authenticate"))
        return Answer(response.status, response.headers, challenges, url, response, meter)

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def _pool(self, url: str) -> PoolManager:
        parts = urlsplit(url)
        proxy = proxy_of(parts.scheme, parts.hostname or "", self._environment)
        with self._lock:
            key = (parts.scheme, proxy)
            if key not in self._pools:
                self._pools[key] = self._open_pool(parts.scheme, proxy)
            return self._pools[key]

    def _open_pool(self, scheme: str, proxy: str) -> PoolManager:
        from urllib3 import PoolManager, ProxyManager, make_headers

        # Reading the system's certificates costs more than a request over loopback: only for TLS.
        secure = scheme == "https" or proxy.startswith("https:")
        trust = _trust(self._ca_file) if secure else None
        if not proxy:
            return PoolManager(_POOLS, maxsize=_IDLE_CONNECTIONS, ssl_context=trust)
        parts = urlsplit(proxy)
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        headers = make_headers(proxy_basic_auth=login) if parts.username else None
        self.secrets.add(parts.password or "", unquote(parts.password or ""))
        return ProxyManager(
            bare, _POOLS, proxy_headers=headers, maxsize=_IDLE_CONNECTIONS, ssl_context=trust
        )


# No content encoding: the bytes that digests are of are the ones that are stored.
_COMMON = {"User-Agent": f"launch-action/{__version__}", "Accept-Encoding": "identity"}


def _trust(ca_file: str) -> SSLContext:
    import ssl

    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"cannot read certificates from {ca_file!r}: {error.strerror or error}",
                hint="--registry-ca wants a file of certificates in PEM form",
            ) from error
    return context
