"""A Python to compile with that this machine does not have yet: uv fetches it into the cache."""

from __future__ import annotations

from pathlib import Path

from launch_action import process
from launch_action.builders.layers.interpreters import FETCHED, ask
from launch_action.builders.layers.resolve import find_uv
from launch_action.cache import Cache
from launch_action.core.errors import BuildError

_FIND_SECONDS = 20
_DOWNLOAD_SECONDS = 600


def fetch_python(version: str, cache: Cache) -> Path:
    """CPython `version` (X.Y.Z). Raises BuildError where uv has none or cannot fetch it."""
    place = cache.tree(FETCHED, version)
    with cache.lock(f"python-{version}"):
        # uv moves an interpreter to its place when all of it is there.
        where = ["--install-dir", str(place), "--no-bin"]
        done = _uv("install", "--no-config", *where, version, timeout=_DOWNLOAD_SECONDS)
    found = _uv(
        "find", "--no-config", "--no-project", "--no-python-downloads", "--managed-python", version,
        timeout=_FIND_SECONDS, UV_PYTHON_INSTALL_DIR=str(place),
    )  # fmt: skip
    executable = found.text.strip() if found and found.code == 0 else ""
    if executable and ask(executable) == version:
        return Path(executable)
    raise BuildError(
        f"this machine has no Python {version.rpartition('.')[0]} to compile with, "
        f"and {version} could not be fetched",
        hint=f"install Python {version.rpartition('.')[0]} (such as by actions/setup-python), "
        "or build with --no-compile",
        context=done.complaint if done else "uv does not answer",
    )


def _uv(*arguments: str, timeout: float, **variables: str) -> process.Finished | None:
    """What `uv python ...` left; None when there is no uv, or it does not end in time."""
    env = process.environment("UV_PYTHON_INSTALL_MIRROR", **variables)
    try:
        return process.run([find_uv(), "python", *arguments], env=env, timeout=timeout)
    except (OSError, process.TimedOut):
        return None
