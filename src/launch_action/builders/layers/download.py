"""Fetches locked wheels into the local cache, streamed and checked, from several threads.

Every file is kept by its SHA-256: what has another digest or size never gets there.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from launch_action.builders.layers.http_pool import make_pool, proxy_for
from launch_action.builders.layers.index_auth import Logins
from launch_action.builders.layers.lock import LockedWheel
from launch_action.cache import Cache
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import BuildError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

KIND = "wheels"

_CHUNK = 256 * 1024
_ATTEMPTS = 5
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 20.0
_TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})

Progress = Callable[[int], None]
T = TypeVar("T")


class OnlyUvCan(Exception):
    """An index asks for a login that only uv can give (a keyring, its own store)."""

    def __init__(self, wheel: LockedWheel, status: int) -> None:
        super().__init__(f"{urlsplit(wheel.url).hostname} answered {status} for {wheel.filename}")
        self.wheel = wheel
        self.status = status


class _TransientError(Exception):
    """A fault that may be gone the next time; `after` is what the server asks to wait, in s."""

    def __init__(self, what: str, after: float = 0.0) -> None:
        super().__init__(what)
        self.after = after


@dataclass(frozen=True, slots=True)
class Downloader:
    """Fetches wheels over HTTP(S) or from the build context; safe to use from many threads.

    `environment` gives proxies and certificates (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE,
    SSL_CERT_DIR, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE).
    """

    cache: Cache
    logins: Logins
    context: Context | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    connections: int = 8
    sleep: Callable[[float], None] = time.sleep
    _pools: dict[str, PoolManager] = field(default_factory=dict, repr=False)

    def fetch(self, wheel: LockedWheel, progress: Progress | None = None) -> Path:
        """The wheel's file in the cache, complete and checked.

        `progress` is called with each number of bytes received (negative when bytes are taken
        back). Raises BuildError, and OnlyUvCan for 401 and 403.
        """
        found = self.cache.find(KIND, wheel.sha256) if wheel.sha256 else None
        if found and not wheel.hashes:
            return found
        return self._store(wheel, progress or _ignore)[1]

    def complete(self, wheel: LockedWheel, progress: Progress | None = None) -> LockedWheel:
        """The wheel with its SHA-256; it is fetched only where the index tells no digest."""
        if wheel.sha256:
            return wheel
        digest, path = self._store(wheel, progress or _ignore)
        return replace(wheel, sha256=digest, size=path.stat().st_size)

    def size(self, wheel: LockedWheel) -> int | None:
        """The size in bytes: from the lock, the cache, the context, or by a HEAD request."""
        if wheel.size is not None:
            return wheel.size
        found = self.cache.find(KIND, wheel.sha256) if wheel.sha256 else None
        if found:
            return found.stat().st_size
        if wheel.path:
            files = self.context.files if self.context else ()
            return next((one.size for one in files if one.path == wheel.path), None)
        answer = self._retry(wheel, lambda: self._request("HEAD", wheel, 0))
        answer.drain_conn()
        length = answer.headers.get("Content-Length", "")
        return int(length) if length.isdigit() else None

    def close(self) -> None:
        """Close every idle connection."""
        for pool in self._pools.values():
            pool.clear()

    def _store(self, wheel: LockedWheel, progress: Progress) -> tuple[str, Path]:
        with self.cache.partial(KIND) as path:
            with _Sink(path, wheel, progress) as sink:
                if wheel.path:
                    for chunk in self._local(wheel):
                        sink.write(chunk)
                elif wheel.url:
                    self._retry(wheel, lambda: self._receive(wheel, sink))
                else:
                    raise BuildError(f"{wheel.filename} left the cache", hint="run it again")
                digest = sink.check()
            with self.cache.write(KIND, digest) as named:
                path.replace(named)
        place = self.cache.find(KIND, digest)
        if place is None:
            raise BuildError(f"{wheel.filename} vanished from the cache", hint="run it again")
        return digest, place

    def _local(self, wheel: LockedWheel) -> Iterator[bytes]:
        files = self.context.files if self.context else ()
        found = next((one for one in files if one.path == wheel.path), None)
        if found is None or self.context is None:
            raise BuildError(
                f"no such wheel in the build context: {wheel.path!r}", hint="commit the wheel"
            )
        for _, chunks in self.context.contents([found]):
            yield from chunks

    def _receive(self, wheel: LockedWheel, sink: _Sink) -> None:
        """Append what is missing of the wheel; a server without ranges sends all of it again."""
        from urllib3.exceptions import HTTPError

        answer = self._request("GET", wheel, sink.count)
        try:
            if answer.status == 200:
                sink.restart()
            for chunk in answer.stream(_CHUNK, decode_content=False):
                sink.write(chunk)
        except HTTPError as error:
            answer.close()
            raise _TransientError(_cause(error)) from error
        answer.release_conn()

    def _request(self, method: str, wheel: LockedWheel, start: int) -> BaseHTTPResponse:
        from urllib3 import Retry
        from urllib3.exceptions import HTTPError, SSLError

        headers = {"Accept-Encoding": "identity"}
        login = self.logins.header(wheel.url)
        headers |= {"Authorization": login} if login else {}
        headers |= {"Range": f"bytes={start}-"} if start else {}
        # Redirects only; the login is not sent on to another host. Faults are retried by us.
        retries = Retry(
            total=5, connect=0, read=0, other=0, redirect=5, respect_retry_after_header=False
        )
        try:
            answer = self._pool(wheel.url).request(
                method, wheel.url, headers=headers, preload_content=False, retries=retries
            )
        except HTTPError as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(reason):
                raise _unreachable(wheel, _cause(error)) from None
            raise _TransientError(_cause(error)) from error
        if answer.status in (200, 206):
            return answer
        answer.drain_conn()
        if answer.status == 416 and start:
            raise _TransientError("HTTP status 416")
        raise _refused(wheel, answer.status, answer.headers.get("Retry-After", ""))

    def _retry(self, wheel: LockedWheel, action: Callable[[], T]) -> T:
        """Do it until it succeeds, with growing pauses. Raises BuildError after five attempts."""
        for attempt in range(_ATTEMPTS):
            try:
                return action()
            except _TransientError as fault:
                if attempt + 1 == _ATTEMPTS:
                    raise _unreachable(wheel, str(fault)) from fault
                pause = min(_FIRST_DELAY * 2**attempt, _LONGEST_DELAY)
                # Jitter, so that many jobs that met one fault do not come back together.
                jittered = pause * (0.5 + random.random())  # noqa: S311
                self.sleep(min(max(jittered, fault.after), _LONGEST_DELAY))
        raise AssertionError("unreachable")

    def _pool(self, url: str) -> PoolManager:
        proxy = proxy_for(url, self.environment)
        if proxy not in self._pools:
            # Two threads may make one each; setdefault lets one of them win.
            self._pools.setdefault(proxy, make_pool(proxy, self.environment, self.connections))
        return self._pools[proxy]


class _Sink:
    """A file being received, hashed as it grows."""

    def __init__(self, path: Path, wheel: LockedWheel, progress: Progress) -> None:
        self.wheel = wheel
        self.count = 0
        self._progress = progress
        self._file = path.open("wb")
        self._digests = self._fresh()

    def _fresh(self) -> dict[str, hashlib._Hash]:
        names = {"sha256", *(one.partition(":")[0] for one in self.wheel.hashes)}
        return {name: hashlib.new(name) for name in names}

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)
        for digest in self._digests.values():
            digest.update(chunk)
        self.count += len(chunk)
        self._progress(len(chunk))
        if self.wheel.size is not None and self.count > self.wheel.size:
            raise self._wrong(f"more than its {self.wheel.size} bytes arrived")

    def restart(self) -> None:
        """Forget what has arrived."""
        if self.count:
            self._progress(-self.count)
        self.count = 0
        self._file.seek(0)
        self._file.truncate()
        self._digests = self._fresh()

    def check(self) -> str:
        """The SHA-256 of what arrived. Raises BuildError when it is not what was locked."""
        wheel, found = self.wheel, self._digests["sha256"].hexdigest()
        if wheel.size is not None and self.count != wheel.size:
            raise self._wrong(f"{self.count} bytes arrived instead of {wheel.size}")
        if wheel.sha256 and found != wheel.sha256:
            raise self._wrong(f"sha256:{found} arrived instead of sha256:{wheel.sha256}")
        others = {f"{name}:{digest.hexdigest()}" for name, digest in self._digests.items()}
        if wheel.hashes and not others & set(wheel.hashes):
            raise self._wrong(f"none of its hashes holds: {', '.join(wheel.hashes)}")
        return found

    def _wrong(self, what: str) -> BuildError:
        return BuildError(
            f"{self.wheel.filename} is not the file that was locked: {what}",
            hint="the index or a proxy sends another file; run it again, then look at the index",
        )

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _refused(wheel: LockedWheel, status: int, after: str) -> Exception:
    if status in _TRANSIENT:
        return _TransientError(f"HTTP status {status}", float(after) if after.isdigit() else 0.0)
    if status in (401, 403):
        return OnlyUvCan(wheel, status)
    return BuildError(
        f"cannot fetch {wheel.filename}: {wheel.url} answered with HTTP status {status}",
        hint="the index no longer has the file that was locked; lock again",
    )


def _unreachable(wheel: LockedWheel, cause: str) -> BuildError:
    return BuildError(
        f"cannot fetch {wheel.filename} from {urlsplit(wheel.url).netloc}: {cause}",
        hint="check the network, the proxy variables and the certificates, then run it again",
    )


def _cause(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    text = str(reason).splitlines()[0] if str(reason) else type(reason).__name__
    # urllib3 puts its own object's representation before the words.
    return text.rpartition(">: ")[2] or text


def _ignore(_: int) -> None:
    return
