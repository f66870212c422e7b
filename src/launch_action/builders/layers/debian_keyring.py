"""The keys that a distribution's archives are signed with, from this machine or its archive."""

from __future__ import annotations

import tempfile
from pathlib import Path

from launch_action.builders.layers.debian_apt import PrivateApt
from launch_action.builders.layers.debian_archive import Archive
from launch_action.builders.layers.debian_machine import Machine, Source
from launch_action.builders.layers.debian_suites import (
    DISTRIBUTIONS,
    Distribution,
    suite_sources,
)
from launch_action.cache import Cache
from launch_action.core.errors import BuildError

_SUFFIXES = (".gpg", ".pgp", ".asc")


def find_keyring(distribution: Distribution, machine: Machine, cache: Cache) -> Path:
    """The distribution's keyring: the machine's, else out of the machine's own signed archive.

    Raises BuildError.
    """
    own = _machine_keyring(distribution, machine)
    if own:
        return own
    place = cache.directory("keyrings") / f"{distribution.keyring}.gpg"
    with cache.lock(f"keyring-{distribution.id}"):
        if not place.exists():
            _fetch(distribution, machine, cache, place)
    return place


def _machine_keyring(distribution: Distribution, machine: Machine) -> Path | None:
    for folder in machine.keyrings:
        for suffix in _SUFFIXES:
            path = folder / f"{distribution.keyring}{suffix}"
            if path.is_file():
                return path
    return None


def _fetch(distribution: Distribution, machine: Machine, cache: Cache, place: Path) -> None:
    """Take the keyring out of a package of the machine's own distribution."""
    home = next((d for d in DISTRIBUTIONS if d.id == machine.distribution), None)
    keyring = home and home is not distribution and _machine_keyring(home, machine)
    if not home or not keyring or machine.suite not in home.suites:
        raise _missing(distribution)
    with tempfile.TemporaryDirectory(dir=cache.directory("keyrings")) as name:
        apt = PrivateApt(
            Path(name) / "state", _architecture(machine), _wider(machine), keyring, machine.settings
        )
        folder = Path(name) / "debs"
        folder.mkdir()
        try:
            apt.update()
            found = apt.fetch([distribution.keyring_package], folder)
        except BuildError as error:
            raise _missing(distribution) from error
        for archive in map(Archive, found):
            for member in archive.members():
                if member.name.endswith(f"/keyrings/{distribution.keyring}.gpg"):
                    partial = folder / "keyring"
                    partial.write_bytes(member.content(1 << 20))
                    partial.replace(place)
                    return
    raise _missing(distribution)


def _wider(machine: Machine) -> tuple[Source, ...]:
    """The machine's archive with the component that holds foreign keyrings."""
    own = suite_sources(machine.suite, _architecture(machine), machine)
    extra = ("main", "universe") if machine.distribution == "ubuntu" else ("main",)
    return tuple(Source(s.uri, s.suite, c, s.architecture) for s in own for c in extra)


def _architecture(machine: Machine) -> str:
    return next((s.architecture for s in machine.sources if s.architecture), "amd64")


def _missing(distribution: Distribution) -> BuildError:
    package = distribution.keyring_package
    return BuildError(
        f"no keyring of {distribution.origin} on this machine: {distribution.keyring!r}",
        hint=f"install the package {package}, or put {distribution.keyring}.gpg "
        "into /usr/share/keyrings",
    )
