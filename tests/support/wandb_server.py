"""A server that takes an online run of the W&B SDK 0.31 and keeps nothing of it.

As much of the GraphQL interface as `wandb.init`, `log`, `log_code` and `finish` speak.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0123456789" * 4
_OPERATION = re.compile(r"(?:query|mutation)\s+(\w+)")
_PROJECT = {"id": "P", "internalId": "UHJvamVjdDox", "name": "demo"} | {
    "entity": {"id": "E", "name": "acme"}
}
_BUCKET = {
    "id": "UnVuOjE=", "displayName": "x", "description": None, "config": "{}", "sweepName": None,
    "historyLineCount": 0, "project": _PROJECT,
}  # fmt: skip
_USER = {"id": "1", "entity": "acme", "username": "acme", "flags": "{}", "teams": {"edges": []}}


@contextmanager
def serve_wandb() -> Iterator[dict[str, str]]:
    """The environment of a run that speaks to a server on loopback, gone when the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield {"WANDB_MODE": "online", "WANDB_BASE_URL": _url(server), "WANDB_API_KEY": KEY}
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _url(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: ThreadingHTTPServer

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._answer({})

    def do_PUT(self) -> None:
        self._body()
        self._answer({})

    def do_POST(self) -> None:
        body = self._body()
        if self.path != "/graphql":
            self._answer({})
            return
        asked = json.loads(body)
        operation = _OPERATION.search(asked["query"])
        name = operation[1] if operation else ""
        self._answer({"data": _data(name, asked.get("variables") or {}, _url(self.server))})

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _answer(self, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _data(operation: str, variables: dict[str, Any], url: str) -> dict[str, Any]:
    """What is answered to one operation."""
    upload = {"uploadUrl": f"{url}/upload", "uploadHeaders": []}
    artifact = {"id": "QXJ0OjE="}
    manifest = {"id": "M", "file": {"id": "F", "name": "m", "displayName": "m", **upload}}
    match operation:
        case "UpsertBucket":
            bucket = _BUCKET | {"name": variables["name"]}
            return {"upsertBucket": {"bucket": bucket, "inserted": True}}
        case "Viewer":
            return {"viewer": _USER}
        case "ArtifactType":
            return {"project": {"artifact": None}}
        case "CreateArtifact":
            sequence = {"id": "S", "latestArtifact": None}
            made = artifact | {"state": "PENDING", "artifactSequence": sequence}
            return {"createArtifact": {"artifact": made}}
        case "CreateArtifactManifest" | "UpdateArtifactManifest":
            return {operation[0].lower() + operation[1:]: {"artifactManifest": manifest}}
        case "CreateArtifactFiles":
            more = {"storagePath": "p", "uploadMultipartUrls": None, "artifact": artifact}
            nodes = [
                {"node": {"id": "F", "name": n, "displayName": n, **upload, **more}}
                for n in (one["name"] for one in variables["input"]["artifactFiles"])
            ]
            return {"createArtifactFiles": {"files": {"edges": nodes}}}
        case "CommitArtifact":
            return {"commitArtifact": {"artifact": artifact | {"digest": "x"}}}
        case "CreateRunFiles":
            files = [{"name": name, **upload} for name in variables["files"]]
            return {"createRunFiles": {"runID": "UnVuOjE=", "uploadHeaders": [], "files": files}}
        case "ServerFeaturesQuery":
            return {"serverInfo": {"features": []}}
        case _:
            return {}
