"""One HTTP exchange at a time over shared connections: TLS, proxies, and network faults in words.

Nothing is retried, redirected or authenticated here. Answers are streamed; whoever takes one
reads it to its end or closes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from launch_action import __version__
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, RegistryError
from launch_action.core.ports import Traffic
from launch_action.oci.faults import Secrets
from launch_action.oci.network import Response, proxy_of
from launch_action.oci.retry import Transient

if TYPE_CHECKING:
    from ssl import SSLContext

    from launch_action.oci.direct import Direct
    from launch_action.oci.proxied import Proxied

CHUNK = 256 * 1024
# An answer's body that is not content: errors, tokens, tag lists.
DOCUMENT_LIMIT = 8 * 1024 * 1024


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
    response: Response
    meter: Meter

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    def chunks(self) -> Iterator[bytes]:
        """The body; its end gives the connection back. Raises Transient when it breaks off."""
        for chunk in self.response.chunks():
            self.meter.count(received=len(chunk))
            yield chunk

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
        self.response.close()


class Transport:
    """Connections to every host, shared by threads.

    `ca_file` holds certificates (PEM) that are trusted besides the system's; `environment` is
    where HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY are read.
    """

    def __init__(self, *, ca_file: str = "", environment: Mapping[str, str] | None = None) -> None:
        self.secrets = Secrets()
        self._ca_file = ca_file
        self._environment = environment or {}
        self._direct: Direct | None = None
        self._proxied: Proxied | None = None
        self._trusted: SSLContext | None = None
        self._lock = threading.Lock()
        self._trusting = threading.Lock()

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
        meter.count(requests=1, sent=len(body) if isinstance(body, bytes) else 0)
        response = self._carrier(url)(
            method,
            url,
            headers={**_COMMON, **headers},
            body=body,
            connect=connect,
            seconds=seconds,
        )
        challenges = response.fields("WWW-Authenticate")
        return Answer(response.status, response.headers, challenges, url, response, meter)

    def close(self) -> None:
        """Close every idle connection."""
        for carrier in (self._direct, self._proxied):
            if carrier is not None:
                carrier.close()

    def _carrier(self, url: str) -> Callable[..., Response]:
        """What sends a request to this address: each is imported where it is used."""
        parts = urlsplit(url)
        proxy = proxy_of(parts.scheme, parts.hostname or "", self._environment)
        with self._lock:
            if not proxy:
                from launch_action.oci.direct import Direct

                self._direct = self._direct or Direct(self._trust)
                return self._direct.exchange
            from launch_action.oci.proxied import Proxied

            self._proxied = self._proxied or Proxied(self._trust, self.secrets)
            return partial(self._proxied.exchange, proxy)

    def _trust(self) -> SSLContext:
        with self._trusting:
            self._trusted = self._trusted or _trust(self._ca_file)
            return self._trusted


# No content encoding: the bytes that digests are of are the ones that are stored.
_COMMON = {"User-Agent": f"launch-action/{__version__}", "Accept-Encoding": "identity"}


def _trust(ca_file: str) -> SSLContext:
    import ssl

    # Reading the system's certificates costs more than a request over loopback: only for TLS.
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if ca_file:
        try:
            context.load_verify_locations(cafile=ca_file)
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"cannot read certificates from {ca_file!r}: {error.strerror or error}",
                hint="--registry-ca wants a file of certificates in PEM form",
            ) from error
    return context
