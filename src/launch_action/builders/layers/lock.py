"""What is to be installed: one wheel per package, and the sources that have none."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal

from launch_action.builders.layers.target import Target
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.vcs import GitSource

# Of what is kept in the cache: raised when a field comes to mean something else.
_FORMAT = 2


@dataclass(frozen=True, slots=True)
class LockedWheel:
    """One wheel to install.

    `url` has no credentials; it is empty for a wheel of the build context, which is at `path`, and
    for one that was built here from `built`, a URL or a path of the context. `sha256` is
    hexadecimal, `size` counts bytes where the lock tells it. `direct` says that the requirement
    names this URL itself, `source` is the URL of what a wheel was built from, where that was named
    itself. `hashes` are further allowed digests (`sha512:...`), of which one must hold, from a
    requirements file that gives no sha256 for it.
    """

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size: int | None = None
    path: str = ""
    direct: bool = False
    hashes: tuple[str, ...] = ()
    source: str = ""
    built: str = ""


@dataclass(frozen=True, slots=True)
class SourcePackage:
    """A package that the lock has no fitting wheel for.

    An sdist is at `url` or, in the build context, at `path`; a directory is at `path`; of a git
    repository `url` is without credentials, `revision` a commit and `requested` what was asked for.
    `direct` says that the requirement names this URL itself. `compiled` sources give a wheel for
    one platform: those that the index has of the version are.
    """

    name: str
    version: str
    kind: Literal["sdist", "directory", "git", "other"]
    url: str = ""
    sha256: str = ""
    path: str = ""
    revision: str = ""
    subdirectory: str = ""
    requested: str = ""
    direct: bool = False
    compiled: bool = False

    @property
    def repository(self) -> GitSource:
        """The repository at its commit."""
        return GitSource(self.url, self.revision, self.subdirectory, self.name)

    @property
    def place(self) -> str:
        """Where the source is: a URL without credentials, or a path of the context."""
        return self.origin or self.url or self.path

    @property
    def origin(self) -> str:
        """The URL that the requirement names itself, without credentials; else empty."""
        return self.repository.requirement() if self.kind == "git" else self.url * self.direct


@dataclass(frozen=True, slots=True)
class Resolution:
    """What will be installed, in the resolver's order (by name)."""

    wheels: tuple[LockedWheel, ...]
    sources: tuple[SourcePackage, ...] = ()

    @property
    def without_wheel(self) -> tuple[str, ...]:
        """The packages that have only a source for the target, as `name version`."""
        return tuple(f"{one.name} {one.version}".strip() for one in self.sources)

    @property
    def frozen(self) -> tuple[str, ...]:
        """`name==version` or `name @ url` of every wheel, sorted by name."""
        return tuple(frozen_line(one) for one in sorted(self.wheels, key=lambda one: one.name))

    def require_wheels(self, target: Target, *, trusted: bool = True) -> None:
        """Raise BuildError when a package has no wheel for the target."""
        if not self.sources:
            return
        names = ", ".join(self.without_wheel)
        if trusted:
            raise BuildError(
                f"no wheel of {names} for {target}",
                hint="require a version that has one, or build with --builder buildkit and a "
                "Dockerfile",
            )
        raise BuildError(
            f"no wheel of {names} for {target}, and an untrusted event runs no build back end",
            hint="require versions that have wheels; a push to the repository builds from source",
        )


def frozen_line(wheel: LockedWheel) -> str:
    """What is installed by a wheel, as a line of `requirements.frozen.txt`."""
    url = wheel.source or (wheel.url if wheel.direct else "")
    if url:
        return f"{wheel.name} @ {url}"
    return f"{wheel.name}=={wheel.version}"


def dump_resolution(resolution: Resolution) -> str:
    """A resolution as JSON, for the cache."""
    return json.dumps({"format": _FORMAT, **asdict(resolution)}, sort_keys=True)


def load_resolution(text: str) -> Resolution:
    """What `dump_resolution` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    document = json.loads(text)
    if document["format"] != _FORMAT:
        raise ValueError(document["format"])
    wheels = [one | {"hashes": tuple(one["hashes"])} for one in document["wheels"]]
    return Resolution(
        tuple(LockedWheel(**one) for one in wheels),
        tuple(SourcePackage(**one) for one in document["sources"]),
    )
