"""A W&B server as it is read: its GraphQL interface, and the addresses of files that it gives.

The key goes to the server that it is for and to no other host, whatever an answer or a redirect
names. Nothing is read from a netrc file, and no address is followed to an unencrypted one.
"""

from __future__ import annotations

import base64
import json
import re
import string
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from launch_action import __version__
from launch_action.core.errors import InputError, RefusedError, ServiceError, UnansweredError

if TYPE_CHECKING:
    from requests import Response, Session

_TIMEOUT = (15, 60)  # seconds: until there is a connection, and between two parts of an answer
_SHORT = (5, 5)
_ATTEMPTS = 4
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 20.0
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_CHUNK = 256 * 1024
_ANSWER_LIMIT = 32 * 1024 * 1024
# For who stands in front of the server, such as a proxy that wants a login of its own.
_EXTRA = "WANDB_X_EXTRA_HTTP_HEADERS"
_OF_NAMES = dict.fromkeys(map(ord, f"{string.ascii_letters}{string.digits}!#$%&'*+-.^_`|~"))
_BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


class Server:
    """One server; methods raise ServiceError.

    `base_url` is the address of its interface; `environment` gives proxies and certificates. With
    an empty key it is asked without one, for what is open to everybody. `attempts` is how often
    something is asked where the answer is a fault, by default until it has most likely passed. Who
    is not `patient` asks once, and does not wait for long.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        environment: Mapping[str, str],
        *,
        patient: bool = True,
        sleep: Callable[[float], None] = time.sleep,
        attempts: int | None = None,
    ) -> None:
        if not _is_base(base_url):
            raise InputError(
                f"not the address of a W&B server: {base_url.rpartition('@')[2]!r}",
                hint="WANDB_BASE_URL is such as https://wandb.example.com, without a login",
            )
        self.base_url = base_url.rstrip("/")
        self._origin = _origin(base_url)
        self._key = key
        self._environment = environment
        self._extra = _extra_headers(environment)
        self._attempts, self._timeout = (
            (attempts or _ATTEMPTS, _TIMEOUT) if patient else (1, _SHORT)
        )
        self._sleep = sleep
        self._session: Session | None = None

    def ask(self, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The data of one query's answer."""
        body = json.dumps({"query": document, "variables": dict(variables)}).encode()
        url = f"{self.base_url}/graphql"
        headers = {"Content-Type": "application/json"}
        with self._answer("POST", url, headers=headers, data=body) as answer:
            data = _read(answer, _ANSWER_LIMIT, self.host)
            return self._data(answer.status_code, data)

    @contextmanager
    def opened(self, url: str) -> Iterator[Iterator[bytes]]:
        """The content of a file at an address that the server gave, in chunks."""
        for _ in range(_MOST_REDIRECTS + 1):
            self._check(url)
            with self._answer("GET", url) as answer:
                if answer.status_code in _REDIRECTS and "Location" in answer.headers:
                    url = urljoin(url, answer.headers["Location"])
                    continue
                if answer.status_code != 200:
                    raise ServiceError(
                        f"a file of W&B's at {_shown(url)} cannot be read: {answer.status_code}",
                        hint="run it again; the addresses that W&B gives are valid for a time",
                    )
                yield _chunks(answer, _shown(url))
                return
        raise ServiceError(
            f"a file of W&B's is redirected more than {_MOST_REDIRECTS} times, last to "
            f"{_shown(url)}",
            hint="is a proxy in the way, or WANDB_BASE_URL wrong?",
        )

    def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            self._session.close()

    @property
    def host(self) -> str:
        """Host and port, as errors name the server."""
        return urlsplit(self.base_url).netloc

    def _check(self, url: str) -> None:
        """Raise ServiceError for an address that files do not come from."""
        scheme, host, _ = _origin(url)
        encrypted = scheme == "https" or (scheme == "http" and self._origin[0] == "http")
        if not encrypted or not host:
            raise ServiceError(
                f"W&B at {self.host} names a file at {_shown(url)}, which is not fetched",
                hint="files come by https; by http only from a server that is spoken to so itself",
            )

    def _answer(self, method: str, url: str, **given: Any) -> Response:
        """One answer, asked for again while the server or the network has a fault."""
        import requests

        headers = {**given.pop("headers", {}), **self._login(url)}
        delay = _FIRST_DELAY
        for left in range(self._attempts - 1, -1, -1):
            try:
                answer = self._connected().request(
                    method, url, headers=headers, timeout=self._timeout, stream=True,
                    allow_redirects=False, proxies=self._proxies(url), **given,
                )  # fmt: skip
            # A ValueError for a name, in the address or in a redirect, that no host can have.
            except (requests.RequestException, ValueError) as error:
                if not left:
                    raise self._unreachable(url, error) from None
                after = 0.0
            else:
                if answer.status_code not in _TRANSIENT or not left:
                    return answer
                after = _seconds(answer.headers.get("Retry-After", ""))
                answer.close()
            self._sleep(min(max(delay, after), _LONGEST_DELAY))
            delay *= 2
        raise AssertionError

    def _connected(self) -> Session:
        if self._session is None:
            from http.cookiejar import DefaultCookiePolicy

            import requests

            self._session = requests.Session()
            # Kept for nobody: several threads use it, and several hosts.
            self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            # Else a netrc file's login would be sent wherever it has one for.
            self._session.trust_env = False
            bundle = (self._environment.get(name) for name in _BUNDLES)
            self._session.verify = next(filter(None, bundle), True)
            self._session.headers["User-Agent"] = f"launch-action/{__version__}"
            self._session.headers["Accept-Encoding"] = "identity"
        return self._session

    def _login(self, url: str) -> dict[str, str]:
        if not self._key or _origin(url) != self._origin:
            return {}
        login = base64.b64encode(f"api:{self._key}".encode()).decode()
        return {**self._extra, "Authorization": f"Basic {login}"}

    def _proxies(self, url: str) -> dict[str, str]:
        parts = urlsplit(url)
        bypass = self._variable("no_proxy")
        skips = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
        if bypass and skips(parts.netloc, {"no": bypass}):
            return {}
        found = self._variable(f"{parts.scheme}_proxy") or self._variable("all_proxy")
        return {parts.scheme: found} if found else {}

    def _variable(self, name: str) -> str:
        return self._environment.get(name) or self._environment.get(name.upper()) or ""

    def _unreachable(self, url: str, error: Exception) -> ServiceError:
        # Not the error's own words: they have the address in them, which may be a signed one.
        return UnansweredError(
            f"W&B cannot be reached at {_shown(url)}: {type(error).__name__}",
            hint="is WANDB_BASE_URL right, and does this machine reach it? Run it again later",
        )

    def _data(self, status: int, body: bytes) -> dict[str, Any]:
        if status in (401, 403):
            taken = "refuses this" if status == 403 else "does not take the key"
            what = taken if self._key else "wants a key"
            raise RefusedError(
                f"W&B at {self.host} {what}: {status}{_complaint(body)}",
                hint="set WANDB_API_KEY to a key of this server, or `wandb login`",
            )
        if status in _TRANSIENT:
            raise UnansweredError(
                f"W&B at {self.host} is busy, or has a fault: {status}{_complaint(body)}",
                hint="run it again later",
            )
        try:
            found = json.loads(body)
            data, errors = found.get("data"), found.get("errors")
        except (ValueError, AttributeError, RecursionError):
            data, errors = None, None
        if errors or not isinstance(data, dict) or status != 200:
            says = "what it says may tell why, and whether another try helps"
            asks = "is WANDB_BASE_URL the address of a W&B server, and is it of this time?"
            refusal = ServiceError if errors else RefusedError  # no W&B, and none the next time
            raise refusal(
                f"W&B at {self.host} does not answer the question: {status}{_complaint(body)}",
                hint=says if errors and "Cannot query" not in str(errors) else asks,
            )
        return data


