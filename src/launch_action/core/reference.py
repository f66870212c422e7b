"""References to images and repositories, spelt as Docker spells them.

Grammar: OCI distribution specification 1.1, "Pulling manifests", and the `distribution/reference`
normalisation that Docker applies to short names. A value of a type of this module is well-formed,
because parsing is the only way to make one.
"""

from __future__ import annotations

import re

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError

DOCKER_HUB = "docker.io"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_HOST = re.compile(
    r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
)
_MAX_NAME = 255


class Digest(str):
    """`sha256:` and 64 lower-case hexadecimal digits (OCI image specification, "Digests").

    >>> Digest("sha256:" + "a" * 64).hex[:4]
    'aaaa'
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Digest:
        if not _DIGEST.fullmatch(value):
            raise InputError(
                f"not a sha256 digest: {value!r}",
                hint="a digest is sha256: and 64 lower-case hexadecimal digits",
            )
        return super().__new__(cls, value)

    @property
    def hex(self) -> str:
        """The 64 digits without the algorithm."""
        return self[7:]


class Tag(str):
    """A tag: at most 128 of `[A-Za-z0-9._-]`, the first not `.` or `-`."""

    __slots__ = ()

    def __new__(cls, value: str) -> Tag:
        if not _TAG.fullmatch(value):
            raise InputError(
                f"not a tag: {value!r}",
                hint="use 1 to 128 of letters, digits, '_', '.', '-', the first not '.' or '-'",
            )
        return super().__new__(cls, value)


@dataclass(frozen=True, slots=True, order=True)
class Repository:
    """A repository of a registry, such as `ghcr.io/acme/train`.

    `registry` is a host with an optional port, lower case; `path` has lower-case components.
    """

    registry: str
    path: str

    @classmethod
    def parse(cls, text: str) -> Repository:
        """Read a name without tag and digest. Raises InputError.

        >>> str(Repository.parse("python"))
        'docker.io/library/python'
        >>> str(Repository.parse("localhost:5000/a/b"))
        'localhost:5000/a/b'
        """
        reference = Reference.parse(text)
        if reference.tag or reference.digest:
            raise InputError(
                f"a repository has no tag or digest: {text!r}",
                hint=f"use {reference.repository}; aliases are given with --alias",
            )
        return reference.repository

    def child(self, name: str) -> Repository:
        """The repository below this one. Raises InputError when the name cannot be a component."""
        return _repository(self.registry, f"{self.path}/{name}", f"{self}/{name}")

    def __str__(self) -> str:
        return f"{self.registry}/{self.path}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A repository with an optional tag and an optional digest."""

    repository: Repository
    tag: Tag | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Read a reference as Docker reads it. Raises InputError.

        >>> str(Reference.parse("wandb/job_hello_world:main"))
        'docker.io/wandb/job_hello_world:main'
        """
        name, at, digest = text.partition("@")
        colon = name.rfind(":")
        tag = name[colon + 1 :] if colon > name.rfind("/") else None
        if tag is not None:
            name = name[:colon]
        registry, path = _split_host(name)
        return cls(
            _repository(registry, path, text),
            Tag(tag) if tag is not None else None,
            Digest(digest) if at else None,
        )

    @property
    def familiar(self) -> str:
        """The repository as Docker shows it: Docker Hub's names stay short.

        >>> Reference.parse("docker.io/library/python:3").familiar
        'python'
        """
        return str(self.repository).removeprefix(f"{DOCKER_HUB}/").removeprefix("library/")

    @property
    def selector(self) -> str:
        """What a registry is asked for: the digest, else the tag, else `latest`."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def names_registry(first: str) -> bool:
    """Whether the first part of a name is a registry host (Docker's rule)."""
    return first == "localhost" or "." in first or ":" in first


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and names_registry(first):
        host = first.lower()
        if host in ("index.docker.io", "registry-1.docker.io", "docker.io"):
            return DOCKER_HUB, rest if "/" in rest else f"library/{rest}"
        return host, rest
    return DOCKER_HUB, name if slash else f"library/{name}"


def _repository(registry: str, path: str, text: str) -> Repository:
    if not _HOST.fullmatch(registry) or not _PATH.fullmatch(path) or len(path) > _MAX_NAME:
        raise InputError(
            f"not an image repository: {text!r}",
            hint="use lower-case letters, digits and separators, as in ghcr.io/acme/train",
        )
    return Repository(registry, path)
