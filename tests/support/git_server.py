"""Git repositories over smart HTTP on loopback, by git's own `http-backend`, and with a login."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit


@dataclass(slots=True)
class GitServer:
    """Repositories below `root`; `seen` has the Authorization header of each request."""

    root: Path
    port: int = 0
    login: tuple[str, str] | None = None
    seen: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}.git"

    def url_with(self, name: str, user: str, password: str) -> str:
        return self.url(name).replace("//", f"//{user}:{password}@")

    def commit(self, name: str, files: Mapping[str, str], *, tag: str = "") -> str:
        """Commit files to branch `main` of a repository, made where it is not there; the commit."""
        work = self.root / f"{name}.git"
        if not work.exists():
            work.mkdir(parents=True)
            git(work, "init", "--quiet", "--initial-branch", "main", ".")
        for path, text in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text)
        git(work, "add", "--all")
        git(work, "commit", "--quiet", "--message", "a commit")
        if tag:
            git(work, "tag", "--annotate", "--message", tag, tag)
        return git(work, "rev-parse", "HEAD")


def git(where: Path, *arguments: str) -> str:
    names = ("-c", "user.name=a", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *names, *arguments], cwd=where, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@contextmanager
def serve_git(root: Path, *, login: tuple[str, str] | None = None) -> Iterator[GitServer]:
    """A server on a free loopback port, gone when the block ends."""
    found = GitServer(root, login=login)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    server.daemon_threads = True
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(served: GitServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self._body())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))

        def _answer(self, body: bytes) -> None:
            given = self.headers.get("Authorization", "")
            served.seen.append(given)
            if served.login and given != _basic(served.login):
                return self._send(401, b"log in", {"WWW-Authenticate": 'Basic realm="git"'})
            status, headers, out = _backend(served, self, body)
            return self._send(status, out, headers)

        def _send(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler


def _backend(
    served: GitServer, request: BaseHTTPRequestHandler, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Ask `git http-backend`, a CGI program (RFC 3875)."""
    parts = urlsplit(request.path)
    # A work tree's own repository is in its `.git`.
    name, _, rest = parts.path.strip("/").partition("/")
    variables = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(served.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "uploadpack.allowFilter",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_KEY_1": "uploadpack.allowAnySHA1InWant",
        "GIT_CONFIG_VALUE_1": "true",
        "PATH_INFO": f"/{name}/.git/{rest}",
        "QUERY_STRING": parts.query,
        "REQUEST_METHOD": request.command,
        "CONTENT_TYPE": request.headers.get("Content-Type", ""),
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
        "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
    }
    done = subprocess.run(
        ["git", "http-backend"], input=body, env=variables, capture_output=True, check=False
    )
    head, _, out = done.stdout.partition(b"\r\n\r\n")
    lines = (line.partition(": ") for line in head.decode().splitlines())
    headers = {name: value for name, _, value in lines}
    status = int(headers.pop("Status", "200").split()[0])
    return status, headers, out


def _basic(login: tuple[str, str]) -> str:
    return "Basic " + base64.b64encode(":".join(login).encode()).decode()
