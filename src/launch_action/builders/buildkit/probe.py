"""Finds the rung that builds here, by asking the Docker client and the engine."""

from __future__ import annotations

import json
import re

from launch_action.builders.buildkit.client import Docker
from launch_action.builders.buildkit.rungs import Buildx, EngineBuild, Rung
from launch_action.core.errors import BuildError
from launch_action.engine import engine_available

_FIELD = re.compile(r"^(Driver|Endpoint|BuildKit version|BuildKit):\s*(\S+)", re.MULTILINE)
_BUILDX_VERSION = re.compile(r"\bv?(\d+\.\d+\.\d+)")


def find_rung(docker: Docker) -> Rung:
    """buildx with its current builder, else the engine alone. Raises BuildError for neither."""
    return find_buildx(docker) or find_engine()


def find_buildx(docker: Docker) -> Buildx | None:
    """buildx with its current builder; None where it is not installed, or its engine is not there.

    Raises BuildError for a builder that was chosen and does not answer.
    """
    asked = docker.ask("buildx", "version")
    if asked is None or asked.code != 0:
        return None
    version = _BUILDX_VERSION.search(asked.text)
    inspected = docker.ask("buildx", "inspect")
    if inspected is None or inspected.code != 0 or "\nError:" in inspected.text:
        complaint = (inspected.complaint or inspected.text[-500:]) if inspected else ""
        raise BuildError(
            "the builder of docker buildx does not answer",
            hint="see `docker buildx ls`, and choose one with `docker buildx use NAME`",
            context=complaint,
        )
    found = dict(reversed(_FIELD.findall(inspected.text)))
    driver = found.get("Driver", "docker")
    return Buildx(
        version=version[1] if version else "unknown",
        driver=driver,
        buildkit=found.get("BuildKit version") or found.get("BuildKit") or "",
        containerd=driver == "docker" and _keeps_in_containerd(docker),
        endpoint=found.get("Endpoint", ""),
    )


def _keeps_in_containerd(docker: Docker) -> bool:
    asked = docker.ask("info", "--format", "{{json .DriverStatus}}")
    try:
        status = json.loads(asked.text) if asked and asked.code == 0 else None
    except ValueError:
        return False
    return "io.containerd.snapshotter" in json.dumps(status)


def find_engine() -> EngineBuild:
    """The engine's own BuildKit. Raises BuildError when no engine answers."""
    found = engine_available()
    if isinstance(found, str):
        raise BuildError(
            "nothing here can build a Dockerfile: no docker buildx, and no Docker engine answers",
            hint="start Docker, or build without the Dockerfile with --builder layers",
            context=found,
        )
    return EngineBuild(found.version)
