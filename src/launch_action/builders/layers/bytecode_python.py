"""The Python on this machine that compiles for a target: of exactly its version, X.Y.Z.

Another patch release may write other bytecode for the same source, and some did.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from launch_action import process
from launch_action.builders.layers.resolve import find_uv
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts
from launch_action.core.errors import BuildError

# CPython without suffix: builds without the GIL (t) and for debugging (d) may compile otherwise.
_PROBE = """\
import sys
kind = {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}[sys.version_info[3]]
print(sys.implementation.name + getattr(sys, "abiflags", ""))
print("%d.%d.%d" % sys.version_info[:3] + (kind and "%s%d" % (kind, sys.version_info[4])))
"""
_PROBE_SECONDS = 20
_DOWNLOAD_SECONDS = 600
# Before 3.11 the order of a set in bytecode is that of its hashes, which differ in every process.
_OLDEST = (3, 11)


def compiled_version(base: BaseFacts) -> str:
    """The version X.Y.Z to compile for. Raises BuildError when the base does not tell all of it."""
    version = base.python.version
    if tuple(map(int, base.python.minor.split("."))) < _OLDEST:
        raise BuildError(
            f"no bytecode for Python {version}: before 3.11 it is not the same every time",
            hint="build without --compile, or choose a later Python with --python",
        )
    if version.count(".") < 2:
        raise BuildError(
            f"{base.name} does not say which patch release of Python {version} it has, "
            "which --compile must know",
            hint="build without --compile, or on a base image that tells it, "
            f"such as python:{base.python.minor}-slim or deb:SUITE",
        )
    return version


def find_python(version: str, cache: Cache) -> Path:
    """CPython `version` (X.Y.Z) of this machine; else one that uv has, or fetches into the cache.

    Raises BuildError naming the wanted version and those that were found.
    """
    refused: dict[str, str] = {}
    complaints: list[str] = []
    for executable in _candidates(version, cache, complaints):
        found = _version(executable)
        if found == version:
            return Path(executable)
        if found:
            refused.setdefault(executable, found)
    have = ", ".join(f"{found} ({where})" for where, found in refused.items()) or "no such one"
    raise BuildError(
        f"bytecode for Python {version} needs exactly that Python, this machine has {have}",
        hint=f"install Python {version} (such as by actions/setup-python), "
        "or build without --compile",
        context="\n".join(complaints),
    )


def _version(executable: str) -> str:
    """The version of a CPython, asked in isolation; empty when it is none."""
    try:
        done = process.run([executable, "-I", "-S", "-c", _PROBE], timeout=_PROBE_SECONDS)
    except (OSError, process.TimedOut):
        return ""
    name, _, version = done.text.partition("\n")
    return version.strip() if done.code == 0 and name == "cpython" else ""


def _candidates(version: str, cache: Cache, complaints: list[str]) -> Iterator[str]:
    """Executables that may be the wanted one, the cheapest to find first."""
    minor = version.rpartition(".")[0]
    yield sys.executable
    yield from _installed(version, minor)
    yield from _of_uv(version)
    yield from _fetched(version, cache, complaints)


def _installed(version: str, minor: str) -> Iterator[str]:
    """On PATH, in the tool cache of a GitHub runner (actions/setup-python), of pyenv."""
    found = os.environ
    for folder in found.get("PATH", os.defpath).split(os.pathsep):
        executable = Path(folder, f"python{minor}")
        if executable.is_absolute() and os.access(executable, os.X_OK):
            yield str(executable)
    tools = Path(found.get("RUNNER_TOOL_CACHE") or "/opt/hostedtoolcache", "Python")
    pyenv = Path(found.get("PYENV_ROOT") or Path(found.get("HOME") or "/", ".pyenv"), "versions")
    for root, inside in ((tools, "*/bin"), (pyenv, "bin")):
        yield from map(str, sorted(root.glob(f"{version}/{inside}/python{minor}")))


def _fetched(version: str, cache: Cache, complaints: list[str]) -> Iterator[str]:
    place = cache.tree("pythons", version)
    with cache.lock(f"python-{version}"):
        # uv moves an interpreter to its place when all of it is there.
        where = ["--install-dir", str(place), "--no-bin"]
        done = _uv("install", "--no-config", *where, version, timeout=_DOWNLOAD_SECONDS)
        if not done or done.code:
            complaints.append(done.complaint if done else "uv does not answer")
    yield from _of_uv(version, UV_PYTHON_INSTALL_DIR=str(place))


def _of_uv(version: str, **variables: str) -> Iterator[str]:
    options = ("--no-config", "--no-project", "--no-python-downloads", "--managed-python")
    found = _uv("find", *options, version, timeout=_PROBE_SECONDS, **variables)
    if found and found.code == 0:
        yield found.text.strip()


def _uv(*arguments: str, timeout: float, **variables: str) -> process.Finished | None:
    """What `uv python ...` left; None when there is no uv, or it does not end in time."""
    env = process.environment("UV_PYTHON_INSTALL_MIRROR", **variables)
    try:
        return process.run([find_uv(), "python", *arguments], env=env, timeout=timeout)
    except (OSError, process.TimedOut):
        return None
