"""The machine's apt with state of its own: needs no root, installs nothing, checks signatures.

Configuration: apt.conf(5), sources.list(5). Nothing of the machine's apt configuration is used but
what is handed in; the only trusted key is the keyring that every source is signed by.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote

from launch_action import process
from launch_action.builders.layers.debian_list import Package
from launch_action.builders.layers.debian_machine import Source, readable_credentials
from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.process import Finished

_PRINTED = re.compile(r"'[^']*' (\S+) [0-9]+ SHA256:([0-9a-f]{64})")
_UNREACHABLE = re.compile(
    r"(?i)could not (?:resolve|connect)|unable to connect|connection (?:failed|timed out|refused)"
    r"|temporary failure|network is unreachable|failed to fetch"
)
_DISTRUST = re.compile(
    r"(?i)not signed|NO_PUBKEY|BADSIG|EXPKEYSIG|EXPSIG|signature|sqv|gpgv|hash sum"
)
# Below the state: apt's lists, its parsed form of them, and the empty list of what is installed.
_LISTS, _CACHE, _STATUS = "lists", "cache", "status"
# Seconds without an answer of a mirror; apt's own default is two minutes.
_TIMEOUT = "30"


class UnreachableError(BuildError):
    """The archive could not be reached: what was known before may still serve."""


@dataclass(frozen=True, slots=True)
class PrivateApt:
    """apt with its lists below `state`, for one architecture of one set of sources."""

    state: Path
    architecture: str
    sources: tuple[Source, ...]
    keyring: Path
    settings: tuple[tuple[str, str], ...] = ()

    def update(self) -> None:
        """Fetch what changed of the lists. Raises UnreachableError, or BuildError for a bad
        signature."""
        with self._session() as session:
            done = session.run("update", "-q", "--error-on=any")
        if done.code:
            raise self._failure("the package lists cannot be read", done)

    def has_lists(self) -> bool:
        """Whether lists are there; the cache may have lost them since."""
        return any(self.state.joinpath(_LISTS).glob("*Packages*"))

    def resolve(self, seed: Sequence[str]) -> tuple[Package, ...]:
        """What apt would install for `seed` on an empty system. Raises BuildError."""
        with self._session() as session:
            done = session.run("install", "-qq", "--print-uris", *seed)
        if done.code:
            raise self._failure("apt finds no solution", done)
        packages = tuple(map(_printed, done.text.splitlines()))
        if not packages:
            raise self._failure("apt names no packages", done)
        return packages

    def download(self, packages: Sequence[Package], folder: Path) -> tuple[Path, ...]:
        """Put the files of these packages into a folder. Raises BuildError."""
        return self.fetch([package.selector for package in packages], folder)

    def fetch(self, selectors: Sequence[str], folder: Path) -> tuple[Path, ...]:
        """Put the files of what apt calls by these names into a folder. Raises BuildError."""
        with self._session() as session:
            done = session.run("download", "-qq", *selectors, cwd=folder)
        if done.code:
            raise self._failure("packages cannot be downloaded", done)
        return tuple(sorted(folder.glob("*.deb")))

    @contextmanager
    def _session(self) -> Iterator[_Session]:
        """A configuration for one call; it may hold a proxy's credentials, so it does not stay."""
        (self.state / _LISTS / "partial").mkdir(parents=True, exist_ok=True)
        (self.state / _CACHE / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        if not (self.state / _STATUS).exists():
            (self.state / _STATUS).touch()
        with tempfile.TemporaryDirectory(prefix=".apt-", dir=self.state) as name:
            folder = Path(name)
            (folder / "apt.sources").write_text(self._sources(), encoding="utf-8")
            (folder / "apt.conf").write_text(self._configuration(folder), encoding="utf-8")
            yield _Session(process.environment(APT_CONFIG=str(folder / "apt.conf")))

    def _sources(self) -> str:
        return "\n".join(
            f"Types: deb\nURIs: {source.uri}\nSuites: {source.suite}\n"
            f"Components: {source.component}\nArchitectures: {self.architecture}\n"
            f"Signed-By: {self.keyring}\n"
            for source in self.sources
        )

    def _configuration(self, folder: Path) -> str:
        settings = [
            ("APT::Architecture", self.architecture),
            ("APT::Architectures", ""),
            ("APT::Architectures::", self.architecture),
            ("APT::Install-Recommends", "false"),
            # The sandbox user would need rights on these directories, and needs root to be used.
            ("APT::Sandbox::User", ""),
            ("Dir::State", str(self.state)),
            ("Dir::State::lists", str(self.state / _LISTS)),
            ("Dir::State::status", str(self.state / _STATUS)),
            ("Dir::Cache", str(self.state / _CACHE)),
            ("Dir::Cache::srcpkgcache", ""),
            ("Dir::Log", str(folder)),
            ("Dir::Etc", str(folder)),
            ("Dir::Etc::sourcelist", str(folder / "apt.sources")),
            *((f"Dir::Etc::{name}", "/dev/null") for name in _MACHINE_FILES),
            ("Acquire::Languages", "none"),
            ("Acquire::ForceHash", "SHA256"),
            ("Acquire::http::Timeout", _TIMEOUT),
            ("Acquire::https::Timeout", _TIMEOUT),
            ("Acquire::Retries", "3"),
            *readable_credentials(),
            *self.settings,
        ]
        return "".join(f'{key} "{value}";\n' for key, value in settings)

    def _failure(self, what: str, done: Finished) -> BuildError:
        """The error that a call of apt ended in, without the credentials that URLs may hold."""
        said = without_credentials(done.complaint)
        where = ", ".join(sorted({without_credentials(s.uri) for s in self.sources}))
        if _DISTRUST.search(said):
            return BuildError(
                f"{what}: the archive {where} is not signed by {self.keyring.name!r}",
                hint="update the keyring package of this machine, or check the mirror",
                context=said,
            )
        kind = UnreachableError if _UNREACHABLE.search(said) else BuildError
        return kind(
            f"{what}, from {where}", hint="check the mirror and the proxy of apt", context=said
        )


# Files of the machine that must not have a say.
_MACHINE_FILES = (
    "main", "parts", "sourceparts", "preferences", "preferencesparts", "trusted", "trustedparts",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Session:
    env: dict[str, str]

    def run(self, *arguments: str | os.PathLike[str], cwd: Path | None = None) -> Finished:
        return process.run(["apt-get", *arguments], env=self.env, cwd=cwd)


def _printed(line: str) -> Package:
    """A line of --print-uris: 'uri' name_version_architecture.deb size SHA256:hash."""
    found = _PRINTED.fullmatch(line.strip())
    fields = unquote(found[1]).removesuffix(".deb").split("_") if found else []
    if found is None or len(fields) != 3:
        raise BuildError(
            f"apt names a package without a SHA-256: {without_credentials(line)[:200]!r}",
            hint="check the mirror: its lists have no SHA256 fields",
        )
    return Package(fields[0], fields[1], fields[2], found[2])
