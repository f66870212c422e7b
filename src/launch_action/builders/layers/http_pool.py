"""Connections to package indexes, with the proxies and certificates of the environment."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from urllib3 import PoolManager

_CONNECT_SECONDS = 15.0
_READ_SECONDS = 60.0
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """The proxy that a URL is to be fetched through; empty for none."""
    parts = urlsplit(url)
    bypass = _either("no_proxy", environment)
    skips = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if bypass and skips(parts.netloc, {"no": bypass}):
        return ""
    return _either(f"{parts.scheme}_proxy", environment) or _either("all_proxy", environment)


def _either(name: str, environment: Mapping[str, str]) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def make_pool(proxy: str, environment: Mapping[str, str], connections: int) -> PoolManager:
    """Connections that are kept and shared between threads, `connections` per host."""
    import ssl

    import urllib3

    tls = ssl.create_default_context(
        cafile=next((environment[name] for name in _BUNDLES if environment.get(name)), None),
        capath=environment.get("SSL_CERT_DIR") or None,
    )
    timeout = urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS)
    if not proxy:
        return urllib3.PoolManager(
            num_pools=16, maxsize=connections, ssl_context=tls, timeout=timeout
        )
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    headers = None
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=login)
    host = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return urllib3.ProxyManager(
        host,
        proxy_headers=headers,
        num_pools=16,
        maxsize=connections,
        ssl_context=tls,
        timeout=timeout,
    )
