"""Resolves declared dependencies to wheels for a target, by uv; nothing is built or installed.

uv sees private copies of the declaring files, an environment of our making, and no configuration
of the machine: the same inputs, target and cutoff give the same wheels anywhere.
"""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from launch_action import process
from launch_action.builders.layers.git_source import git_secrets, uv_git_environment
from launch_action.builders.layers.index_auth import poetry_logins, secrets, uv_variables
from launch_action.builders.layers.local_files import write_local
from launch_action.builders.layers.lock import (
    Resolution,
    SourcePackage,
    dump_resolution,
    load_resolution,
)
from launch_action.builders.layers.pylock_reader import read_lock
from launch_action.builders.layers.tag_versions import pretended_versions
from launch_action.builders.layers.target import Target
from launch_action.builders.layers.uv_failure import (
    Failure,
    failed,
    last_lines,
    mask,
    read_failure,
)
from launch_action.builders.layers.uv_inputs import (
    allowed_hashes,
    compile_arguments,
    export_arguments,
    places,
    write_inputs,
)
from launch_action.cache import Cache
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError
from launch_action.core.project_file import project_identity
from launch_action.core.python_name import normal
from launch_action.scratch import scratch_directory

_CACHE_KIND = "resolutions"
_TIMEOUT = 900.0
_FINDING = threading.Lock()


def find_uv() -> Path:
    """The uv that came with us, else the one on PATH. Raises BuildError."""
    try:
        import uv

        # The first to ask `sysconfig` fills it, and who asks meanwhile gets half of it.
        with _FINDING:
            return Path(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        found = process.which("uv")
    if found is None:
        raise BuildError("uv is not installed", hint="pip install uv")
    return found


@dataclass(frozen=True, slots=True)
class Uv:
    """How uv is called: the program, its cache, and the environment that logins are taken from.

    `more` is what build back ends see besides.
    """

    program: Path
    cache_dir: Path
    environment: Mapping[str, str]
    more: tuple[tuple[str, str], ...] = ()

    def run(
        self,
        arguments: Sequence[str],
        inputs: DependencyInputs,
        cwd: Path,
        config: Path,
        *,
        timeout: float = _TIMEOUT,
    ) -> process.Finished:
        """Run uv in `cwd`; `config` is an empty directory that stands for the user's settings.

        Raises BuildError when it takes more than `timeout` seconds.
        """
        names = (*process.ALLOWED, *uv_variables(inputs, self.environment))
        values = {name: self.environment[name] for name in names if name in self.environment}
        values |= poetry_logins(inputs, self.environment)
        if inputs.repositories:
            values |= uv_git_environment(inputs.repositories, self.environment)
        values |= dict(self.more)
        values |= {
            "LC_ALL": "C.UTF-8",
            "UV_CACHE_DIR": str(self.cache_dir),
            "UV_NO_SYSTEM_CONFIG": "1",
            "XDG_CONFIG_HOME": str(config),
            "UV_PYTHON_DOWNLOADS": "never",
            "SOURCE_DATE_EPOCH": "315532800",
        }
        everywhere = ["--color", "never", "--no-progress"]
        command = [str(self.program), *arguments, *everywhere]
        try:
            # With what it has started: it ends no builder of a package that it waits for.
            return process.run(command, cwd=cwd, env=values, timeout=timeout, group=True)
        except process.TimedOut:
            raise BuildError(
                f"uv {arguments[0]} did not end in {timeout / 60:.0f} minutes",
                hint="check the network; lock the requirements, or ask for versions with wheels",
            ) from None


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
    if inputs.kind == "pylock":
        return _with_project(_read_own_lock(inputs, target), inputs)
    stable = cache if key and (cutoff or inputs.pinned or inputs.exact) else None
    known = _cached(stable, key)
    if known:
        return known
    with scratch_directory() as name:
        named = replace(uv, more=pretended_versions(context, inputs.local))
        attempt = _Attempt(inputs, target, named, Path(name), build_metadata)
        attempt.write(context)
        text = attempt.lock(cutoff)
        allowed = allowed_hashes(inputs)
        found = read_lock(
            text, target, root=str(attempt.root), hashes=allowed, places=places(inputs)
        )
    found = _with_project(found, inputs)
    _check_commits(found, inputs)
    if stable:
        with stable.write(_CACHE_KIND, key) as path:
            path.write_text(dump_resolution(found))
    return found


def _read_own_lock(inputs: DependencyInputs, target: Target) -> Resolution:
    text = dict(inputs.files)[inputs.main].decode("utf-8-sig")
    below = posixpath.dirname(inputs.main)
    return read_lock(text, target, below=below, extras=inputs.extras, groups=inputs.groups)


def _with_project(found: Resolution, inputs: DependencyInputs) -> Resolution:
    """The resolution with the project itself as a package to be built, where it is asked for."""
    if not inputs.project or any(one.path == "." for one in found.sources):
        return found
    content = dict(inputs.files).get("pyproject.toml", b"")
    name, version = project_identity(content)
    if not name:
        raise BuildError(
            "--install-project: pyproject.toml does not tell the project's name",
            hint="write it as project.name, or leave the option out",
        )
    project = SourcePackage(normal(name), version, "directory", path=".")
    return Resolution(found.wheels, (*found.sources, project))


def _check_commits(found: Resolution, inputs: DependencyInputs) -> None:
    """Raise BuildError when a branch moved between our asking and uv's."""
    expected: dict[str, set[str]] = {}
    for one in inputs.repositories:
        if one.fixed:
            expected.setdefault(one.plain, set()).add(one.revision)
    for source in found.sources:
        known = expected.get(source.url, set())
        if source.kind == "git" and known and source.revision not in known:
            raise BuildError(
                f"{source.url} moved to {source.revision[:12]} while it was read",
                hint="run the same command again, or name a commit",
            )


def _cached(cache: Cache | None, key: str) -> Resolution | None:
    path = cache.find(_CACHE_KIND, key) if cache else None
    if path is None:
        return None
    with suppress(OSError, ValueError, KeyError, TypeError):
        return load_resolution(path.read_text())
    return None


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
        write_inputs(self.inputs, self.root, build=self.build_metadata)
        if self.inputs.kind != "uv-lock":
            write_local(self.inputs, context, self.root)

    def lock(self, cutoff: str | None) -> str:
        """The pylock document. Raises BuildError with what uv said."""
        done = self._run(cutoff)
        if done.code == 0:
            return done.text
        hidden = (
            *secrets(self.inputs, self.uv.environment),
            *git_secrets(self.inputs.repositories, self.uv.environment),
        )
        stderr = mask(done.err.decode("utf-8", "replace"), hidden)
        failure = read_failure(stderr, self.target)
        if cutoff and failure.kind in ("version", "conflict", "wheel", "python"):
            self._explain_cutoff(cutoff, failure, stderr)
        raise failed(failure, stderr, places(self.inputs))

    def _run(self, cutoff: str | None) -> process.Finished:
        if self.inputs.kind == "uv-lock":
            arguments = export_arguments(self.inputs)
        else:
            build = self.build_metadata
            arguments = compile_arguments(self.inputs, self.target, cutoff, build=build)
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
