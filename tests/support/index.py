"""A package index on loopback (PEP 503, 691, 700, 658) with wheels made here, and faults."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from support.loopback import serving

UPLOADED = "2020-01-01T00:00:00.000000Z"
_DATE = (1980, 1, 1, 0, 0, 0)


def make_wheel(
    name: str,
    version: str,
    *,
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
    extras: Mapping[str, Sequence[str]] | None = None,
    requires_python: str = "",
    files: Mapping[str, bytes] | None = None,
    scripts: Mapping[str, str] | None = None,
) -> tuple[str, bytes]:
    """A wheel's file name and bytes: one module named like the package unless `files` is given."""
    stem = f"{name.replace('-', '_')}-{version}"
    module = name.replace("-", "_")
    content = dict(files or {f"{module}/__init__.py": f"VERSION = {version!r}\n".encode()})
    content[f"{stem}.dist-info/METADATA"] = _metadata(
        name, version, requires, extras or {}, requires_python
    )
    content[f"{stem}.dist-info/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: made\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()
    )
    if scripts:
        lines = "".join(f"{key} = {value}\n" for key, value in scripts.items())
        content[f"{stem}.dist-info/entry_points.txt"] = f"[console_scripts]\n{lines}".encode()
    record = f"{stem}.dist-info/RECORD"
    lines = "".join(
        f"{path},sha256={_urlsafe(data)},{len(data)}\n" for path, data in content.items()
    )
    content[record] = f"{lines}{record},,\n".encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in content.items():
            archive.writestr(zipfile.ZipInfo(path, _DATE), data, zipfile.ZIP_DEFLATED)
    return f"{stem}-{tag}.whl", out.getvalue()


def make_sdist(name: str, version: str, files: Mapping[str, str]) -> tuple[str, bytes]:
    """A source distribution's file name and bytes."""
    stem = f"{name}-{version}"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in _with_metadata(name, version, files).items():
            info = tarfile.TarInfo(f"{stem}/{path}")
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return f"{stem}.tar.gz", out.getvalue()


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived: its path, and two of its headers or empty strings."""

    method: str
    path: str
    authorization: str
    range: str = ""


@dataclass(slots=True)
class Index:
    """The files of an index by project, and how it misbehaves.

    `faults` maps the beginning of a path to what its next requests get, one each: an HTTP status,
    "cut" (half of the body, then the connection is closed) or "wrong" (other bytes of that length).
    """

    port: int
    upload_times: bool = True
    html: bool = False
    hashes: bool = True
    login: tuple[str, str] | None = None
    sizes: bool = True
    ranges: bool = True
    retry_after: str = ""
    redirects: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, tuple[bytes, str]]] = field(default_factory=dict)
    faults: dict[str, list[int | str]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/simple/"

    def url_with(self, user: str, password: str) -> str:
        """The index's URL with credentials in it."""
        return f"http://{user}:{password}@127.0.0.1:{self.port}/simple/"

    def add(self, file: tuple[str, bytes], *, uploaded: str = UPLOADED) -> str:
        """Serve a wheel or sdist; returns its URL."""
        name, data = file
        project = name.split("-")[0].replace("_", "-").lower()
        self.files.setdefault(project, {})[name] = (data, uploaded)
        return f"{self.root}/files/{project}/{name}"


@contextmanager
def serve_index(**settings: object) -> Iterator[Index]:
    """An index on a free loopback port, gone when the block ends."""
    index = Index(0, **settings)  # type: ignore[arg-type]
    with serving(_handler(index)) as address:
        index.port = int(address.partition(":")[2])
        yield index


