"""The Docker engine: how it is reached, what it is, and what it says when it refuses.

It is the one of `$DOCKER_HOST`, else of Docker's context (`$DOCKER_CONTEXT`, `docker context use`),
else this machine's, which may be the user's own (rootless).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import LaunchError, RunError
from launch_action.core.image import Platform

if TYPE_CHECKING:
    from docker import DockerClient

# Seconds for an answer of the engine; what lasts (a pull, a load, the log) is streamed.
ANSWER = 60
_PROBE = 5
# The first Docker that unpacks layers of zstd.
ZSTD_SINCE = 23
_SOCKET = "/var/run/docker.sock"
_NO_ENGINE = "no Docker engine"
_START_ONE = "start one, or name another with DOCKER_HOST; --resource local-process needs none"


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """A Docker engine: its address and version, and the platform its containers run on.

    `remote` engines do not see this machine's directories. `name` is Docker, or Podman, which
    answers to the same calls.
    """

    address: str
    version: str
    platform: Platform
    remote: bool
    name: str = "Docker"

    @property
    def takes_zstd(self) -> bool:
        """Whether it unpacks layers of zstd: Docker does from 23.0 on, and Podman.

        One that has no number for a version is believed to.
        """
        major = self.version.partition(".")[0]
        return self.name != "Docker" or not major.isdigit() or int(major) >= ZSTD_SINCE


@dataclass(frozen=True, slots=True)
class _Endpoint:
    """Where an engine is; `tls` is of the docker SDK, None where the environment has it."""

    address: str
    tls: Any = None


def engine_available() -> EngineFacts | str:
    """What the engine is; or, in one line, why there is none."""
    try:
        with connected(_PROBE) as engine:
            return engine_facts(engine)
    except RunError as error:
        return error.message


@contextmanager
def connected(timeout: int = ANSWER) -> Iterator[DockerClient]:
    """A client of the engine, `timeout` seconds for each answer. Raises RunError: exit code 7."""
    with engine_errors(_NO_ENGINE, hint=_START_ONE), _settings_errors():
        engine = _client(_endpoint(), timeout)
    try:
        yield engine
    finally:
        engine.close()


def engine_facts(engine: DockerClient) -> EngineFacts:
    """Ask an engine what it is. Raises RunError when it does not answer."""
    with engine_errors(_NO_ENGINE, hint=_START_ONE):
        found, address = engine.version(), _endpoint().address
    platform = Platform.parse(f"{found.get('Os', 'linux')}/{found.get('Arch', 'unknown')}")
    remote = not address.startswith(("unix:", "npipe:"))
    parts = [str(part.get("Name")) for part in found.get("Components") or ()]
    name = "Podman" if "Podman Engine" in parts else "Docker"
    return EngineFacts(address, str(found.get("Version", "")), platform, remote, name)


@contextmanager
def engine_errors(
    what: str, hint: str = "see the engine's own log", kind: type[LaunchError] = RunError
) -> Iterator[None]:
    """Turn what the engine, or the way to it, says into an error that begins with `what`."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        raise kind(f"{what}: {explanation(error)}", hint=hint) from error


@contextmanager
def _settings_errors() -> Iterator[None]:
    """Turn what the SDK raises for settings that it reads without a look at them into its error."""
    from docker.errors import DockerException

    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        where = "DOCKER_HOST or Docker's configuration is not as the SDK reads it"
        raise DockerException(f"{where}: {type(error).__name__}: {error}") from error


def explanation(error: Exception) -> str:
    """What the engine said, in one line."""
    said = getattr(error, "explanation", None) or error
    return " ".join(str(said).split())[:500]


def _client(endpoint: _Endpoint, timeout: int) -> DockerClient:
    import docker

    if endpoint.address.startswith("ssh://"):
        # The SDK would need paramiko for it, which reads neither ssh's configuration nor its keys
        # as ssh does.
        raise RunError(
            f"{_NO_ENGINE}: {endpoint.address!r} is not spoken to over ssh",
            hint="forward its socket: `ssh -fNL /tmp/engine.sock:/var/run/docker.sock "
            f"{endpoint.address}`, and set DOCKER_HOST=unix:///tmp/engine.sock",
        )
    if os.environ.get("DOCKER_HOST"):
        return docker.from_env(timeout=timeout)
    return docker.DockerClient(
        base_url=endpoint.address, tls=endpoint.tls or False, timeout=timeout
    )


def _endpoint() -> _Endpoint:
    host = os.environ.get("DOCKER_HOST")
    if host:
        return _Endpoint(host)
    return _of_context() or _of_machine()


def _of_context() -> _Endpoint | None:
    """The endpoint of a context that was chosen. Raises DockerException when it is not there."""
    from docker.context import ContextAPI
    from docker.context.config import get_current_context_name
    from docker.errors import DockerException

    name = os.environ.get("DOCKER_CONTEXT") or None
    try:
        found = ContextAPI.get_context(name)
    except Exception as error:  # the SDK raises plain Exceptions for files that do not read
        raise DockerException(str(error)) from error
    if found is None:
        raise DockerException(f"no Docker context {name or get_current_context_name()!r} is there")
    if found.Name == "default" or not found.Host:
        return None
    return _Endpoint(found.Host, found.TLSConfig)


def _of_machine() -> _Endpoint:
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or "/run/user/0", "docker.sock")
    socket = str(own) if own.exists() and not Path(_SOCKET).exists() else _SOCKET
    return _Endpoint(f"unix://{socket}")
