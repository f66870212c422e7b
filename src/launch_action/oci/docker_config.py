"""Logins as Docker and Podman keep them: `config.json`, `auth.json` and credential helpers.

Source of the formats: the Docker CLI reference, "Configuration files" and "docker login,
Credential stores", and containers-auth.json(5). Nothing is read before a registry asks.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from launch_action import process
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError, RegistryError
from launch_action.core.reference import DOCKER_HUB

_HUB_KEY = "https://index.docker.io/v1/"
_HUB_HOSTS = ("docker.io", "index.docker.io", "registry-1.docker.io")
_HELPER_NAME = re.compile(r"[A-Za-z0-9._-]+")
_HELPER_SECONDS = 60.0
_NO_CREDENTIALS = b"credentials not found"
# What helpers of clouds, password stores and desktops read of the environment.
_HELPER_VARIABLES = re.compile(
    r"(?:AWS|ECR|GOOGLE|CLOUDSDK|GCLOUD|AZURE|ACR|ARM|ACTIONS_ID_TOKEN|DOCKER)_\w+"
    r"|GNUPGHOME|GPG_TTY|PASSWORD_STORE_\w+|DBUS_SESSION_BUS_ADDRESS|DISPLAY|WAYLAND_DISPLAY"
)


@dataclass(frozen=True, slots=True)
class Credential:
    """A login of one registry: user name and password, or an identity token (OAuth 2 refresh)."""

    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    identity_token: str = field(default="", repr=False)


class Credentials(Protocol):
    """Where the logins of registries are looked up."""

    def find(self, registry: str) -> Credential | None:
        """The login of a registry host (`docker.io`, `ghcr.io`, `localhost:5000`), if any."""
        ...


class DockerCredentials:
    """The logins of this machine's Docker or Podman configuration, below the ones given.

    Order: `given`, `$DOCKER_AUTH_CONFIG` (the document itself), `$DOCKER_CONFIG/config.json` or
    `~/.docker/config.json`, then Podman's `$REGISTRY_AUTH_FILE` or
    `$XDG_RUNTIME_DIR/containers/auth.json`. In one document: `credHelpers`, `credsStore`, `auths`.
    """

    def __init__(
        self, environment: Mapping[str, str], given: Mapping[str, Credential] | None = None
    ) -> None:
        self._environment = dict(environment)
        self._found: dict[str, Credential | None] = {
            host_of(name): credential for name, credential in (given or {}).items()
        }
        self._documents: tuple[_Document, ...] | None = None
        self._lock = threading.Lock()

    def find(self, registry: str) -> Credential | None:
        """The login of a registry host. Raises InputError for a malformed file, RegistryError for
        a helper that fails."""
        host = host_of(registry)
        with self._lock:
            if host not in self._found:
                self._found[host] = self._look_up(host)
            return self._found[host]

    def _look_up(self, host: str) -> Credential | None:
        if self._documents is None:
            self._documents = tuple(_documents(self._environment))
        for document in self._documents:
            found = document.find(host, self._environment)
            if found:
                return found
        return None


def host_of(name: str) -> str:
    """The registry host that a key of `auths` or an option names; Docker Hub has one.

    >>> host_of("https://index.docker.io/v1/"), host_of("https://ghcr.io")
    ('docker.io', 'ghcr.io')
    """
    bare = re.sub(r"^[a-z]+://", "", name.strip().lower())
    host, _, path = bare.partition("/")
    if path.strip("/") not in ("", "v1", "v2"):
        return bare  # Podman's namespaced keys: they are of that namespace, not of the host
    return DOCKER_HUB if host in _HUB_HOSTS else host


@dataclass(frozen=True, slots=True)
class _Document:
    """One configuration document; `where` names it in errors."""

    where: str
    content: Mapping[str, Any]

    def find(self, host: str, environment: Mapping[str, str]) -> Credential | None:
        helper = self._helper(host)
        found = _ask_helper(helper, host, environment) if helper else None
        return found or self._stored(host)

    def _helper(self, host: str) -> str:
        for name, helper in self._table("credHelpers").items():
            if host_of(name) == host and isinstance(helper, str):
                return helper
        store = self.content.get("credsStore")
        return store if isinstance(store, str) else ""

    def _stored(self, host: str) -> Credential | None:
        for name, entry in self._table("auths").items():
            if host_of(name) == host:
                found = self._read(name, entry)
                if found:
                    return found
        return None

    def _table(self, name: str) -> Mapping[str, Any]:
        found = self.content.get(name) or {}
        if not isinstance(found, dict):
            raise self._malformed(f"{name!r} is not an object")
        return found

    def _read(self, name: str, entry: Any) -> Credential | None:
        if not isinstance(entry, dict):
            raise self._malformed(f"the entry of {name!r} is not an object")
        values = {key: entry.get(key) or "" for key in _ENTRY_KEYS}
        if not all(isinstance(value, str) for value in values.values()):
            raise self._malformed(f"the entry of {name!r} holds something other than text")
        if values["identitytoken"]:
            return Credential(identity_token=values["identitytoken"])
        if values["auth"]:
            return self._decode(name, values["auth"])
        if values["username"]:
            return Credential(values["username"], values["password"])
        return None  # `docker login` with a store leaves an empty entry as a marker

    def _decode(self, name: str, auth: str) -> Credential:
        try:
            text = base64.b64decode(auth, validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            text = ""
        username, colon, password = text.partition(":")
        if not colon or not username:
            raise self._malformed(f"'auth' of {name!r} is not base64 of user:password") from None
        return Credential(username, password.strip("\0"))

    def _malformed(self, why: str) -> InputError:
        return InputError(
            f"malformed registry logins in {self.where}: {why}",
            hint="correct the file, or remove it and log in again with docker login",
        )


_ENTRY_KEYS = ("auth", "username", "password", "identitytoken")


def _documents(environment: Mapping[str, str]) -> list[_Document]:
    found = []
    inline = environment.get("DOCKER_AUTH_CONFIG")
    if inline:
        found.append(_parse("$DOCKER_AUTH_CONFIG", inline.encode("utf-8", "surrogateescape")))
    for path in _files(environment):
        try:
            data = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise InputError(
                f"cannot read the registry logins in {path}: {error.strerror}",
                hint="make the file readable, or point DOCKER_CONFIG to another directory",
            ) from error
        found.append(_parse(str(path), data))
    return found


def _files(environment: Mapping[str, str]) -> list[Path]:
    files = []
    home = environment.get("HOME")
    folder = environment.get("DOCKER_CONFIG") or (str(Path(home) / ".docker") if home else "")
    if folder:
        files.append(Path(folder) / "config.json")
    runtime = environment.get("XDG_RUNTIME_DIR")
    podman = environment.get("REGISTRY_AUTH_FILE")
    if podman or runtime:
        files.append(Path(podman or f"{runtime}/containers/auth.json"))
    return files


def _parse(where: str, data: bytes) -> _Document:
    if not data.strip():
        return _Document(where, {})
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        content = None  # the parser's own words may quote the file, which holds passwords
    document = _Document(where, content if isinstance(content, dict) else {})
    if not isinstance(content, dict):
        raise document._malformed("it is not a JSON object") from None  # noqa: SLF001
    return document


def _ask_helper(helper: str, host: str, environment: Mapping[str, str]) -> Credential | None:
    """`docker-credential-<helper> get`: the server's address in, a JSON object out."""
    if not _HELPER_NAME.fullmatch(helper):
        raise _helper_failed(helper, host, "its name is not that of a program")
    known = {k: v for k, v in environment.items() if _HELPER_VARIABLES.fullmatch(k)}
    passed = {k: v for k, v in environment.items() if k in process.ALLOWED}
    server = _HUB_KEY if host == DOCKER_HUB else host
    try:
        done = process.run(
            [f"docker-credential-{helper}", "get"],
            env=passed | known,
            stdin=server.encode(),
            timeout=_HELPER_SECONDS,
        )
    except FileNotFoundError:
        raise _helper_failed(helper, host, "there is no such program on PATH") from None
    except PermissionError:
        raise _helper_failed(helper, host, "it is not executable") from None
    except process.TimedOut:
        raise _helper_failed(helper, host, f"no answer in {_HELPER_SECONDS:.0f} s") from None
    if done.code:
        if _NO_CREDENTIALS in (done.out + done.err).lower():
            return None
        raise _helper_failed(helper, host, f"it ended with {done.code}")
    return _helper_answer(done.out, helper, host)


def _helper_answer(output: bytes, helper: str, host: str) -> Credential | None:
    try:
        found = json.loads(output)
        username, secret = str(found["Username"]), str(found["Secret"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _helper_failed(helper, host, "its answer is not a credential") from None
    if not secret:
        return None
    return (
        Credential(identity_token=secret) if username == "<token>" else Credential(username, secret)
    )


def _helper_failed(helper: str, host: str, why: str) -> RegistryError:
    return RegistryError(
        f"credential helper 'docker-credential-{helper}' failed for {host}: {why}",
        hint=f"try: echo {host} | docker-credential-{helper} get; or give --registry-username and "
        "--registry-password",
    )
