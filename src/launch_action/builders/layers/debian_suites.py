"""Distributions and their suites: where their archives are, and how they are signed."""

from __future__ import annotations

from collections.abc import Iterator

from launch_action.builders.layers.debian_machine import Machine, Source
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError

_SCHEMES = ("http://", "https://", "file:", "mirror:", "mirror+", "copy:", "tor+", "ftp://")


@dataclass(frozen=True, slots=True)
class Distribution:
    """`id` as in os-release, `origin` as in Release files; `pockets` follow a suite's name."""

    id: str
    origin: str
    suites: tuple[str, ...]
    pockets: tuple[str, ...]
    keyring: str
    keyring_package: str


DEBIAN = Distribution(
    "debian", "Debian", ("bookworm", "trixie"), ("", "-updates", "-security"),
    "debian-archive-keyring", "debian-archive-keyring",
)  # fmt: skip
UBUNTU = Distribution(
    "ubuntu", "Ubuntu", ("jammy", "noble"), ("", "-updates", "-security"),
    "ubuntu-archive-keyring", "ubuntu-keyring",
)  # fmt: skip
DISTRIBUTIONS = (DEBIAN, UBUNTU)


def distribution_of(suite: str) -> Distribution:
    """The distribution that has this suite. Raises BuildError."""
    for distribution in DISTRIBUTIONS:
        if suite in distribution.suites:
            return distribution
    known = ", ".join(name for one in DISTRIBUTIONS for name in one.suites)
    raise BuildError(
        f"unknown suite in base image: {f'deb:{suite}'!r}", hint=f"the suites are {known}"
    )


def suite_sources(suite: str, architecture: str, machine: Machine) -> tuple[Source, ...]:
    """The machine's own mirrors of a suite where it has them, else the public archives."""
    distribution = distribution_of(suite)
    own = tuple(
        Source(source.uri, source.suite, "main", architecture)
        for source in machine.sources
        if source.component == "main"
        and source.suite in {suite + pocket for pocket in distribution.pockets}
        and source.uri.startswith(_SCHEMES)
        and _is_archive(source, distribution)
        and (distribution is DEBIAN or source.architecture in ("", architecture))
    )
    if any(source.suite == suite for source in own):
        return tuple(dict.fromkeys(own))
    return tuple(_public(suite, architecture, distribution))


def _is_archive(source: Source, distribution: Distribution) -> bool:
    """Whether this is the distribution's archive, and not somebody's with the same suite names."""
    if source.origin:
        return source.origin == distribution.origin
    return distribution.id in source.uri.lower() or source.uri.startswith("mirror+file:")


def _public(suite: str, architecture: str, distribution: Distribution) -> Iterator[Source]:
    for pocket in distribution.pockets:
        if distribution is DEBIAN:
            path = "debian-security" if pocket == "-security" else "debian"
            uri = f"http://deb.debian.org/{path}/"
        elif architecture != "amd64":
            uri = "http://ports.ubuntu.com/ubuntu-ports/"
        else:
            host = "security" if pocket == "-security" else "archive"
            uri = f"http://{host}.ubuntu.com/ubuntu/"
        yield Source(uri, suite + pocket, "main", architecture)
