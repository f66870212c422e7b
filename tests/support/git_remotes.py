"""Real git servers on loopback: git's own HTTP back end, with or without a login, and sshd."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from urllib.parse import unquote, urlsplit

from support.loopback import serving
from support.repositories import Work, make_repository

USERNAME = "robot"
PASSWORD = "p@ss:w/rd-4711"
ACCOUNT = (USERNAME, PASSWORD)
_BACKEND = "/usr/lib/git-core/git-http-backend"


@dataclass
class GitServer:
    """Serves the repositories below `root`. `asked` are the requests, method and path."""

    root: Path
    port: int
    asked: list[str] = field(default_factory=list)
    sent: int = 0

    def url(self, path: str, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.port}/{path}"

    def commit(self, name: str, files: Mapping[str, str], *, tag: str = "") -> str:
        """Commit files to branch `main` of a repository, made where it is not there; the commit."""
        work = Work(self.root / name)
        if not work.path.exists():
            make_repository(work.path, remote=None)
            for ability in ("allowFilter", "allowAnySHA1InWant"):
                work.git("config", f"uploadpack.{ability}", "true")
        commit = work.commit(files)
        if tag:
            work.git("tag", "--annotate", "--message", tag, tag)
        return commit


class _Handler(SimpleHTTPRequestHandler):
    """Git over HTTP for one server; git's own CGI program does it, unless the server is dumb."""

    shared: GitServer
    login: tuple[str, str] | None
    dumb: bool
    modern: bool
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self) -> None:
        self.shared.asked.append(f"{self.command} {self.path}")
        if self.login and not self._allowed(self.login):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif "/info/lfs/" in self.path or self.path.startswith("/lfs/"):
            self._lfs()
        elif self.dumb:
            self.directory = str(self.shared.root)
            super().do_GET()
        else:
            self._backend()

    def _lfs(self) -> None:
        """git-lfs docs/api/batch.md, downloads alone: objects are files of `lfs` below the root."""
        if self.command == "GET":
            self._answer(
                (self.shared.root / self.path.lstrip("/")).read_bytes(), "application/octet-stream"
            )
            return
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        objects = [
            {**one, "actions": {"download": {"href": self.shared.url(f"lfs/{one['oid']}")}}}
            for one in asked["objects"]
        ]
        body = json.dumps({"transfer": "basic", "objects": objects}).encode()
        self._answer(body, "application/vnd.git-lfs+json")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _allowed(self, login: tuple[str, str]) -> bool:
        wanted = base64.b64encode(":".join(login).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {wanted}"

    def _backend(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = self._chunks() if self.headers.get("Transfer-Encoding") else self.rfile.read(length)
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.shared.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": unquote(parts.path),
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": USERNAME,
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        if self.modern and self.headers.get("Git-Protocol"):
            environment["GIT_PROTOCOL"] = self.headers["Git-Protocol"]
        done = subprocess.run([_BACKEND], input=body, env=environment, capture_output=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        lines = [line.partition(": ")[::2] for line in head.decode().split("\r\n")]
        headers = dict(lines)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        self.shared.sent += len(content)

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)


@contextmanager
def http_server(
    root: Path,
    *,
    login: tuple[str, str] | None = None,
    dumb: bool = False,
    modern: bool = True,
) -> Iterator[GitServer]:
    """Repositories over HTTP, by git's own `http-backend`, a CGI program (RFC 3875).

    `login` are user and password; `dumb` serves files alone; not `modern` is protocol version 0.
    """

    found = GitServer(root, 0)
    about = {"shared": found, "login": login, "dumb": dumb, "modern": modern}
    with serving(type("Handler", (_Handler,), about)) as address:
        found.port = int(address.partition(":")[2])
        yield found


@dataclass(frozen=True)
class SshServer:
    """An sshd that lets one key in. `key` and `known_hosts` are files of the client."""

    port: int
    user: str
    key: Path
    known_hosts: Path

    def url(self, path: Path) -> str:
        return f"ssh://{self.user}@127.0.0.1:{self.port}{path}"


@contextmanager
def ssh_server(folder: Path) -> Iterator[SshServer]:
    """A real sshd on loopback, run by and for the user of the test."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in ("host", "client"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)],
            check=True,
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    allowed = folder / "authorized_keys"
    allowed.write_text((folder / "client.pub").read_text())
    allowed.chmod(0o600)
    configuration = folder / "sshd_config"
    configuration.write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nPidFile none\n"
        f"AuthorizedKeysFile {allowed}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nPermitRootLogin yes\nAcceptEnv GIT_PROTOCOL\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "/usr/sbin/sshd"
    with subprocess.Popen(
        [sshd, "-D", "-e", "-f", str(configuration)], stderr=subprocess.DEVNULL
    ) as child:
        try:
            _wait(port)
            host = (folder / "host.pub").read_text().split()
            known = folder / "known_hosts"
            known.write_text(f"[127.0.0.1]:{port} {host[0]} {host[1]}\n")
            user = (
                os.environ.get("USER") or subprocess.check_output(["id", "-un"], text=True).strip()
            )
            yield SshServer(port, user, folder / "client", known)
        finally:
            child.terminate()


def _wait(port: int) -> None:
    for _ in range(100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    message = f"no sshd on port {port}"
    raise AssertionError(message)