def _handler(index: Index) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(body=True)

        def do_HEAD(self) -> None:
            self._answer(body=False)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

        def _answer(self, *, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            given = self.headers.get("Authorization", "")
            start = self.headers.get("Range", "")
            index.seen.append(Seen(self.command, path, given, start))
            fault = _next_fault(index, path)
            if isinstance(fault, int):
                return self._send(fault, b"made to fail", "text/plain", body=body)
            if index.login and given != _basic(index.login):
                return self._send(401, b"log in", "text/plain", body=body)
            if path in index.redirects:
                return self._send(302, b"", index.redirects[path], body=body)
            found = _content(index, path)
            if found is None:
                return self._send(404, b"no such page", "text/plain", body=body)
            data, kind = found
            if fault == "wrong":
                data = b"?" * len(data)
            if start and index.ranges:
                data = data[int(start.removeprefix("bytes=").split("-")[0]) :]
                return self._send(206, data, kind, body=body, cut=fault == "cut")
            return self._send(200, data, kind, body=body, cut=fault == "cut")

        def _send(
            self, status: int, data: bytes, kind: str, *, body: bool, cut: bool = False
        ) -> None:
            self.send_response(status)
            self.send_header("Location" if status == 302 else "Content-Type", kind)
            if index.retry_after and status == 429:
                self.send_header("Retry-After", index.retry_after)
            self.send_header("Content-Length", str(len(data)))
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
            self.end_headers()
            if body:
                self.wfile.write(data[: len(data) // 2] if cut else data)
            if cut:
                self.close_connection = True

    return Handler


def _next_fault(index: Index, path: str) -> int | str | None:
    for start, planned in index.faults.items():
        if path.startswith(start) and planned:
            return planned.pop(0)
    return None


def _content(index: Index, path: str) -> tuple[bytes, str] | None:
    match path.strip("/").split("/"):
        case ["simple", project] if project in index.files:
            return (_html if index.html else _json)(index, project)
        case ["files", project, name]:
            return _file(index.files.get(project, {}), name)
    return None


def _file(files: dict[str, tuple[bytes, str]], name: str) -> tuple[bytes, str] | None:
    if name in files:
        return files[name][0], "application/octet-stream"
    wheel = name.removesuffix(".metadata")
    if wheel != name and wheel.endswith(".whl") and wheel in files:
        return _wheel_metadata(files[wheel][0]), "text/plain"
    return None


def _json(index: Index, project: str) -> tuple[bytes, str]:
    def entry(name: str, data: bytes, uploaded: str) -> dict[str, object]:
        found: dict[str, object] = {
            "filename": name,
            "url": f"{index.root}/files/{project}/{name}",
            "hashes": {"sha256": hashlib.sha256(data).hexdigest()} if index.hashes else {},
        }
        if name.endswith(".whl"):
            metadata = _wheel_metadata(data)
            found["core-metadata"] = {"sha256": hashlib.sha256(metadata).hexdigest()}
            needs = _header(metadata, "Requires-Python: ")
            found |= {"requires-python": needs} if needs else {}
        if index.sizes:
            found["size"] = len(data)
        if index.upload_times:
            found["upload-time"] = uploaded
        return found

    files = [entry(name, *rest) for name, rest in index.files[project].items()]
    document = {"meta": {"api-version": "1.1"}, "name": project, "versions": [], "files": files}
    return json.dumps(document).encode(), "application/vnd.pypi.simple.v1+json"


def _html(index: Index, project: str) -> tuple[bytes, str]:
    def link(name: str, data: bytes) -> str:
        digest = f"#sha256={hashlib.sha256(data).hexdigest()}" if index.hashes else ""
        return f'<a href="../../files/{project}/{name}{digest}">{name}</a>\n'

    lines = "".join(link(name, data) for name, (data, _) in index.files[project].items())
    return f"<!DOCTYPE html><html><body>\n{lines}</body></html>".encode(), "text/html"


def _wheel_metadata(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return next(
            archive.read(name)
            for name in archive.namelist()
            if name.endswith(".dist-info/METADATA")
        )


def _metadata(
    name: str,
    version: str,
    requires: Sequence[str],
    extras: Mapping[str, Sequence[str]],
    requires_python: str,
) -> bytes:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Python: {requires_python}"] if requires_python else []
    lines += [f"Requires-Dist: {one}" for one in requires]
    for extra, wanted in extras.items():
        lines.append(f"Provides-Extra: {extra}")
        lines += [f'Requires-Dist: {one}; extra == "{extra}"' for one in wanted]
    return ("\n".join(lines) + "\n").encode()


def _with_metadata(name: str, version: str, files: Mapping[str, str]) -> dict[str, str]:
    return {"PKG-INFO": _metadata(name, version, (), {}, "").decode()} | dict(files)


def _header(metadata: bytes, start: str) -> str:
    lines = metadata.decode().splitlines()
    return next((line.removeprefix(start) for line in lines if line.startswith(start)), "")


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
