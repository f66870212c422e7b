"""The network between here and a registry: answers, proxies, loopback, and faults in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from launch_action.oci.faults import unreachable, untrusted
from launch_action.oci.retry import Transient


class Response(Protocol):
    """An answer of a connection whose body was not read yet."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in any case."""
        ...

    def fields(self, name: str) -> tuple[str, ...]:
        """Every field of this name."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """The body as it came; its end gives the connection back. Raises Transient."""
        ...

    def close(self) -> None:
        """Let go of a body that is not wanted; the connection is not used again."""
        ...


def proxy_of(scheme: str, host: str, environment: Mapping[str, str]) -> str:
    """The proxy's URL for a host, empty for none; `NO_PROXY` and loopback hosts go directly."""
    names = (f"{scheme}_proxy", "all_proxy")
    found = next((v for n in names for v in _either(environment, n)), "")
    if not found or is_loopback(host):
        return ""
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

    exceptions = next(iter(_either(environment, "no_proxy")), "")
    if proxy_bypass_environment(host, {"no": exceptions}):
        return ""
    return found if "://" in found else f"http://{found}"


def _either(environment: Mapping[str, str], name: str) -> list[str]:
    return [v for v in (environment.get(name), environment.get(name.upper())) if v]


def is_loopback(host: str) -> bool:
    """Whether a host without port is this machine: `localhost`, 127.0.0.0/8, ::1."""
    from ipaddress import ip_address

    bare = host.strip("[]").lower()
    if bare == "localhost":
        return True
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def tls_fault(host: str, error: Exception) -> Exception:
    """A certificate stays wrong; a connection cut within TLS does not."""
    import ssl

    root: BaseException | None = error
    while root and not isinstance(root, ssl.SSLError):
        inner = next((a for a in root.args if isinstance(a, BaseException)), None)
        root = inner or root.__cause__ or root.__context__
    reason = str(getattr(root, "verify_message", "") or getattr(root, "reason", "") or "TLS failed")
    if isinstance(root, ssl.SSLEOFError) or "EOF" in reason:
        return Transient(unreachable(host, "the connection broke off within TLS"))
    return untrusted(host, reason)


def cause(error: BaseException) -> str:
    """The system's own words at the root of an exception; never a repr, which may hold a URL."""
    seen: BaseException | None = error
    root = error
    while seen is not None:
        root = seen
        inner = next((a for a in seen.args if isinstance(a, BaseException)), None)
        seen = inner or seen.__cause__ or seen.__context__
    strerror = getattr(root, "strerror", None)
    return str(strerror) if strerror else _WORDS.get(type(root).__name__, type(root).__name__)


_WORDS = {
    "IncompleteRead": "the answer is incomplete",
    "RemoteDisconnected": "closed without an answer",
    "BadStatusLine": "the answer is not HTTP",
    "HTTPException": "the answer is not HTTP",
    "LineTooLong": "a line of the answer's head is too long",
    "ValueError": "the answer is not HTTP",
    "TimeoutError": "timed out",
}
