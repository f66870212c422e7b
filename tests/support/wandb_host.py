"""Hosts on loopback that answer what a test says, as a W&B server or as another's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from support.loopback import serving


@dataclass
class Host:
    """A host that answers what a test says, and keeps what it was asked with which login.

    `passes` are what the requests had for a proxy, each in `X-Pass`.
    """

    port: int
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    passes: list[str] = field(default_factory=list)

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def says(
        self, path: str, body: bytes = b"", status: int = 200, headers: Mapping[str, str] = {}
    ) -> str:
        self.answers[path] = (status, dict(headers), body)
        return self.url(path)

    def moves(self, path: str, to: str, status: int = 302) -> str:
        return self.says(path, status=status, headers={"Location": to})


@contextmanager
def host() -> Iterator[Host]:
    found = Host(0)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found.asked.append((self.path, self.headers.get("Authorization", "")))
            found.passes.append(self.headers.get("X-Pass", ""))
            status, headers, body = found.answers.get(self.path, (404, {}, b""))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        found.port = int(address.partition(":")[2])
        yield found
