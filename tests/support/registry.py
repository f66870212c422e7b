"""Real registries on loopback: open, with a password, with a token server, with a private CA.

Each runs the `docker-registry` program with storage of its own and ends with its context.
`support.registry_proxy` puts faults in front of one.
"""

from __future__ import annotations

import base64
import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from support.debian_packages import unpacked
from support.loopback import Certificates, free_port, serving, signed_certificate

from launch_action.core.image import Descriptor
from launch_action.core.reference import Repository
from launch_action.oci.docker_config import Credential

USERNAME = "robot"
PASSWORD = "correct-horse-battery"
# htpasswd -Bbn robot correct-horse-battery
_HTPASSWD = "robot:$2y$05$WtZM20BNIzZSdbUGYRPUC.aD/gNVnJncvUPw0TTOSTPCthjB0C2pu\n"
LOGIN = Credential(USERNAME, PASSWORD)


class Logins:
    """Credentials of a test: those given, for the hosts given."""

    def __init__(self, found: Mapping[str, Credential] | None = None) -> None:
        self.found = dict(found or {})

    def find(self, registry: str) -> Credential | None:
        return self.found.get(registry)


@dataclass(frozen=True, slots=True)
class Running:
    """A registry that runs; `address` is `127.0.0.1:PORT`."""

    address: str
    folder: Path

    def repository(self, path: str) -> Repository:
        return Repository.parse(f"{self.address}/{path}")

    def blob_file(self, digest: str) -> Path:
        """Where the registry keeps a blob's bytes."""
        name = digest.partition(":")[2]
        return self.folder / "data/docker/registry/v2/blobs/sha256" / name[:2] / name / "data"


@contextmanager
def running(
    folder: Path,
    *,
    password: bool = False,
    tokens: TokenServer | None = None,
    tls: Certificates | None = None,
    delete: bool = True,
) -> Iterator[Running]:
    """A registry with its storage in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    storage = {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": delete}}
    config: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": storage,
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    if password:
        (folder / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}
    if tokens:
        config["auth"] = {"token": tokens.registry_config(folder)}
    if tls:
        config["http"]["tls"] = {"certificate": str(tls.certificate), "key": str(tls.key)}
    (folder / "config.json").write_text(json.dumps(config))  # YAML, which JSON is
    with _serving(folder, port, "docker-registry", "serve", str(folder / "config.json")) as found:
        yield found


@contextmanager
def running_crane(folder: Path) -> Iterator[Running]:
    """The registry of go-containerregistry, in memory and open to all.

    It deletes tags, and keeps those whose manifest is deleted; its blobs are of all repositories.
    """
    port = free_port()
    program = str(unpacked("sid", ("crane",)) / "usr/bin/crane")
    with _serving(
        folder, port, program, "registry", "serve", "--address", f"127.0.0.1:{port}"
    ) as found:
        yield found


@contextmanager
def _serving(folder: Path, port: int, *command: str) -> Iterator[Running]:
    with (folder / "log").open("wb") as out:
        child = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        _wait_for(port, child)
        yield Running(f"127.0.0.1:{port}", folder)
    finally:
        child.terminate()
        child.wait()


def _wait_for(port: int, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except OSError:
            if child.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.03)
        else:
            return


def blob_of(data: bytes) -> Descriptor:
    """A descriptor of bytes, as a layer."""
    return Descriptor.of(data, "application/vnd.oci.image.layer.v1.tar")


# ---------------------------------------------------------------------------- tokens


@dataclass(slots=True)
class TokenRequest:
    """What the token server was asked: form or query, scopes, and the Authorization field."""

    method: str
    scopes: list[str]
    values: dict[str, str]
    authorization: str


@dataclass(slots=True)
class TokenServer:
    """Gives tokens as Docker's token protocol has it: everything to LOGIN or the identity token,
    `pull` alone to everybody else. `lifetime`, in seconds, is what it says of them. `delete` is how
    it takes that action: `unknown` is Quay's, which refuses a scope with it and lets who may push
    delete; `withheld` that of a robot which may only push."""

    address: str = ""
    lifetime: int = 300
    identity_token: str = "identity-" + "t" * 20
    delete: Literal["granted", "withheld", "unknown"] = "granted"
    refuse: tuple[int, str] | None = None
    requests: list[TokenRequest] = field(default_factory=list)
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        self.certificate = signed_certificate("tokens", self.key, "tokens", self.key, ca=True)

    def registry_config(self, folder: Path) -> dict[str, Any]:
        """The registry's side, written to a folder."""
        bundle = folder / "tokens.pem"
        bundle.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return {
            "realm": f"http://{self.address}/token?account_type=test",
            "service": "test registry",
            "issuer": "tokens",
            "rootcertbundle": str(bundle),
        }

    def token(self, scopes: Sequence[str], *, everything: bool) -> str:
        """A token of the scopes as far as they are granted."""
        now = int(time.time())
        chain = base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER))
        claims = {
            "iss": "tokens",
            "sub": USERNAME,
            "aud": "test registry",
            "exp": now + 300,
            "nbf": now - 60,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": [self._access(scope, everything) for scope in scopes],
        }
        return jwt.encode(claims, self.key, "ES256", headers={"x5c": [chain.decode()]})

    def knows(self, scope: str) -> bool:
        return self.delete != "unknown" or "delete" not in scope.rpartition(":")[2]

    def _access(self, scope: str, everything: bool) -> dict[str, Any]:
        kind, name, actions = scope.split(":")
        granted = [a for a in actions.split(",") if everything or a == "pull"]
        if self.delete == "withheld":
            granted = [action for action in granted if action != "delete"]
        if self.delete == "unknown" and "push" in granted:
            granted.append("delete")
        return {"type": kind, "name": name, "actions": granted}


@contextmanager
def token_server() -> Iterator[TokenServer]:
    """A token server on loopback."""
    tokens = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._give(parse_qs(urlsplit(self.path).query))

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", "0"))
            self._give(parse_qs(self.rfile.read(length).decode()))

        def _give(self, values: dict[str, list[str]]) -> None:
            scopes = [one for value in values.get("scope", ()) for one in value.split()]
            flat = {name: found[0] for name, found in values.items()}
            sent = self.headers.get("Authorization", "")
            tokens.requests.append(TokenRequest(self.command, scopes, flat, sent))
            pair = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
            known = sent == f"Basic {pair}" or flat.get("refresh_token") == tokens.identity_token
            if tokens.refuse:
                self._answer(*tokens.refuse)
            elif not all(map(tokens.knows, scopes)):
                self._answer(
                    400, json.dumps({"errors": [{"message": f"Unable to decode {scopes}"}]})
                )
            elif (sent or self.command == "POST") and not known:
                self._answer(401, json.dumps({"details": f"incorrect login {sent}"}))
            else:
                made = tokens.token(scopes, everything=known)
                name = "access_token" if self.command == "POST" else "token"
                self._answer(200, json.dumps({name: made, "expires_in": tokens.lifetime}))

        def _answer(self, status: int, text: str) -> None:
            data = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
            return

    with serving(Handler) as address:
        tokens.address = address
        yield tokens
