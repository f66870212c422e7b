"""A builder of our own, for what the current one cannot do; it is gone when the block ends."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launch_action.builders.buildkit.client import Docker
from launch_action.builders.buildkit.rungs import Buildx
from launch_action.core.dataclass import replace
from launch_action.core.errors import BuildError

_PREFIX = "launch-action-"
_NAME = re.compile(rf"{_PREFIX}(\d+)-[0-9a-f]+")


@contextmanager
def own_builder(
    docker: Docker, rung: Buildx, needed_for: str, *, image: str, host_network: bool
) -> Iterator[Buildx]:
    """Create a builder of the driver docker-container and remove it afterwards.

    `image` is BuildKit's image, empty for buildx's default. With `host_network` it reaches
    registries on this machine's loopback. Raises BuildError naming the input it is `needed_for`.
    """
    _remove_left(docker)
    name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    options = [f"--driver-opt=image={image}"] if image else []
    options += ["--driver-opt=network=host"] if host_network else []
    docker.say(f"{rung} cannot do {needed_for!r}: a docker-container builder is created for it")
    try:
        code, said = docker.run(
            ["buildx", "create", f"--name={name}", "--driver=docker-container", "--bootstrap",
             "--buildkitd-flags=--allow-insecure-entitlement network.host", *options]
        )  # fmt: skip
        if code != 0:
            raise BuildError(
                f"input {needed_for!r} needs a docker-container builder, which cannot be created",
                hint="give one with docker/setup-buildx-action or `docker buildx use NAME`, turn "
                "the engine's containerd image store on, or name a reachable BuildKit image in "
                "LAUNCH_ACTION_BUILDKIT_IMAGE",
                context=said,
            )
        yield replace(rung, driver="docker-container", buildkit="", name=name)
    finally:
        docker.ask("buildx", "rm", "--force", name)


def _remove_left(docker: Docker) -> None:
    """Remove the builders of runs that were killed."""
    asked = docker.ask("buildx", "ls", "--format={{.Name}}")
    for name in set(asked.text.split()) if asked and asked.code == 0 else ():
        found = _NAME.fullmatch(name)
        if found and not Path("/proc", found[1]).exists():
            docker.ask("buildx", "rm", "--force", name)
