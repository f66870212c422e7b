"""Find the Python that a job was made for on this machine, or have uv fetch it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from launch_action import process
from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import RunError
from launch_action.runners.tree import is_whole, publish, tree_of

# Facts of an interpreter, one a line. `_base_executable` is the one behind a virtual environment.
_PROBE = """\
import os, sys
print("%d.%d.%d" % sys.version_info[:3])
print(sys.implementation.name + getattr(sys, "abiflags", ""))
print(os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable))
try:
    print(os.confstr("CS_GNU_LIBC_VERSION") or "")
except (AttributeError, OSError, ValueError):
    print("")
"""
_PROBE_SECONDS = 20
_DOWNLOAD_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python of this machine: `version` is `X.Y.Z`, `libc` is glibc or musl."""

    executable: Path
    version: str
    libc: str

    @property
    def minor(self) -> str:
        """The version as `X.Y`."""
        return self.version.rpartition(".")[0]


def find_interpreter(minor: str, *, libc: str, downloads: Cache | None) -> Interpreter:
    """The machine's CPython `minor` (`X.Y`); else one that uv has, or fetches into `downloads`.

    `libc` is what the job's wheels were made for, empty when unknown. No download when `downloads`
    is None. Raises RunError naming the wanted version and those that were found.
    """
    refused: list[str] = []
    complaints: list[str] = []
    for executable in _candidates(minor, downloads, complaints):
        found = probe(executable)
        if found and found.minor == minor and found.libc == (libc or found.libc):
            return found
        if found:
            refused.append(f"{found.version} ({found.libc}, {found.executable})")
    have = ", ".join(dict.fromkeys(refused)) or f"{_own_version()} ({sys.executable})"
    kind = f" for {libc}" if libc else ""
    raise RunError(
        f"the job needs Python {minor}{kind}, this machine has {have}",
        hint=f"install python{minor}, or run the job where there is a container engine",
        context="\n".join(complaints),
    )


def probe(executable: str | Path) -> Interpreter | None:
    """What this interpreter is, asked in isolation; None when it is no usable CPython."""
    try:
        done = process.run([executable, "-I", "-S", "-c", _PROBE], timeout=_PROBE_SECONDS)
    except (OSError, process.TimedOut):
        return None
    lines = done.text.splitlines()
    # Builds without the GIL (t) or for debugging (d) do not load a release build's wheels.
    if done.code != 0 or len(lines) < 4 or lines[1] != "cpython":
        return None
    return Interpreter(Path(lines[2]), lines[0], "glibc" if lines[3] else "musl")


def _candidates(minor: str, downloads: Cache | None, complaints: list[str]) -> Iterator[str]:
    """Executables that may be the wanted one, the cheapest to find first."""
    if _own_version().rpartition(".")[0] == minor:
        yield sys.executable
    yield from _installed(minor)
    yield from _of_uv(minor)
    if downloads:
        yield from _fetched(minor, downloads, complaints)


def _installed(minor: str) -> Iterator[str]:
    """On PATH, in the tool cache of a GitHub runner (actions/setup-python), of pyenv."""
    found = os.environ
    for folder in found.get("PATH", os.defpath).split(os.pathsep):
        executable = Path(folder, f"python{minor}")
        if executable.is_absolute() and os.access(executable, os.X_OK):
            yield str(executable)
    tools = found.get("RUNNER_TOOL_CACHE") or "/opt/hostedtoolcache"
    pyenv = found.get("PYENV_ROOT") or Path(found.get("HOME") or "/", ".pyenv")
    for root, inside in ((Path(tools, "Python"), "*/bin"), (Path(pyenv, "versions"), "bin")):
        # The last by name: of several patch versions one is as good as another.
        for place in sorted(root.glob(f"{minor}.*/{inside}/python{minor}"), reverse=True):
            yield str(place)


def _fetched(minor: str, downloads: Cache, complaints: list[str]) -> Iterator[str]:
    """One that was fetched before, as long as the cache has all of it; else fetched now."""
    entry = downloads.directory("pythons") / minor
    with downloads.lock(f"python-{minor}"):
        if not is_whole(entry):
            shutil.rmtree(entry, ignore_errors=True)
            where = ["--install-dir", str(tree_of(entry)), "--no-bin"]
            done = _uv("install", "--no-config", *where, minor, timeout=_DOWNLOAD_SECONDS)
            if not done or done.code:
                complaints.append(done.complaint if done else "uv does not answer")
                shutil.rmtree(entry, ignore_errors=True)
                return
            publish(entry)
    yield from _of_uv(minor, UV_PYTHON_INSTALL_DIR=str(tree_of(entry)))


def _of_uv(minor: str, **variables: str) -> Iterator[str]:
    options = ("--no-config", "--no-project", "--no-python-downloads", "--managed-python")
    found = _uv("find", *options, minor, timeout=_PROBE_SECONDS, **variables)
    if found and found.code == 0:
        yield found.text.strip()


def _uv(*arguments: str, timeout: float, **variables: str) -> process.Finished | None:
    """What `uv python ...` left; None when there is no uv, or it does not end in time."""
    from uv import find_uv_bin

    env = process.environment("UV_PYTHON_INSTALL_MIRROR", **variables)
    try:
        return process.run([find_uv_bin(), "python", *arguments], env=env, timeout=timeout)
    except (OSError, process.TimedOut):
        return None


def _own_version() -> str:
    return "%d.%d.%d" % sys.version_info[:3]  # noqa: UP031 - a tuple to a text
