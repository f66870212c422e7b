"""The HTTP side of the server: keys, files, faults, and GraphQL's errors as W&B gives them."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLSyntaxError
from support.wandb_api.faults import Fault
from support.wandb_api.graphql import Refused, Request

if TYPE_CHECKING:
    from support.wandb_api.server import WandbServer


# The server answers below this path as well, as one behind a team's own proxy does.
BELOW = "/wandb-at-work"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request that was made: a GraphQL operation, or `METHOD /path`."""

    name: str
    variables: Mapping[str, Any]


class Http(ThreadingHTTPServer):
    wandb: WandbServer
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def wandb(self) -> WandbServer:
        return cast(Http, self.server).wandb

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
        if self.wandb.stopped:  # of a connection that was open before
            self._break_off()
            return
        path = self.path.partition("?")[0].removeprefix(BELOW)
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
            fault.over.wait(fault.wait)
            if fault.status == 200:
                method(path, request, body)
                return
            if fault.after:
                self.wfile, kept = io.BytesIO(), self.wfile
                method(path, request, body)
                self.wfile = kept
            self._fail(fault)
            return
        method(path, request, body)

    def _fail(self, fault: Fault) -> None:
        if fault.status == 0:
            self._break_off()
            return
        body = json.dumps({"errors": [{"message": fault.words}], "data": None}).encode()
        self._send(fault.status, body, fault.headers)

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(2)

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
                found = self.wandb.stream(entity, project, name, json.loads(body))
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
        try:
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):  # a program that ends waits for no answer
            self.close_connection = True
