"""One registry host: where it is, how a request reaches it, and what its answer means.

A request here is authorised, follows redirects to storage hosts without taking the login along,
and turns what may pass (5xx, 429, a cut connection) into Transient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urljoin, urlsplit

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import RegistryError
from launch_action.core.reference import DOCKER_HUB
from launch_action.oci.auth import Authority, Scopes
from launch_action.oci.docker_config import Credentials
from launch_action.oci.faults import error_codes, refusal, said
from launch_action.oci.network import is_loopback
from launch_action.oci.retry import TRANSIENT, Note, Patience, Transient, persist, retry_after
from launch_action.oci.transport import Answer, Meter, Transport

_HUB_ADDRESS = "https://registry-1.docker.io"
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
# What Docker Hub says when the hours' allowance is gone: waiting seconds does not help.
_ALLOWANCE = "pull rate limit"
# What ghcr.io says with 403 when too much came at once; it names no time to wait.
_SECONDARY = "secondary rate limit"
_SECONDARY_WAIT = 20.0  # seconds

# Pieces of more than half of it are refused with 416, bodies of a whole blob are not.
_PIECE_LIMITS: Mapping[str, int] = {"ghcr.io": 8 * 1024 * 1024}

Body = Callable[[], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `path` below the registry's address or an absolute URL of an upload session.

    `doing` is what errors say (`reading manifest 'v1' of ghcr.io/acme/train`); `accepted` the
    statuses that are an answer, every other one is an error. `body` is opened once per sending;
    its `length` is in bytes. `slow`: how many times longer than usual the answer may take.
    """

    method: str
    path: str
    doing: str
    scopes: Scopes
    accepted: frozenset[int]
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    length: int = 0
    slow: float = 1.0