def _extra_headers(environment: Mapping[str, str]) -> dict[str, str]:
    """What a proxy in front of the server wants, as the SDK is told it. Raises InputError."""
    text = environment.get(_EXTRA)
    if not text:
        return {}
    try:
        found = json.loads(text)
        if all(map(_is_header, found, found.values())):
            return dict(found)
    except (ValueError, AttributeError, RecursionError):
        pass
    # Not the value: what lets us through a proxy is a secret.
    raise InputError(
        f"{_EXTRA} is no JSON object of texts that headers can have",
        hint="""write it as {"NAME": "VALUE"}, in ASCII and of one line each, or unset it""",
    )


def _is_header(name: str, value: Any) -> bool:
    """Whether every client sends it as it is (RFC 9110, sections 5.1 and 5.5)."""
    token = name != "" and not name.translate(_OF_NAMES)
    return token and isinstance(value, str) and value.isascii() and value.isprintable()


def _is_base(url: str) -> bool:
    """Whether it is the address of a server: no login in it, and nothing behind its path."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    named = parts.scheme in ("http", "https") and parts.hostname and port != 0
    return bool(named) and not re.search(r"[@?#\s]", url)


def _origin(url: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "", "", 0
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), port or {"https": 443, "http": 80}.get(scheme, 0)


def _shown(url: str) -> str:
    """The address without what may be a secret: a login before the host, a signature behind."""
    scheme, host, port = _origin(url)
    if not host:
        return repr(url.partition("?")[0][:80])
    return f"{scheme}://{host}:{port}"


def _seconds(text: str) -> float:
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _chunks(answer: Response, where: str) -> Iterator[bytes]:
    import requests

    try:
        yield from answer.iter_content(_CHUNK)
    except requests.RequestException as error:
        raise ServiceError(
            f"a file of W&B's breaks off at {where}: {type(error).__name__}", hint="run it again"
        ) from None


def _read(answer: Response, limit: int, where: str) -> bytes:
    found = bytearray()
    for chunk in _chunks(answer, where):
        found += chunk
        if len(found) > limit:
            raise ServiceError(
                f"an answer of {where} is larger than the limit of {limit} bytes",
                hint="is WANDB_BASE_URL the address of a W&B server?",
            )
    return bytes(found)


def _complaint(body: bytes) -> str:
    """W&B's own words, one line of them."""
    try:
        found = json.loads(body)["errors"][0]
        text = found["message"] if isinstance(found, dict) else str(found)
    except (ValueError, LookupError, TypeError, RecursionError):
        text = body[:200].decode("utf-8", "replace")
    line = " ".join(str(text).split())[:300]
    return f" ({line})" if line else ""
