"""Resolves declared dependencies to wheels for a target, by uv; nothing is built or installed.

uv sees private copies of the declaring files, an environment of our making, and no configuration
of the machine: the same inputs, target and cutoff give the same wheels anywhere.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from launch_action import process
from launch_action.builders.layers.index_auth import secrets, uv_variables
from launch_action.builders.layers.local_files import write_local
from launch_action.builders.layers.lock import (
    Resolution,
    dump_resolution,
    load_resolution,
    read_lock,
)
from launch_action.builders.layers.target import Target
from launch_action.builders.layers.uv_failure import (
    Failure,
    failed,
    last_lines,
    mask,
    read_failure,
)
from launch_action.cache import Cache
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError

_CACHE_KIND = "resolutions"
_TIMEOUT = 900.0
_INPUT = "requirements.in"
_CONSTRAINTS = "constraints.txt"


def find_uv() -> Path:
    """The uv that came with us, else the one on PATH. Raises BuildError."""
    try:
        import uv

        return Path(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = process.which("uv")
    if found is None:
        raise BuildError("uv is not installed", hint="pip install uv")
    return found


@dataclass(frozen=True, slots=True)
class Uv:
    """How uv is called: the program, its cache, and the environment that logins are taken from."""

    program: Path
    cache_dir: Path
    environment: Mapping[str, str]

    def run(
        self, arguments: Sequence[str], inputs: DependencyInputs, cwd: Path, config: Path
    ) -> process.Finished:
        """Run uv in `cwd`; `config` is an empty directory that stands for the user's settings."""
        names = (*process.ALLOWED, *uv_variables(inputs, self.environment))
        values = {name: self.environment[name] for name in names if name in self.environment}
        values |= {
            "LC_ALL": "C.UTF-8",
            "UV_CACHE_DIR": str(self.cache_dir),
            "UV_NO_SYSTEM_CONFIG": "1",
            "XDG_CONFIG_HOME": str(config),
            "UV_PYTHON_DOWNLOADS": "never",
            "SOURCE_DATE_EPOCH": "315532800",
        }
        everywhere = ["--color", "never", "--no-progress"]
        return process.run(
            [self.program, *arguments, *everywhere],
            cwd=cwd,
            env=values,
            timeout=_TIMEOUT,
        )


def resolve(
    inputs: DependencyInputs,
    target: Target,
    *,
    cutoff: str | None,
    uv: Uv,
    context: Context | None = None,
    build_metadata: bool = True,
    cache: Cache | None = None,
    key: str = "",
) -> Resolution:
    """The wheels of these inputs for a target.

    `cutoff` is an RFC 3339 time, or None. `context` gives the files of local requirements. Where
    the newest version of a package has only a source, its metadata is read by running its build
    back end (as pip would); with `build_metadata` False such versions are passed over, and an older
    one with a wheel may be chosen. With `cache` and `key` (the fingerprint), a resolution that can
    never change is kept. Raises BuildError.
    """
    if inputs.kind == "none":
        return Resolution(())
    stable = cache if key and (cutoff or inputs.pinned) else None
    known = _cached(stable, key)
    if known:
        return known
    with tempfile.TemporaryDirectory(prefix="launch-action-") as name:
        attempt = _Attempt(inputs, target, uv, Path(name), build_metadata)
        attempt.write(context)
        text = attempt.lock(cutoff)
        root = str(attempt.root)
        found = read_lock(text, target, root=root, hashes=_hashes(inputs), places=places(inputs))
    if stable:
        with stable.write(_CACHE_KIND, key) as path:
            path.write_text(dump_resolution(found))
    return found


def _cached(cache: Cache | None, key: str) -> Resolution | None:
    path = cache.find(_CACHE_KIND, key) if cache else None
    if path is None:
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        return load_resolution(path.read_text())
    return None


def _hashes(inputs: DependencyInputs) -> dict[str, list[str]] | None:
    """The digests allowed per package, when the requirements files check hashes."""
    if inputs.kind != "requirements" or not inputs.pinned:
        return None
    found: dict[str, list[str]] = {}
    for one in (*inputs.requirements, *inputs.constraints):
        found.setdefault(one.name, []).extend(one.hashes)
    for local in inputs.local_requirements:
        name = Path(local.path).name.split("-")[0].lower().replace("_", "-").replace(".", "-")
        found.setdefault(name, []).extend(local.hashes)
    return found


