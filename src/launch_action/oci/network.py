"""The network between here and a registry: proxies, loopback, and its faults in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from launch_action.oci.faults import unreachable, untrusted
from launch_action.oci.retry import Transient


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


@contextmanager
def naming_faults(host: str) -> Iterator[None]:
    """Turn urllib3's exceptions into Transient or RegistryError, naming host and cause."""
    from urllib3 import exceptions as fault

    try:
        yield
    except fault.ProxyError as error:
        cause = _cause(error.original_error)
        raise Transient(unreachable(host, f"the proxy failed: {cause}")) from error
    except fault.SSLError as error:
        raise _tls_fault(host, error) from error
    except fault.NameResolutionError as error:
        raise Transient(unreachable(host, "its name is not known here")) from error
    except fault.NewConnectionError as error:
        raise Transient(unreachable(host, _cause(error))) from error
    except fault.ConnectTimeoutError as error:
        raise Transient(unreachable(host, "no connection was made in time")) from error
    except fault.ReadTimeoutError as error:
        raise Transient(unreachable(host, "it stopped answering")) from error
    except (fault.ProtocolError, fault.IncompleteRead) as error:
        raise Transient(unreachable(host, f"the connection broke off ({_cause(error)})")) from error
    except (fault.LocationValueError, fault.HTTPError) as error:
        raise unreachable(host, type(error).__name__) from error


def _tls_fault(host: str, error: Exception) -> Exception:
    """A certificate stays wrong; a connection cut within TLS does not."""
    import ssl

    cause: BaseException | None = error
    while cause and not isinstance(cause, ssl.SSLError):
        inner = next((a for a in cause.args if isinstance(a, BaseException)), None)
        cause = inner or cause.__cause__ or cause.__context__
    reason = str(
        getattr(cause, "verify_message", "") or getattr(cause, "reason", "") or "TLS failed"
    )
    if isinstance(cause, ssl.SSLEOFError) or "EOF" in reason:
        return Transient(unreachable(host, "the connection broke off within TLS"))
    return untrusted(host, reason)


def _cause(error: BaseException) -> str:
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
    "TimeoutError": "timed out",
}