class Host:
    """A registry host, shared by every repository of it and by threads."""

    def __init__(
        self,
        name: str,
        address: str,
        transport: Transport,
        credentials: Credentials,
        *,
        plain: bool,
        patience: Patience,
        note: Note,
        prefix: str = "",
    ) -> None:
        self.name = name
        # What stands before a repository's path here: a mirror's.
        self.prefix = prefix
        self.patience = patience
        self.note = note
        # The smallest body that was refused as too large; from there on bodies go in pieces.
        self.body_limit: int | None = None
        # The same for a piece of an upload, and whether there are any: else what broke off is lost.
        self.piece_limit = _PIECE_LIMITS.get(name)
        self.takes_pieces = True
        self._address = address
        self._transport = transport
        self._plain = plain
        self._answered = False
        self._authority = Authority(
            name, credentials, self._ask, transport.secrets, plain=plain or address[:5] == "http:"
        )

    def request(self, request: Request, meter: Meter) -> Answer:
        """Send until it is answered. Raises RegistryError for a refusal and when patience ends."""
        return persist(lambda _: self.once(request, meter), self.patience, self.note)

    def document(self, request: Request, meter: Meter) -> tuple[Answer, bytes]:
        """Like `request`, with the whole body; a body that breaks off is asked for again."""

        def attempt(_: int) -> tuple[Answer, bytes]:
            answer = self.once(request, meter)
            return answer, answer.read()

        return persist(attempt, self.patience, self.note)

    def once(self, request: Request, meter: Meter) -> Answer:
        """One attempt. Raises Transient for what may pass, RegistryError for what does not."""
        header = self._authority.header(request.scopes, meter)
        answer = self._send(request, header, meter)
        if answer.status == 401 and self._owns(answer.url):
            if self._authority.learn(answer.challenges, request.scopes, header, meter):
                answer.complaint()
                header = self._authority.header(request.scopes, meter)
                answer = self._send(request, header, meter)
        elif answer.status == 400 and answer.url.startswith("http:") and self._speaks_tls(meter):
            answer.complaint()
            answer = self._send(request, header, meter)
        return self._judge(request, answer)

    def resolve(self, location: str, asked: str) -> str:
        """A `Location` as a URL to send to, relative to the one that was asked.

        Raises RegistryError when it leads from https to http, and for what is no address. A
        registry behind a proxy that ends TLS may name itself with http: there its own address is
        used.
        """
        url = _joined(asked, location)
        mine, other = urlsplit(self._address), urlsplit(url)
        if other.scheme == "http" and mine.scheme == "https":
            if other.hostname != mine.hostname:
                raise self._misled(url)
            return other._replace(scheme="https", netloc=mine.netloc).geturl()
        if other.scheme not in ("http", "https") or not other.hostname:
            raise self._misled(url)
        return url

    def refusal(
        self,
        request: Request,
        status: int,
        body: bytes,
        headers: Mapping[str, str] | None = None,
    ) -> RegistryError:
        """The error that an answer of this status, body and header fields means."""
        return refusal(
            host=self.name,
            status=status,
            doing=request.doing,
            text=self._transport.secrets.clean(said(body)),
            login=self._authority.has_login,
            headers=headers,
        )

    def _judge(self, request: Request, answer: Answer) -> Answer:
        if answer.status in request.accepted:
            self._answered = True
            return answer
        body = answer.complaint()
        error = self.refusal(request, answer.status, body, answer.headers)
        lasting = self.name == DOCKER_HUB and _ALLOWANCE in error.message
        # A storage host's 400 or 403 is an address that has expired: the registry gives a new one.
        foreign = not self._owns(answer.url) and answer.status in (400, 401, 403)
        if not lasting and (answer.status in TRANSIENT or foreign or _unsettled(request, body)):
            raise Transient(error, after=retry_after(answer.headers.get("Retry-After")))
        if answer.status == 403 and _SECONDARY in error.message.lower():
            raise Transient(error, after=_SECONDARY_WAIT)
        raise error

    def _send(self, request: Request, header: str | None, meter: Meter) -> Answer:
        url = urljoin(self._address + "/", request.path.removeprefix("/"))
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._exchange(
                request.method,
                url,
                headers=self._headers(request, url, header),
                body=request.body() if request.body else None,
                slow=request.slow,
                meter=meter,
            )
            location = answer.headers.get("Location")
            if request.method not in ("GET", "HEAD") or not _redirected(answer) or not location:
                return answer
            answer.complaint()
            url = self.resolve(location, url)
        raise RegistryError(
            f"registry {self.name} redirects without end {request.doing}",
            hint="the registry's storage or proxy is not set up well; tell who runs it",
        )

    def _exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        meter: Meter,
        body: Iterable[bytes] | bytes | None = None,
        slow: float = 1.0,
    ) -> Answer:
        patience = self.patience
        return self._transport.exchange(
            method,
            url,
            headers=headers,
            body=body,
            connect=patience.connect,
            seconds=patience.answer * slow,
            meter=meter,
        )

    def _headers(self, request: Request, url: str, header: str | None) -> dict[str, str]:
        headers = dict(request.headers)
        if request.body is not None or request.method in ("POST", "PUT", "PATCH"):
            headers["Content-Length"] = str(request.length)
        if header and self._owns(url):
            headers["Authorization"] = header
        return headers

    def _owns(self, url: str) -> bool:
        return _origin(url) == _origin(self._address)

    def _speaks_tls(self, meter: Meter) -> bool:
        """Whether a host that was spoken to in plain http wants https; it is spoken so from now on.

        Several threads may find out at once.
        """
        if self._answered or self._address.startswith("https:"):
            return self._address.startswith("https:")
        url = f"{self._address}/v2/"
        answer = self._exchange("GET", url, headers={}, meter=meter)
        text = answer.complaint().lower()
        if answer.status == 400 and b"https" in text:
            self._address = url.removesuffix("/v2/").replace("http:", "https:", 1)
            return True
        return False

    def _ask(
        self, method: str, url: str, *, headers: dict[str, str], body: bytes | None, meter: Meter
    ) -> Answer:
        asked, answer = url, None
        for _ in range(_MOST_REDIRECTS + 1):
            sent = headers if _origin(url) == _origin(asked) else {}
            answer = self._exchange(method, url, headers=sent, body=body, meter=meter)
            location = answer.headers.get("Location")
            if method != "GET" or not _redirected(answer) or not location:
                return answer
            answer.complaint()
            url = self.resolve(location, url)
        raise self._misled(asked)

    def _misled(self, url: str) -> RegistryError:
        parts = urlsplit(url)
        return RegistryError(
            f"registry {self.name} leads to an address that is not safe: "
            f"{parts.scheme}://{parts.hostname or ''}",
            hint="the registry or a proxy before it names a wrong address; tell who runs it",
        )


def _unsettled(request: Request, body: bytes) -> bool:
    """Whether a manifest was refused for content that the registry took a moment ago.

    A registry may not see yet what another connection has just stored (distribution 2.8 answers so
    when two writers push the same content at once).
    """
    manifest = request.method == "PUT" and "/manifests/" in request.path
    return manifest and bool(error_codes(body) & {"MANIFEST_BLOB_UNKNOWN", "BLOB_UNKNOWN"})


def _redirected(answer: Answer) -> bool:
    return answer.status in _REDIRECTS


def _joined(base: str, location: str) -> str:
    """A URL relative to another, empty for what cannot be one (`http://[::1/`, a port `x`)."""
    try:
        url = urljoin(base, location)
        _origin(url)
    except ValueError:
        return ""
    return url


def _origin(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def address_of(registry: str, insecure: tuple[str, ...]) -> str:
    """The address of a registry host: https, but plain http for loopback and for `insecure`.

    >>> address_of("docker.io", ()), address_of("localhost:5000", ())
    ('https://registry-1.docker.io', 'http://localhost:5000')
    """
    if registry == DOCKER_HUB:
        return _HUB_ADDRESS
    bare = urlsplit(f"//{registry}").hostname or ""
    allowed = {name.strip().lower() for name in insecure}
    plain = is_loopback(bare) or bool({registry, bare} & allowed)
    return f"{'http' if plain else 'https'}://{registry}"
