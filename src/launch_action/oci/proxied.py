"""Connections through a proxy: by urllib3, which knows CONNECT, TLS within TLS, and logins."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from ssl import SSLContext
from urllib.parse import unquote, urlsplit

from urllib3 import BaseHTTPResponse, ProxyManager, Timeout, make_headers
from urllib3 import exceptions as fault

from launch_action.core.errors import InputError
from launch_action.oci.faults import Secrets, unreachable
from launch_action.oci.network import cause, tls_fault
from launch_action.oci.retry import TRANSIENT, Transient

_CHUNK = 256 * 1024
_IDLE = 16
_POOLS = 32
# How http.client tells that a proxy refused to connect.
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})\b")


class Proxied:
    """Connections by proxy. `trust` gives the certificates that are trusted."""

    def __init__(self, trust: Callable[[], SSLContext], secrets: Secrets) -> None:
        self._trust = trust
        self._secrets = secrets
        self._pools: dict[tuple[str, str], ProxyManager] = {}
        self._lock = threading.Lock()

    def exchange(
        self,
        proxy: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Iterable[bytes] | bytes | None,
        connect: float,
        seconds: float,
    ) -> ProxiedResponse:
        """Send one request; the answer's beginning. Raises Transient and RegistryError."""
        parts = urlsplit(url)
        with _refusing(proxy):
            pool = self._pool(parts.scheme, proxy)
        with _naming_faults(parts.netloc):
            response = pool.urlopen(
                method,
                url,
                body=body,
                headers=headers,
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=Timeout(connect=connect, read=seconds),
            )
        return ProxiedResponse(parts.netloc, response)

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()
            self._pools.clear()

    def _pool(self, scheme: str, proxy: str) -> ProxyManager:
        with self._lock:
            key = (scheme, proxy)
            if key not in self._pools:
                self._pools[key] = self._open_pool(scheme, proxy)
            return self._pools[key]

    def _open_pool(self, scheme: str, proxy: str) -> ProxyManager:
        parts = urlsplit(proxy)
        trust = self._trust() if "https" in (scheme, parts.scheme) else None
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        headers = make_headers(proxy_basic_auth=login) if parts.username else None
        self._secrets.add(parts.password or "", unquote(parts.password or ""))
        return ProxyManager(bare, _POOLS, proxy_headers=headers, maxsize=_IDLE, ssl_context=trust)


class ProxiedResponse:
    """An answer whose body was not read yet."""

    def __init__(self, host: str, raw: BaseHTTPResponse) -> None:
        self.status = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self._host = host
        self._raw = raw

    def fields(self, name: str) -> tuple[str, ...]:
        return tuple(self._raw.headers.getlist(name))

    def chunks(self) -> Iterator[bytes]:
        """The body; its end gives the connection back."""
        with _naming_faults(self._host):
            yield from self._raw.stream(_CHUNK, decode_content=False)
        self._raw.release_conn()

    def close(self) -> None:
        self._raw.close()
        self._raw.release_conn()


def _proxy_fault(host: str, error: fault.ProxyError) -> Exception:
    """A proxy's no to CONNECT stays a no, unless its status is one that passes."""
    answered = _TUNNEL.search(str(error.original_error))
    if answered is None:
        failed = f"the proxy failed: {cause(error.original_error)}"
        return Transient(unreachable(host, failed))
    status = int(answered[1])
    login = " (it wants a login: http://user:password@host:port)" if status == 407 else ""
    refused = unreachable(host, f"the proxy answered {status}{login}")
    return Transient(refused) if status in TRANSIENT else refused


@contextmanager
def _refusing(proxy: str) -> Iterator[None]:
    """Turn what is raised for a proxy's address that cannot be one into InputError."""
    try:
        yield
    except (fault.HTTPError, ValueError) as error:
        # What is before an `@` may be a password.
        shown = proxy.rpartition("@")[2]
        raise InputError(
            f"not the address of a proxy that can be used: {shown!r}",
            hint="HTTPS_PROXY, HTTP_PROXY and ALL_PROXY take http://[user:password@]host[:port], "
            "or https://; SOCKS is not spoken",
        ) from error


@contextmanager
def _naming_faults(host: str) -> Iterator[None]:
    """Turn urllib3's exceptions into Transient or RegistryError, naming host and cause."""
    try:
        yield
    except fault.ProxyError as error:
        raise _proxy_fault(host, error) from error
    except fault.SSLError as error:
        raise tls_fault(host, error) from error
    except fault.NameResolutionError as error:
        raise Transient(unreachable(host, "its name is not known here")) from error
    except fault.NewConnectionError as error:
        raise Transient(unreachable(host, cause(error))) from error
    except fault.ConnectTimeoutError as error:
        raise Transient(unreachable(host, "no connection was made in time")) from error
    except fault.ReadTimeoutError as error:
        raise Transient(unreachable(host, "it stopped answering")) from error
    except (fault.ProtocolError, fault.IncompleteRead) as error:
        raise Transient(unreachable(host, f"the connection broke off ({cause(error)})")) from error
    except (fault.LocationValueError, fault.HTTPError) as error:
        raise unreachable(host, type(error).__name__) from error
