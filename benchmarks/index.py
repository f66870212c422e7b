"""A package index on this machine that counts what it gives; a program of its own.

`index.py FOLDER LOG` serves the wheels in FOLDER as the simple API's JSON (PEP 691) with their
metadata beside them (PEP 658), prints its port, and writes the size of each answer to LOG.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_SIMPLE = "application/vnd.pypi.simple.v1+json"
_UPLOADED = "2025-01-01T00:00:00Z"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path
    log: Path

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def log_message(self, *_: object) -> None:
        return

    def _answer(self, *, body: bool) -> None:
        parts = self.path.strip("/").split("/")
        if parts[0] == "simple":
            data = json.dumps(_page(self.folder, parts[-1])).encode()
            self._begin(len(data), _SIMPLE)
            if body:
                self.wfile.write(data)
            return
        name = parts[-1]
        if name.endswith(".metadata"):
            data = _metadata(self.folder / name.removesuffix(".metadata"))
            self._begin(len(data), "text/plain")
            if body:
                self.wfile.write(data)
            return
        size = (self.folder / name).stat().st_size
        self._begin(size, "application/zip")
        if body:
            with (self.folder / name).open("rb") as file:
                shutil.copyfileobj(file, self.wfile, 1 << 20)

    def _begin(self, size: int, kind: str) -> None:
        if self.command == "GET":
            with self.log.open("a") as log:
                log.write(f"{size}\n")
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(size))
        self.end_headers()


def _page(folder: Path, name: str) -> dict[str, object]:
    wheels = [path for path in folder.glob("*.whl") if path.name.startswith(f"{name}-")]
    files = [
        {
            "filename": wheel.name,
            "url": f"/files/{wheel.name}",
            "hashes": {"sha256": wheel.with_suffix(".sha256").read_text()},
            "core-metadata": {"sha256": hashlib.sha256(_metadata(wheel)).hexdigest()},
            "upload-time": _UPLOADED,
            "size": wheel.stat().st_size,
        }
        for wheel in wheels
    ]
    versions = [wheel.name.split("-")[1] for wheel in wheels]
    return {"meta": {"api-version": "1.1"}, "name": name, "versions": versions, "files": files}


def _metadata(wheel: Path) -> bytes:
    name, version, *_ = wheel.name.split("-")
    with zipfile.ZipFile(wheel) as opened:
        return opened.read(f"{name}-{version}.dist-info/METADATA")


if __name__ == "__main__":
    _Handler.folder, _Handler.log = Path(sys.argv[1]), Path(sys.argv[2])
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_address[1], flush=True)
    server.serve_forever()
