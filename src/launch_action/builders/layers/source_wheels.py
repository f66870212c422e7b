"""Wheels from sources, where a package has none: an sdist, a directory, a repository's commit.

The build back end runs on this machine, in an isolated environment that uv makes, in a directory of
its own and without any index login. Compiled code is taken where this machine is like the target.
A back end may write what it likes: such a wheel is kept by its source, and told of as not
reproducible.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from launch_action import process
from launch_action.builders.layers.back_ends import COMPILERS, bound, bounds, build_back_end
from launch_action.builders.layers.built_code import builds_for, code_needs, unfit
from launch_action.builders.layers.download import KIND, Downloader
from launch_action.builders.layers.index_auth import INDEX_VARIABLES, environment_indexes, secrets
from launch_action.builders.layers.lock import LockedWheel, Resolution, SourcePackage
from launch_action.builders.layers.resolve import Uv
from launch_action.builders.layers.source_tree import SourceTrees
from launch_action.builders.layers.tag_versions import PRETENDED, VERSION
from launch_action.builders.layers.target import Target
from launch_action.builders.layers.uv_failure import build_words, last_lines, mask
from launch_action.builders.layers.uv_inputs import build_index_arguments
from launch_action.core.context import Context
from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError
from launch_action.scratch import scratch_directory

# Part of the key of a built wheel: raised when the same source comes to give another wheel.
_FORMAT = "source-wheel-3"
_CACHE_KIND = "source-wheels"
# At once: each has a back end to fetch, and perhaps a compiler of one thread.
_BUILDS = 4
# Seconds for one: the largest there are take about an hour.
_BUILD_TIMEOUT = 7200.0
_DATE = (1980, 1, 1, 0, 0, 0)
_HINT = "require a version that has a wheel, or build with --builder buildkit and a Dockerfile"
_UNDATED = "missing an upload date"


@dataclass(frozen=True, slots=True)
class SourceBuilder:
    """Builds the wheels that are missing. `cutoff` bounds what back ends are taken, as RFC 3339.

    `note` is told of each wheel that is built, `warn` of what its code needs of the base.
    """

    inputs: DependencyInputs
    target: Target
    uv: Uv
    downloader: Downloader
    cutoff: str | None = None
    context: Context | None = None
    note: Callable[[str], object] = id
    warn: Callable[[str], object] = id

    def complete(self, resolution: Resolution) -> Resolution:
        """The resolution with a wheel for every package. Raises BuildError."""
        if not resolution.sources:
            return resolution
        # Compiled for this machine it would be refused, after all the time that it takes.
        foreign = not builds_for(self.target)
        sources = resolution.sources
        hopeless = [one for one in sources if one.kind == "other" or (one.compiled and foreign)]
        if hopeless:
            Resolution((), tuple(hopeless)).require_wheels(self.target)
        with ThreadPoolExecutor(_BUILDS) as pool:
            built = tuple(pool.map(self.build, resolution.sources))
        wheels = sorted((*resolution.wheels, *built), key=lambda one: one.name)
        return Resolution(tuple(wheels))

    def build(self, source: SourcePackage) -> LockedWheel:
        """The wheel of a source, from the cache where it was built before. Raises BuildError."""
        for key in self._keys(source):
            known = self._known(key)
            if known:
                return known
        day = f" as of {self.cutoff[:10]}" if self.cutoff else ""
        self.note(f"{_title(source)} has no wheel for {self.target}{day}: building it from source")
        with scratch_directory() as name:
            made = self._run(source, Path(name))
            wheel = self._keep(source, made)
        pure, here = self._keys(source)
        key = pure if wheel.filename.endswith("-none-any.whl") else here
        with self.downloader.cache.write(_CACHE_KIND, key) as path:
            path.write_text(json.dumps(asdict(wheel)))
        self.note(f"{wheel.filename} was built here: nothing says that it comes out the same again")
        return wheel

    @property
    def _trees(self) -> SourceTrees:
        declared = self.inputs.repositories
        return SourceTrees(self.downloader, self.context, declared, self.uv.environment)

    def _keys(self, source: SourcePackage) -> tuple[str, str]:
        """What a wheel of pure Python is kept by, and one with code for the target alone."""
        content = self._trees.identity(source)
        parts = (_FORMAT, source.name, content, self.target.minor, bound(self.cutoff))
        return _digest(*parts), _digest(*parts, str(self.target))

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

    def _run(self, source: SourcePackage, directory: Path) -> Path:
        for name in ("config", "out"):
            (directory / name).mkdir()
        place = self._trees.fetch(source, directory)
        self._check_hope(source, place)
        done = self._uv_build(source, place, directory, bounds(bound(self.cutoff)))
        if done.code and _UNDATED in done.err.decode("utf-8", "replace"):
            # An index that tells no upload times has no back end of any day.
            done = self._uv_build(source, place, directory, [])
        made = sorted((directory / "out").glob("*.whl"))
        if done.code or len(made) != 1:
            hidden = secrets(self.inputs, self.uv.environment)
            text = mask(done.err.decode("utf-8", "replace"), hidden)
            raise BuildError(
                f"{_title(source)} has no wheel for {self.target}, and building it failed"
                f"{self._other_python(directory)}: {build_words(text)}",
                hint=_HINT,
                context=last_lines(text),
            )
        return made[0]

    def _check_hope(self, source: SourcePackage, place: Path) -> None:
        """Raise BuildError at once for code that only another machine could compile."""
        back_end = build_back_end(place)
        if back_end.partition(".")[0] in COMPILERS and not builds_for(self.target):
            raise BuildError(
                f"{_title(source)} has no wheel for {self.target}, and its source (by {back_end}) "
                "is compiled, which needs a machine like it",
                hint=_HINT,
            )

    def _uv_build(
        self, source: SourcePackage, place: Path, directory: Path, bounded: list[str]
    ) -> process.Finished:
        arguments = ["build", "--wheel", "--no-config", "--out-dir", str(directory / "out")]
        arguments += ["--python", self._interpreter(directory), *bounded]
        arguments += build_index_arguments(self.inputs)
        # A directory of the commit comes without the repository around it.
        more = PRETENDED if source.kind == "directory" else ()
        quiet = replace(self.uv, environment=self._without_logins(), more=more)
        inputs = DependencyInputs("none")
        words = [*arguments, str(place)]
        return quiet.run(words, inputs, directory, directory / "config", timeout=_BUILD_TIMEOUT)

    def _without_logins(self) -> dict[str, str]:
        """The index variables without logins: a build back end is other people's code."""
        every = self.uv.environment
        names: tuple[str, ...] = process.ALLOWED
        if all(without_credentials(one.url) == one.url for one in environment_indexes(every)):
            names += INDEX_VARIABLES
        return {name: every[name] for name in names if name in every}

    def _interpreter(self, directory: Path) -> str:
        """The machine's Python of the target's version where there is one, else our own."""
        return self._found_python(directory) or sys.executable

    def _found_python(self, directory: Path) -> str:
        arguments = ["python", "find", "--no-config", "--no-project", self.target.minor]
        done = self.uv.run(arguments, self.inputs, directory, directory / "config")
        return done.text.strip() if done.code == 0 else ""

    def _other_python(self, directory: Path) -> str:
        """A remark where the build had to do with another Python than the job's."""
        if self._found_python(directory):
            return ""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f" (by Python {version}: this machine has no {self.target.minor})"

    def _keep(self, source: SourcePackage, made: Path) -> LockedWheel:
        self._check(source, made)
        if source.kind == "directory" and made.name.split("-")[1] == VERSION:
            self.warn(
                f"{_title(source)}: its version is {VERSION}; one made of git's tags is not "
                "known, for an image depends on its content and not on the commit"
            )
        content = canonical_wheel(made)
        digest = hashlib.sha256(content).hexdigest()
        with self.downloader.cache.write(KIND, digest) as path:
            path.write_bytes(content)
        return LockedWheel(
            source.name,
            source.version or made.name.split("-")[1],
            made.name,
            "",
            digest,
            len(content),
            source=source.origin,
            built=source.place,
        )

    def _check(self, source: SourcePackage, made: Path) -> None:
        """Raise BuildError for a wheel that is not for the target."""
        if made.name.endswith("-none-any.whl") and self.target.fits(made.name):
            return
        why = "this machine is not like it"
        if builds_for(self.target):
            needs = code_needs(made)
            why = unfit(needs, self.target)
            if not why and not self.target.fits(made.name):
                why = f"this machine has no Python {self.target.minor}"
            if not why:
                for name in needs.libraries:
                    self.warn(f"{_title(source)} needs {name}, which the base image must have")
                return
        raise BuildError(
            f"{_title(source)} has no wheel for {self.target}, and its source gives one that does "
            f"not fit: {made.name} ({why})",
            hint=_HINT,
        )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


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
