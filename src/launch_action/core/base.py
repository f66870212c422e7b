"""Base images: how one is named, and what is known of it once it is resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError
from launch_action.core.image import Platform
from launch_action.core.reference import Digest, Reference


@dataclass(frozen=True, slots=True)
class RegistryBase:
    """A base image of a registry."""

    reference: Reference

    def __str__(self) -> str:
        return str(self.reference)


@dataclass(frozen=True, slots=True)
class LayoutBase:
    """A base image in an OCI layout directory, with an optional tag or digest in it."""

    directory: str
    selector: str = ""

    def __str__(self) -> str:
        return f"oci:{self.directory}" + (f":{self.selector}" if self.selector else "")


@dataclass(frozen=True, slots=True)
class DebianBase:
    """A base assembled from a distribution's packages; `identity` pins the package list."""

    suite: str
    identity: Digest | None = None

    def __str__(self) -> str:
        return f"deb:{self.suite}" + (f"@{self.identity}" if self.identity else "")


BaseReference = RegistryBase | LayoutBase | DebianBase


def parse_base(text: str) -> BaseReference:
    """Read `--base-image`: `deb:SUITE[@sha256:...]`, `oci:DIR[:TAG|@DIGEST]`, or a reference.

    Raises InputError.

    >>> str(parse_base("deb:bookworm"))
    'deb:bookworm'
    """
    scheme, colon, rest = text.partition(":")
    if colon and scheme == "deb":
        suite, at, identity = rest.partition("@")
        if not suite.isalnum():
            raise InputError(
                f"not a distribution suite: {text!r}", hint="write deb:bookworm or deb:noble"
            )
        return DebianBase(suite, Digest(identity) if at else None)
    if colon and scheme == "oci":
        directory, at, digest = rest.partition("@")
        if at:
            return LayoutBase(directory, Digest(digest))
        head, _, tag = rest.rpartition(":")
        return LayoutBase(head, tag) if head and "/" not in tag else LayoutBase(rest)
    return RegistryBase(Reference.parse(text))


@dataclass(frozen=True, slots=True)
class PythonFacts:
    """The interpreter of a base: `version` as far as known (`3.11` or `3.11.9`), absolute path."""

    version: str
    executable: str

    @property
    def minor(self) -> str:
        """The version as `X.Y`."""
        return ".".join(self.version.split(".")[:2])


@dataclass(frozen=True, slots=True)
class SystemPackages:
    """The packages that a base was assembled from: `vendor` is `debian`, `suite` `bookworm`.

    Each package is its name, version, architecture, and the SHA-256 of its file.
    """

    vendor: str
    suite: str
    packages: tuple[tuple[str, str, str, str], ...]


@dataclass(frozen=True, slots=True)
class BaseRecord:
    """What is recorded of a base image.

    `platform` is None where it serves several; `python` and `system` are there where they are
    known.
    """

    name: str
    identity: str
    platform: Platform | None = None
    python: str = ""
    system: SystemPackages | None = None

    @property
    def sha256(self) -> str:
        """The digest's hexadecimal digits; empty for an image that only an engine had."""
        kind, _, digits = self.identity.partition(":")
        return digits if kind == "sha256" else ""

    def document(self) -> dict[str, str]:
        """The base as a JSON object."""
        found = {"name": self.name, "identity": self.identity}
        found |= {"platform": str(self.platform)} if self.platform else {}
        return found | ({"python": self.python} if self.python else {})


@dataclass(frozen=True, slots=True)
class BaseFacts:
    """What the builder must know of a base image.

    `identity` decides the base's bytes: the digest of the platform's manifest, or of the package
    list. `libc_version` is the lowest version that is sure (`2.28`), for wheel tags.
    """

    name: str
    identity: str
    platform: Platform
    python: PythonFacts
    libc: Literal["glibc", "musl"]
    libc_version: str
    created: str
    config: Mapping[str, object] = field(default_factory=dict)
    system: SystemPackages | None = None

    @property
    def record(self) -> BaseRecord:
        """What is recorded of it."""
        return BaseRecord(self.name, self.identity, self.platform, self.python.version, self.system)
