"""The server itself: HTTP on loopback, keys, files, faults.

with serve(directory) as server:
    subprocess.run([...], env=os.environ | server.environment)
    server.versions("acme/demo/name")
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from graphql import GraphQLSyntaxError
from support.wandb_api.artifacts import Artifacts
from support.wandb_api.faults import Fault
from support.wandb_api.graphql import Refused, Request, answer
from support.wandb_api.people import People
from support.wandb_api.recording import Recording
from support.wandb_api.runs import Runs
from support.wandb_api.state import Row, State

KEY = "0123456789" * 4
TEAM, USER, CLOSED = "acme", "me", "other"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was made: a GraphQL operation, or `METHOD /path`."""

    name: str
    variables: Mapping[str, Any]


@dataclass(slots=True)
class WandbServer:
    """A running server. It may be stopped and started again, on the same port with its state."""

    directory: Path
    key: str = KEY
    state: State = field(init=False)
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _port: int = 0
    _http: ThreadingHTTPServer | None = None
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        teams = {TEAM: True, USER: False, CLOSED: True}
        self.state = State.open(self.directory, USER, teams, (CLOSED,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the SDK and W&B's programs speak to this server."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.key, "WANDB_MODE": "online"}

    def start(self) -> None:
        http = _Http(("127.0.0.1", self._port), _Handler)
        http.wandb = self
        self._http, self._port = http, http.server_address[1]
        self._thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more; the port stays known for another start."""
        if self._http and self._thread:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
        self._http = None

    def fail(self, match: str, status: int = 500, **how: Any) -> Fault:
        """Have the requests that match fail, from now on: see Fault."""
        self.faults.append(Fault(match, status, **how))
        return self.faults[-1]

    def mend(self) -> None:
        """Have nothing fail any more."""
        self.faults.clear()

    @property
    def operations(self) -> list[str]:
        """The names of what was asked, in order."""
        return [one.name for one in self.asked]

    # What a test looks at.

    def collections(self, project: str, kind: str = "job") -> list[str]:
        """The names of a project's artifacts of a type: `entity/project`."""
        entity, _, name = project.partition("/")
        where = {"entity": entity, "project": name, "type": kind}
        with self.lock:
            return [row["name"] for row in self.state.all("collections", **where)]

    def versions(self, name: str) -> list[Row]:
        """Every recording of an artifact, pending ones too: `entity/project/name`."""
        with self.lock:
            return self.state.all("artifacts", collection=self._collection(name)["id"])

    def aliases(self, name: str) -> dict[str, str]:
        """The version `vN` of each alias of an artifact."""
        with self.lock:
            versions = self.state.tables["artifacts"]
            held = self._collection(name)["aliases"]
            return {alias: f"v{versions[one]['versionIndex']}" for alias, one in held.items()}

    def files(self, name: str) -> dict[str, bytes]:
        """The files of a version, by path: `entity/project/name:alias`."""
        path, _, alias = name.partition(":")
        with self.lock:
            artifacts = Artifacts(self.state, self.url)
            row = artifacts.at(self._collection(path), alias or "latest")
            assert row, name
            entries = artifacts.contents(row)
            return {p: self.state.blob(one["digest"]).read_bytes() for p, one in entries.items()}

    def runs(self, project: str) -> list[Row]:
        """The runs of a project, those of the SDK's own that it deletes not any more."""
        entity, _, name = project.partition("/")
        with self.lock:
            return self.state.all("runs", entity=entity, project=name)

    def _collection(self, name: str) -> Row:
        entity, project, collection = name.split("/")
        found = self.state.find("collections", entity=entity, project=project, name=collection)
        assert found, f"no artifact {name}"
        return found

    # What a request is answered.

    def root(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields of queries, and of mutations."""
        artifacts = Artifacts(self.state, self.url)
        runs = Runs(self.state, artifacts, self.url)
        reading = (artifacts, runs, People(self.state))
        writing = (Recording(self.state, artifacts, self.url), runs)
        queries = {name: field for part in reading for name, field in part.queries().items()}
        return queries, {
            name: field for part in writing for name, field in part.mutations().items()
        }

    def graphql(self, request: Request) -> dict[str, Any]:
        queries, mutations = self.root()
        with self.lock:
            if request.kind == "query":
                return answer(request, queries)
            before = json.dumps(self.state.tables)
            try:
                found = answer(request, mutations)
            except Refused:
                self.state.tables = json.loads(before)
                raise
            self.state.save()
            return found


@contextmanager
def serve(directory: Path, key: str = KEY) -> Iterator[WandbServer]:
    """A server whose state is in a directory, gone when the block ends.

    It knows the user `me`, the team `acme`, and the team `other`, which the user may not see.
    """
    server = WandbServer(directory, key)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert not server.broken, server.broken


class _Http(ThreadingHTTPServer):
    wandb: WandbServer
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def wandb(self) -> WandbServer:
        return cast(_Http, self.server).wandb

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve(self._get)

    def do_HEAD(self) -> None:
        self._serve(self._get)

    def do_PUT(self) -> None:
        self._serve(self._put)

    def do_POST(self) -> None:
        self._serve(self._post)

    def _serve(self, method: Any) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        try:
            request = Request.read(json.loads(body)) if path == "/graphql" else None
        except GraphQLSyntaxError as error:
            self._refuse(Refused(str(error)))
            return
        name = request.operation if request else f"{self.command} {path}"
        server = self.wandb
        with server.lock:
            server.asked.append(Asked(name, request.variables if request else {}))
            fault = next((one for one in server.faults if one.takes(name)), None)
        if fault:
            time.sleep(fault.wait)
            if fault.after:
                self.wfile, kept = io.BytesIO(), self.wfile
                method(path, request, body)
                self.wfile = kept
            self._fail(fault)
            return
        method(path, request, body)

    def _fail(self, fault: Fault) -> None:
        if fault.status == 0:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        body = json.dumps({"errors": [{"message": fault.message}], "data": None}).encode()
        self._send(fault.status, body, fault.headers)

    def _post(self, path: str, request: Request | None, body: bytes) -> None:
        if path.startswith("/sdk/otel/"):  # the SDK's own telemetry
            self._json({})
            return
        if not self._allowed():
            self._send(401, b'{"errors":[{"message":"user is not logged in"}]}')
            return
        try:
            if request:
                self._json({"data": self.wandb.graphql(request)})
            elif path.endswith("/file_stream"):
                _, _, entity, project, name, _ = path.split("/")
                with self.wandb.lock:
                    artifacts = Artifacts(self.wandb.state, self.wandb.url)
                    runs = Runs(self.wandb.state, artifacts, self.wandb.url)
                    found = runs.stream(entity, project, name, json.loads(body))
                    self.wandb.state.save()
                self._json(found)
            else:
                self._send(404, b"{}")
        except Refused as refused:
            self._refuse(refused, request)
        except Exception as error:
            self.wandb.broken.append(f"{path} {request.operation if request else ''}: {error!r}")
            self._refuse(Refused(f"defect of the tests' server: {error!r}"))

    def _put(self, path: str, _: Request | None, body: bytes) -> None:
        number = path.rpartition("/")[2]
        with self.wandb.lock:
            state = self.wandb.state
            row = state.find("uploads", number=int(number)) if number.isdigit() else None
            if row is None:
                self._send(404, b"")
                return
            kept = state.keep(body)
            if row["md5"] and kept != row["md5"]:
                self._send(400, b"BadDigest")
                return
            if row["manifest"]:
                state.row("manifests", row["manifest"])["blob"] = kept
            if row.get("run"):
                state.row("runs", row["run"])["files"][row["name"]] = kept
            state.save()
        self._send(200, b"")

    def _get(self, path: str, _: Request | None, __: bytes) -> None:
        # An address of a file is signed, in W&B: whoever has it needs no key.
        name = path.split("/")[-1] if path.startswith("/storage/") else ""
        if path.startswith("/artifactsV2/"):
            name = path.split("/")[-2] if self._allowed() else ""
        file = self.wandb.state.directory / "files" / name
        if name and file.is_file():
            self._send(200, file.read_bytes())
        else:
            self._send(404, b"")

    def _allowed(self) -> bool:
        wanted = base64.b64encode(f"api:{self.wandb.key}".encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        return gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body

    def _refuse(self, refused: Refused, request: Request | None = None) -> None:
        error: dict[str, Any] = {"message": refused.message}
        if refused.code:
            error["extensions"] = {"code": refused.code}
        data = None
        if request and request.kind == "mutation":
            error["path"] = request.fields
            data = dict.fromkeys(request.fields)
        self._send(refused.status, json.dumps({"errors": [error], "data": data}).encode())

    def _json(self, document: dict[str, Any]) -> None:
        self._send(200, json.dumps(document).encode())

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
