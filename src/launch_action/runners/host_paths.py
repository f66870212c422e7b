"""Where a directory of ours is for the engine, when we run in a container of that engine ourselves.

A bind mount names a path of the engine's machine. With the engine's socket mounted into our
container the two differ: what we call /workspace is somewhere else there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_action.core.errors import RunError
from launch_action.engine import engine_errors

if TYPE_CHECKING:
    from docker import DockerClient

_MOUNTS = Path("/proc/self/mountinfo")
# Docker and Podman mount these files into every container, from a directory with its id. The name
# of the host is no help: --hostname and --network=host change it.
_OWN_FILES = ("/etc/hostname", "/etc/hosts", "/etc/resolv.conf")
_ID = re.compile(r"containers/([0-9a-f]{64})/")


def engine_path(engine: DockerClient, path: str) -> str:
    """The engine's name of an absolute path of ours; the path itself outside of a container.

    So is one that is not here at all: it is meant as the engine's. Raises RunError for a path that
    is in our container alone.
    """
    mounts = _own_mounts(engine)
    if mounts is None:
        return path
    found = translated(path, mounts)
    if found is not None:
        return found
    if not Path(path).exists():
        return path
    raise RunError(
        f"{path!r} is in this container alone, where the engine cannot mount it from",
        hint="mount it into this container too, or put the files into the job's image",
    )


def translated(path: str, mounts: Sequence[Mapping[str, Any]]) -> str | None:
    """The source of a path below one of a container's mounts (`docker inspect`'s Mounts)."""
    below = [
        mount
        for mount in mounts
        if mount.get("Source") and Path(path).is_relative_to(str(mount.get("Destination")))
    ]
    if not below:
        return None
    nearest = max(below, key=lambda mount: len(str(mount["Destination"])))
    rest = Path(path).relative_to(str(nearest["Destination"]))
    return str(Path(str(nearest["Source"])) / rest)


def own_container(mountinfo: str) -> str:
    """The id of the container that these lines of proc(5)'s mountinfo are of; empty for none."""
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        # Fields 4 and 5: the root of the mount in its file system, and the mount point.
        if len(fields) > 4 and fields[4] in _OWN_FILES:
            found = _ID.search(fields[3])
            if found:
                return found[1]
    return ""


def _own_mounts(engine: DockerClient) -> Sequence[Mapping[str, Any]] | None:
    from docker.errors import NotFound

    try:
        own = own_container(_MOUNTS.read_text("utf-8", "replace"))
    except OSError:  # no Linux, or no /proc
        return None
    if not own:
        return None
    with engine_errors("the engine does not tell the mounts of this container"):
        try:
            mounts: Sequence[Mapping[str, Any]] = engine.containers.get(own).attrs["Mounts"]
        except NotFound:  # another engine's container
            return None
    return mounts
