"""Wheels from sources, where a package has none: an sdist, or a directory of the context.

Only what comes out as pure Python is taken: compiled code would fit this machine, not the target.
The build back end runs on this machine, in a directory of its own, without any index login.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from urllib.parse import unquote, urlsplit

from launch_action import process
from launch_action.builders.layers.download import KIND, Downloader
from launch_action.builders.layers.index_auth import (
    INDEX_VARIABLES,
    environment_indexes,
    secrets,
)
from launch_action.builders.layers.lock import LockedWheel, Resolution, SourcePackage
from launch_action.builders.layers.resolve import Uv
from launch_action.builders.layers.target import Target
from launch_action.builders.layers.uv_failure import last_lines, mask
from launch_action.core.context import Context, TreeFile
from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError

# Part of the key of a built wheel: raised when the same source comes to give another wheel.
_FORMAT = "source-wheel-1"
_CACHE_KIND = "source-wheels"
# Where nothing else bounds them (hashes, a lock), build back ends are taken as of this day: a newer
# one writes its version into the wheel, and the same build key would give another image.
_BACK_ENDS = "2026-11-01T00:00:00Z"
_DATE = (1980, 1, 1, 0, 0, 0)
_HINT = "require a version that has a wheel, or build with --builder buildkit and a Dockerfile"


@dataclass(frozen=True, slots=True)
class SourceBuilder:
    """Builds the wheels that are missing. `cutoff` bounds what back ends are taken, as RFC 3339."""

    inputs: DependencyInputs
    target: Target
    uv: Uv
    downloader: Downloader
    cutoff: str | None = None
    context: Context | None = None

    def complete(self, resolution: Resolution) -> Resolution:
        """The resolution with a wheel for every package. Raises BuildError."""
        if not resolution.sources:
            return resolution
        built = tuple(self.build(source) for source in resolution.sources)
        wheels = sorted((*resolution.wheels, *built), key=lambda one: one.name)
        return Resolution(tuple(wheels))

    def build(self, source: SourcePackage) -> LockedWheel:
        """The wheel of a source, from the cache where it was built before. Raises BuildError."""
        if source.kind == "other":
            raise BuildError(f"no wheel of {source.name} for {self.target}", hint=_HINT)
        key = self._key(source)
        known = self._known(key)
        if known:
            return known
        with tempfile.TemporaryDirectory(prefix="launch-action-") as name:
            made = self._run(source, Path(name))
            wheel = self._keep(source, made)
        with self.downloader.cache.write(_CACHE_KIND, key) as path:
            path.write_text(json.dumps(asdict(wheel)))
        return wheel

    def _key(self, source: SourcePackage) -> str:
        content = source.sha256 or source.url
        if source.kind == "directory":
            content = "\n".join(
                f"{one.path} {one.kind} {one.content}" for one in self._files(source)
            )
        parts = (_FORMAT, source.name, content, self.target.minor, self.cutoff or _BACK_ENDS)
        return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()

    def _known(self, key: str) -> LockedWheel | None:
        note = self.downloader.cache.find(_CACHE_KIND, key)
        if note is None:
            return None
        try:
            document = json.loads(note.read_text())
            wheel = LockedWheel(**{**document, "hashes": tuple(document["hashes"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return wheel if self.downloader.cache.find(KIND, wheel.sha256) else None

    def _files(self, source: SourcePackage) -> list[TreeFile]:
        files = self.context.files if self.context else ()
        below = "" if source.path == "." else f"{source.path}/"
        return [one for one in files if one.kind != "symlink" and one.path.startswith(below)]

    def _run(self, source: SourcePackage, directory: Path) -> Path:
        for name in ("config", "out"):
            (directory / name).mkdir()
        if source.kind == "directory":
            place = directory / "context" / source.path
            self._copy(source, directory / "context")
        else:
            place = self._sdist(source, directory)
        arguments = ["build", "--wheel", "--no-config", "--out-dir", str(directory / "out")]
        arguments += ["--python", self._interpreter(directory)]
        arguments += ["--exclude-newer", self.cutoff or _BACK_ENDS]
        quiet = replace(self.uv, environment=self._without_logins())
        done = quiet.run([*arguments, str(place)], self.inputs, directory, directory / "config")
        made = sorted((directory / "out").glob("*.whl"))
        if done.code or len(made) != 1:
            text = mask(
                done.err.decode("utf-8", "replace"), secrets(self.inputs, self.uv.environment)
            )
            raise BuildError(
                f"{_title(source)} has no wheel for {self.target}, and building it failed",
                hint=_HINT,
                context=last_lines(text),
            )
        return made[0]

    def _without_logins(self) -> dict[str, str]:
        """The index variables without logins: a build back end is other people's code."""
        every = self.uv.environment
        names: tuple[str, ...] = process.ALLOWED
        if all(without_credentials(one.url) == one.url for one in environment_indexes(every)):
            names += INDEX_VARIABLES
        return {name: every[name] for name in names if name in every}

    def _interpreter(self, directory: Path) -> str:
        """The machine's Python of the target's version where there is one, else our own."""
        arguments = ["python", "find", "--no-config", "--no-project", self.target.minor]
        done = self.uv.run(arguments, self.inputs, directory, directory / "config")
        found = done.text.strip()
        return found if done.code == 0 and found else sys.executable

    def _copy(self, source: SourcePackage, root: Path) -> None:
        if self.context is None:
            raise ValueError("a directory needs the build context")
        for file, chunks in self.context.contents(self._files(source)):
            place = root / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("wb") as out:
                for chunk in chunks:
                    out.write(chunk)
            place.chmod(0o755 if file.kind == "executable" else 0o644)

    def _sdist(self, source: SourcePackage, directory: Path) -> Path:
        filename = unquote(urlsplit(source.url).path.rpartition("/")[2])
        locked = LockedWheel(source.name, source.version, filename, source.url, source.sha256)
        place = directory / Path(filename).name
        place.symlink_to(self.downloader.fetch(locked).resolve())
        return place

    def _keep(self, source: SourcePackage, made: Path) -> LockedWheel:
        tags = made.name.removesuffix(".whl").split("-")[-3:]
        fits = any(f"{python}-none-any" in self.target.ranks for python in tags[0].split("."))
        if tags[1:] != ["none", "any"] or not fits:
            raise BuildError(
                f"{_title(source)} has no wheel for {self.target}, and its source gives one that "
                f"is not pure Python: {made.name}",
                hint=_HINT,
            )
        content = canonical_wheel(made)
        digest = hashlib.sha256(content).hexdigest()
        with self.downloader.cache.write(KIND, digest) as path:
            path.write_bytes(content)
        version = made.name.split("-")[1]
        name, size = source.name, len(content)
        return LockedWheel(name, source.version or version, made.name, "", digest, size)


def canonical_wheel(path: Path) -> bytes:
    """A wheel's content as a zip that depends on nothing else: sorted, stored, one date, two modes.

    What a back end writes depends on the umask and on its zlib; the layers' keys must not.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as new:
        for info in sorted(_files_of(old), key=lambda one: one.filename):
            entry = zipfile.ZipInfo(info.filename, _DATE)
            executable = (info.external_attr >> 16) & 0o111
            entry.external_attr = (0o100755 if executable else 0o100644) << 16
            entry.create_system = 3
            new.writestr(entry, old.read(info))
    return out.getvalue()


def _files_of(archive: zipfile.ZipFile) -> Iterator[zipfile.ZipInfo]:
    return (one for one in archive.infolist() if not one.is_dir())


def _title(source: SourcePackage) -> str:
    place = f" ({source.path})" if source.path else ""
    return f"{source.name} {source.version}".strip() + place