@dataclass(slots=True)
class _Attempt:
    """One resolution in a private directory: `root` holds the files, `config` nothing."""

    inputs: DependencyInputs
    target: Target
    uv: Uv
    directory: Path
    build_metadata: bool

    @property
    def root(self) -> Path:
        return self.directory / "context"

    def write(self, context: Context | None) -> None:
        self.root.mkdir()
        (self.directory / "config").mkdir()
        if self.inputs.kind == "requirements":
            self._write(_INPUT, _flat(self.inputs).encode())
            if self.inputs.constraints:
                lines = "".join(f"{one.text}\n" for one in self.inputs.constraints)
                self._write(_CONSTRAINTS, lines.encode())
        else:
            for path, content in self.inputs.files:
                self._write(path, content)
        if self.inputs.kind != "uv-lock":
            write_local(self.inputs, context, self.root)

    def _write(self, path: str, content: bytes) -> None:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def lock(self, cutoff: str | None) -> str:
        """The pylock document. Raises BuildError with what uv said."""
        done = self._run(cutoff)
        if done.code == 0:
            return done.text
        hidden = secrets(self.inputs, self.uv.environment)
        stderr = mask(done.err.decode("utf-8", "replace"), hidden)
        failure = read_failure(stderr, self.target)
        if cutoff and failure.kind in ("version", "conflict", "wheel", "python"):
            self._explain_cutoff(cutoff, failure, stderr)
        raise failed(failure, stderr, places(self.inputs))

    def _run(self, cutoff: str | None) -> process.Finished:
        arguments = self._export() if self.inputs.kind == "uv-lock" else self._compile(cutoff)
        return self.uv.run(arguments, self.inputs, self.root, self.directory / "config")

    def _explain_cutoff(self, cutoff: str, failure: Failure, stderr: str) -> None:
        """Raise BuildError when the resolution would succeed without the cutoff."""
        if self._run(None).code:
            return
        day = cutoff[:10]
        if "missing an upload date" in stderr:
            raise BuildError(
                f"the index tells no upload times, so nothing is known to exist as of {day}",
                hint="--resolve-date latest resolves without a date; or commit a lock or hashes",
                context=last_lines(stderr),
            )
        raise BuildError(
            f"the requirements cannot be met as of {day} (the commit's date, or --resolve-date), "
            f"but they can today: {failure.message}",
            hint="--resolve-date latest, or a later date; or commit a lock",
            context=last_lines(stderr),
        )

    def _compile(self, cutoff: str | None) -> list[str]:
        by_file = self.inputs.kind == "requirements"
        options = {one.name for one in self.inputs.options}
        arguments = ["pip", "compile", _INPUT if by_file else "pyproject.toml"]
        arguments += ["--no-config"] if by_file else []
        arguments += ["-c", _CONSTRAINTS] if self.inputs.constraints else []
        arguments += ["--format", "pylock.toml", "--no-header", "--no-annotate"]
        # Our own interpreter, always: a python3.12 on PATH may be a shim that does not run, and
        # nothing but build back ends would use it.
        arguments += ["--python", sys.executable]
        arguments += ["--python-version", self.target.python]
        arguments += ["--python-platform", self.target.uv_platform]
        for extra in self.inputs.extras:
            arguments += ["--extra", extra]
        arguments += ["--exclude-newer", cutoff] if cutoff else []
        arguments += ["--prerelease", "allow"] if "pre" in options else []
        arguments += [] if self.build_metadata else ["--only-binary", ":all:"]
        return arguments

    def _export(self) -> list[str]:
        arguments = ["export", "--frozen", "--offline", "--format", "pylock.toml"]
        arguments += ["--no-default-groups", "--no-emit-project", "--no-header", "--no-annotate"]
        arguments += ["--python", sys.executable]
        for extra in self.inputs.extras:
            arguments += ["--extra", extra]
        return arguments


def places(inputs: DependencyInputs) -> dict[str, str]:
    """Where each package is required, as `file:line`, by its normalised name."""
    return {one.name: str(one.origin) for one in reversed(inputs.requirements)}


def _flat(inputs: DependencyInputs) -> str:
    """One requirements file for uv from all that were read, hashes left to us to check."""
    lines = index_lines(inputs)
    for one in inputs.options:
        if one.name in ("no-binary", "only-binary"):
            lines.append(f"--{one.name} {one.value}")
    lines += [one.text for one in inputs.requirements]
    lines += [f"./{one.path}{one.suffix}" for one in inputs.local_requirements]
    return "".join(f"{line}\n" for line in lines)


def index_lines(inputs: DependencyInputs) -> list[str]:
    """The index options of all requirements files; as in pip, the last index URL wins."""
    urls = [one.value for one in inputs.options if one.name == "index-url"]
    lines = [f"--index-url {urls[-1]}"] if urls else []
    for one in inputs.options:
        if one.name in ("extra-index-url", "find-links"):
            lines.append(f"--{one.name} {one.value}")
        elif one.name == "no-index":
            lines.append("--no-index")
    return lines
