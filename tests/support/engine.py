"""Which Docker engine the tests speak to: `$DOCKER_HOST`, else that of the default socket."""

from __future__ import annotations

import os

_VARIABLE = "DOCKER_HOST"


def engine_settings() -> dict[str, str]:
    """What a process with an environment of its own needs to find it."""
    return {_VARIABLE: os.environ[_VARIABLE]} if os.environ.get(_VARIABLE) else {}


def engine_socket() -> str:
    """The path of its socket on this machine, which a container of its own mounts."""
    return os.environ.get(_VARIABLE, "unix:///var/run/docker.sock").removeprefix("unix://")
