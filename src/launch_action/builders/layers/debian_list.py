"""The package list of a distribution base: what its identity is the digest of.

One line per package, `name version architecture sha256`, sorted by their bytes. The same text is a
file of the base's layer, so that the identity can be checked inside a running image.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.image import digest_of
from launch_action.core.reference import Digest

_LINE = re.compile(r"([a-z0-9][a-z0-9+.-]*) ([0-9A-Za-z.+~:-]+) ([a-z0-9]+) ([0-9a-f]{64})")


@dataclass(frozen=True, slots=True, order=True)
class Package:
    """A package of a distribution; `sha256` (64 digits) is of the whole .deb file."""

    name: str
    version: str
    architecture: str
    sha256: str

    @property
    def selector(self) -> str:
        """How apt is asked for exactly this package."""
        return f"{self.name}:{self.architecture}={self.version}"

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.architecture} {self.sha256}"


@dataclass(frozen=True, slots=True)
class PackageList:
    """The packages of a base, sorted."""

    packages: tuple[Package, ...]

    @classmethod
    def of(cls, packages: Iterable[Package]) -> PackageList:
        return cls(tuple(sorted(packages, key=str)))

    @classmethod
    def read(cls, text: str) -> PackageList:
        """Read the text of a list. Raises BuildError."""
        return cls.of(_package(line) for line in text.splitlines())

    @property
    def text(self) -> str:
        return "".join(f"{package}\n" for package in self.packages)

    @property
    def identity(self) -> Digest:
        return digest_of(self.text.encode("ascii"))

    def find(self, name: str) -> Package | None:
        """The package of this name."""
        return next((package for package in self.packages if package.name == name), None)

    def changes(self, newer: PackageList) -> tuple[str, ...]:
        """What differs in `newer`, a line per package."""
        old = {package.name: package for package in self.packages}
        new = {package.name: package for package in newer.packages}
        return tuple(
            _change(name, old.get(name), new.get(name))
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        )


def _package(line: str) -> Package:
    found = _LINE.fullmatch(line)
    if not found:
        raise BuildError(
            f"not a line of a package list: {line[:100]!r}", hint="remove the cache and run again"
        )
    return Package(*found.groups())


def _change(name: str, old: Package | None, new: Package | None) -> str:
    if old is None or new is None:
        return f"{name}: {'added' if new else 'gone'}"
    if old.version == new.version:
        return f"{name}: {old.version}, but with other content"
    return f"{name}: {old.version} -> {new.version}"
