"""The packages of a suite: which they are now, and their files, by way of the cache."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from launch_action.builders.layers.debian_apt import PrivateApt, UnreachableError
from launch_action.builders.layers.debian_keyring import find_keyring
from launch_action.builders.layers.debian_list import Package, PackageList
from launch_action.builders.layers.debian_machine import Machine, machine_signature, read_machine
from launch_action.builders.layers.debian_suites import distribution_of, suite_sources
from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.image import fingerprint
from launch_action.core.ports import Reporter
from launch_action.core.reference import Digest

SEED = (
    "base-files", "base-passwd", "dash", "coreutils", "libc-bin", "ca-certificates", "tzdata",
    "netbase", "python3", "python3-venv",
    # Wheels may count on the C++ library (PEP 600), and no other package here needs it any more.
    "libstdc++6",
)  # fmt: skip
# Kinds of cache entries: lists by identity, files by SHA-256, what was resolved by what was asked.
_LISTS, _DEBS, _RESOLVED = "base-packages", "debs", "base-resolved"


@dataclass(frozen=True, slots=True)
class SuiteArchive:
    """The packages of a suite for an architecture, by way of the cache."""

    suite: str
    architecture: str
    cache: Cache
    machine: Machine | None

    def known(self, identity: Digest) -> PackageList | None:
        """The list of an identity, if this cache has seen it."""
        path = self.cache.find(_LISTS, identity.hex)
        if path is None:
            return None
        found = PackageList.read(path.read_text(encoding="ascii"))
        return found if found.identity == identity else None

    def complete(self, packages: PackageList) -> bool:
        """Whether every file of a list is in the cache."""
        return all(self.cache.find(_DEBS, one.sha256) for one in packages.packages)

    def current(self, fresh: float, reporter: Reporter) -> PackageList:
        """What apt resolves the seed to now, or did less than `fresh` seconds ago."""
        key = self._key()
        with self.cache.lock(f"apt-{key[:32]}"):
            last = self._last(key)
            if last is not None and 0 <= time.time() - last[0] < fresh:
                return last[1]
            try:
                found = self._resolve(key)
            except UnreachableError as error:
                if last is None:
                    raise
                age = (time.time() - last[0]) / 3600
                reporter.warning(f"{error.message}: using the list of {age:.0f} hours ago")
                return last[1]
            self._note(key, found)
        reporter.info(f"deb:{self.suite}: {len(found.packages)} packages, {found.identity}")
        return found

    def files(self, wanted: Sequence[Package]) -> dict[str, Path]:
        """The files of these packages by their SHA-256, fetched where missing."""
        key = self._key()
        with self.cache.lock(f"apt-{key[:32]}"):
            missing = [one for one in wanted if not self.cache.find(_DEBS, one.sha256)]
            if missing:
                self._fetch(key, missing)
        found = {one.sha256: self.cache.find(_DEBS, one.sha256) for one in wanted}
        return {digest: path for digest, path in found.items() if path is not None}

    def _key(self) -> str:
        where = repr(self.machine) if self.machine else machine_signature()
        return fingerprint(self.suite, self.architecture, SEED, where)

    def _apt(self, key: str) -> PrivateApt:
        machine = self.machine or read_machine()
        return PrivateApt(
            state=self.cache.directory("apt").absolute() / key[:32],
            architecture=self.architecture,
            sources=suite_sources(self.suite, self.architecture, machine),
            keyring=find_keyring(distribution_of(self.suite), machine, self.cache),
            settings=machine.settings,
        )

    def _resolve(self, key: str) -> PackageList:
        apt = self._apt(key)
        apt.update()
        return PackageList.of(apt.resolve(SEED))

    def _last(self, key: str) -> tuple[float, PackageList] | None:
        """When the archive was last asked, in seconds since 1970, and what it said."""
        path = self.cache.find(_RESOLVED, key)
        if path is None:
            return None
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            return float(document["asked"]), PackageList.read(document["packages"])
        except (OSError, ValueError, KeyError, TypeError, BuildError):
            return None

    def _note(self, key: str, packages: PackageList) -> None:
        with self.cache.write(_LISTS, packages.identity.hex) as path:
            path.write_text(packages.text, encoding="ascii")
        with self.cache.write(_RESOLVED, key) as path:
            document = {"asked": time.time(), "packages": packages.text}
            path.write_text(json.dumps(document), encoding="utf-8")

    def _fetch(self, key: str, missing: Sequence[Package]) -> None:
        apt = self._apt(key)
        if not apt.has_lists():
            apt.update()
        wanted = {one.sha256 for one in missing}
        with tempfile.TemporaryDirectory(dir=self.cache.directory("apt")) as name:
            for path in apt.download(missing, Path(name)):
                digest = sha256(path.read_bytes()).hexdigest()
                if digest in wanted:
                    with self.cache.write(_DEBS, digest) as place:
                        path.replace(place)
                    wanted.discard(digest)
        if wanted:
            lost = next(one for one in missing if one.sha256 in wanted)
            raise BuildError(
                f"the archive has another file for {lost.name} {lost.version}",
                hint="check the mirror of apt: the same version must be the same file",
            )
