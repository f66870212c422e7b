"""The interpreters of this machine: CPython of one minor version, found without being installed.

Nothing below the checkout is started: what lies there may be another's. A version that a tool wrote
into a directory's name is believed, for whoever compiles checks it; what is only on PATH is asked,
and the answer kept.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass
from launch_action.core.image import fingerprint

# Without suffix: builds without the GIL (t) and for debugging (d) may compile otherwise.
_PROBE = """\
import sys
kind = {"alpha": "a", "beta": "b", "candidate": "rc", "final": ""}[sys.version_info[3]]
print(sys.implementation.name + getattr(sys, "abiflags", ""))
print("%d.%d.%d" % sys.version_info[:3] + (kind and "%s%d" % (kind, sys.version_info[4])))
"""
_SECONDS = 20
_KIND = "interpreters"
# The kind of the cache where those are that were fetched to compile with.
FETCHED = "pythons"
_TOOLS = "/opt/hostedtoolcache"
_PLAIN = re.compile(r"\d+\.\d+\.\d+")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A CPython of this machine: `version` X.Y.Z, with a suffix (`rc1`) before its release."""

    version: str
    executable: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Where interpreters are looked for: `environment` names the places, `checkout` is left out."""

    cache: Cache
    environment: Mapping[str, str]
    checkout: Path

    def interpreters(self, minor: str) -> Iterator[Interpreter]:
        """Those of version `minor` (X.Y), the cheapest to find first, always in one order."""
        seen: dict[str, str] = {}
        for found in self._cheap(minor):
            if found.version not in seen:
                seen[found.version] = os.path.realpath(found.executable)
                yield found
        for executable in self._on_path(minor):
            version = "" if executable in seen.values() else self._version(executable)
            if version.startswith(f"{minor}.") and version not in seen:
                seen[version] = executable
                yield Interpreter(version, executable)

    def _cheap(self, minor: str) -> Iterator[Interpreter]:
        """Those that need not be asked."""
        ours = _ours()
        if ours and ours.version.startswith(f"{minor}."):
            yield ours
        yield from self._named(minor)

    def _named(self, minor: str) -> Iterator[Interpreter]:
        """Where a directory says the version: of actions/setup-python, pyenv and uv; newest first.

        The directories' names are `3.12.4/x64`, `3.12.4`, and `cpython-3.12.4-linux-x86_64-gnu`.
        """
        get = self.environment.get
        home = Path(get("HOME") or "/")
        tools = Path(get("RUNNER_TOOL_CACHE") or _TOOLS, "Python")
        pyenv = Path(get("PYENV_ROOT") or home / ".pyenv", "versions")
        data = Path(get("XDG_DATA_HOME") or home / ".local/share")
        uv = Path(get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
        version = rf"({re.escape(minor)}\.\d+)"
        places = (
            (tools, "*/*", rf"{version}/(?:x64|arm64)"),
            (pyenv, "*", version),
            (uv, "*", rf"cpython-{version}-.*"),
            (self.cache.root / FETCHED, "*/*", rf"[^/]*/cpython-{version}-.*"),
        )
        for root, inside, name in places:
            if root.is_absolute():
                yield from self._below(root, inside, re.compile(name), minor)

    def _below(
        self, root: Path, inside: str, name: re.Pattern[str], minor: str
    ) -> Iterable[Interpreter]:
        found = []
        for place in root.glob(inside):
            match = name.fullmatch(str(place.relative_to(root)))
            executable = place / "bin" / f"python{minor}"
            if match and self._may_start(executable):
                found.append(Interpreter(match[1], str(executable)))
        return sorted(found, key=lambda one: (-int(one.version.split(".")[2]), one.executable))

    def _on_path(self, minor: str) -> Iterator[str]:
        """The interpreters on PATH; version managers' shims are none, and ask the checkout."""
        seen = set()
        for folder in (self.environment.get("PATH") or os.defpath).split(os.pathsep):
            executable = Path(folder, f"python{minor}")
            if executable.parent.name == "shims" or not self._may_start(executable):
                continue
            real = os.path.realpath(executable)
            if real not in seen:
                seen.add(real)
                yield real

    def _may_start(self, executable: Path) -> bool:
        if not executable.is_absolute() or not os.access(executable, os.X_OK):
            return False
        checkout = self.checkout.resolve()
        return checkout == Path("/") or not executable.resolve().is_relative_to(checkout)

    def _version(self, executable: str) -> str:
        """The version of a CPython, asked once for every file; empty when it is none."""
        found = Path(executable).stat()
        # An upgrade puts another file in the same place.
        key = fingerprint(executable, found.st_mtime_ns, found.st_size, found.st_ino)
        if note := self.cache.find(_KIND, key):
            with suppress(OSError):
                return note.read_text("utf-8")
        version = ask(executable)
        with self.cache.write(_KIND, key) as path:
            path.write_text(version, "utf-8")
        return version


def _ours() -> Interpreter | None:
    """The one that runs this program, outside of its virtual environment."""
    version = sys.version.split()[0]
    if sys.implementation.name != "cpython" or sys.abiflags or not _PLAIN.fullmatch(version):
        return None
    return Interpreter(version, os.path.realpath(sys.executable))


def ask(executable: str) -> str:
    """The version of a CPython, asked in isolation; empty when it is none."""
    from launch_action import process

    try:
        done = process.run([executable, "-I", "-S", "-c", _PROBE], timeout=_SECONDS, cwd=Path("/"))
    except (OSError, process.TimedOut):
        return ""
    name, _, version = done.text.partition("\n")
    return version.strip() if done.code == 0 and name == "cpython" else ""
