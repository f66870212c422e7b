"""The file system of a distribution base: package files merged, and what scripts would have made.

A pure function of the package files: no maintainer script runs. /bin, /sbin, /lib and /lib64 are
links into /usr, as on every system of these suites. Left out, to keep the layer small: manual and
info pages, translations, lint and menu files, and all of /usr/share/doc but copyright files. Set-id
bits are dropped, everything belongs to root, device files are skipped.
"""

from __future__ import annotations

import posixpath
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.debian_archive import Archive
from launch_action.builders.layers.debian_certificates import SOURCE as CERTIFICATES
from launch_action.builders.layers.debian_certificates import certificate_entries
from launch_action.builders.layers.debian_files import KEPT, made_entries, status_stanza
from launch_action.builders.layers.debian_libraries import (
    Library,
    is_library,
    loader_cache,
    search_directories,
    soname,
)
from launch_action.builders.layers.debian_list import PackageList
from launch_action.builders.layers.tar_stream import ByteStream, Member, members
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import BuildError

# Part of the layer's key: change it with anything that changes an entry.
FORMAT = 1
LIST = "usr/share/launch-action/base-packages"
_MERGED = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}
_MIGRATED = (("var/lock", "/run/lock"), ("var/run", "/run"))
_MULTIARCH = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}
_LEFT_OUT = re.compile(
    r"usr/share/(?:man|info|locale|lintian|menu|bug|doc-base|linda|gdb|pixmaps|applications)(?:/.*)?"
    r"|usr/share/doc/[^/]+/(?!copyright$).*"
)
_ALIAS = "usr/share/locale/locale.alias"
_MAX_FILE = 256 * 1024 * 1024
# Packages are decompressed ahead of the one that is being written.
_AHEAD = 3


def system_entries(
    packages: PackageList, files: Sequence[Path], architecture: str, distribution: str
) -> Iterator[Entry]:
    """Every entry of the base's layer; `files` are the .deb files in the order of the list.

    Memory is bounded by a few uncompressed packages. Raises BuildError for a damaged package.
    """
    system = _System(architecture)
    yield from system.skeleton()
    # base-files first: it has the modes of /tmp and /root.
    order = sorted(
        zip(packages.packages, files, strict=True), key=lambda p: p[0].name != "base-files"
    )
    for control, data in _unpacked([path for _, path in order]):
        system.control.append(control)
        for member in members(ByteStream(iter([data]))):
            yield from system.add(member)
    yield from system.finish(packages, distribution)


def _unpacked(files: Iterable[Path]) -> Iterator[tuple[str, bytes]]:
    """Control text and data archive of each file, decompressed by threads ahead of their use."""
    ahead: deque[Future[tuple[str, bytes]]] = deque()
    with ThreadPoolExecutor(2, thread_name_prefix="unpack") as pool:
        for path in files:
            ahead.append(pool.submit(_unpack, path))
            if len(ahead) > _AHEAD:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _unpack(path: Path) -> tuple[str, bytes]:
    archive = Archive(path)
    return archive.control(), archive.part("data.tar")


@dataclass(slots=True)
class _System:
    """What was written so far, and what of it the made files are made from."""

    architecture: str
    control: list[str] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    sonames: dict[str, str] = field(default_factory=dict)

    def skeleton(self) -> Iterator[Entry]:
        """The links into /usr; they must be there before what lies behind them."""
        for name in sorted(_MERGED - {"lib32", "libx32"}):
            if name != "lib64" or self.architecture == "amd64":
                yield from self.put(Entry(f"usr/{name}", "directory", 0o755))
                yield from self.put(Entry(name, "symlink", 0o777, target=f"usr/{name}"))
        for name, target in _MIGRATED:
            yield from self.put(Entry(name, "symlink", 0o777, target=target))

    def add(self, member: Member) -> Iterator[Entry]:
        """The entries of a package's file: its missing parents and itself, or none."""
        path = _place(member.name)
        if path in ("", *_MERGED) or (_LEFT_OUT.fullmatch(path) and path != _ALIAS):
            return
        mode = member.mode & 0o1777
        if member.type == "5":
            if not path.startswith("usr/share/doc/"):
                yield from self.put(Entry(path, "directory", mode))
        elif member.type == "2":
            yield from self.put(Entry(path, "symlink", 0o777, target=member.target))
        elif member.type == "1":
            yield from self.put(Entry(path, "hardlink", mode, target=_place(member.target)))
        elif member.type in ("0", "\0"):
            yield from self._file(path, mode, member)

    def put(self, entry: Entry) -> Iterator[Entry]:
        """The entry, after its missing parents; nothing when the path is taken."""
        taken = self.seen.get(entry.path)
        if taken is not None:
            # dpkg keeps a link to a directory where a package has the directory.
            fits = taken == entry.kind or "directory" not in (taken, entry.kind)
            if not fits and (taken, entry.kind) != ("symlink", "directory"):
                raise BuildError(
                    f"two packages disagree about {entry.path!r}: {taken} and {entry.kind}",
                    hint="report this package set as a bug of this program",
                )
            return
        folder = entry.path.rpartition("/")[0]
        if folder and folder not in self.seen:
            yield from self.put(Entry(folder, "directory", 0o755))
        self.seen[entry.path] = entry.kind
        yield entry

    def finish(self, packages: PackageList, distribution: str) -> Iterator[Entry]:
        """What the packages' scripts would have made, and the list of packages."""
        made = [
            *made_entries(self.kept, self.seen, distribution),
            *certificate_entries(
                {p: d for p, d in self.kept.items() if p.startswith(CERTIFICATES)}
            ),
            *self._libraries(),
            Entry("var/lib/dpkg/status", "file", 0o644, self._status()),
            Entry(LIST, "file", 0o644, packages.text.encode("ascii")),
        ]
        for entry in sorted(made, key=lambda e: e.path.encode("utf-8", "surrogateescape")):
            yield from self.put(entry)

    def _file(self, path: str, mode: int, member: Member) -> Iterator[Entry]:
        if member.size > _MAX_FILE:
            raise BuildError(
                f"{path!r} in a package has {member.size} bytes", hint="report this as a bug"
            )
        data = member.content(member.size)
        if path not in self.seen:
            if KEPT.fullmatch(path):
                self.kept[path] = data
            found = soname(data, self.architecture) if is_library(path) else None
            if found:
                self.sonames[path] = found
        yield from self.put(Entry(path, "file", mode, data))

    def _libraries(self) -> Iterator[Entry]:
        """The loader's cache, and a link for each library that has none by its soname."""
        machine = _MULTIARCH[self.architecture]
        found: list[Library] = []
        done: set[str] = set()
        for folder in search_directories(self.kept, machine):
            real = _merged(folder)
            if real in done:
                continue
            done.add(real)
            for path, name in sorted(self.sonames.items()):
                if posixpath.dirname(path) != real:
                    continue
                if f"{real}/{name}" not in self.seen:
                    target = posixpath.basename(path)
                    yield from self.put(Entry(f"{real}/{name}", "symlink", 0o777, target=target))
                found.append(Library(name, f"/{folder}/{name}"))
        unique = dict.fromkeys(found)
        yield Entry("etc/ld.so.cache", "file", 0o644, loader_cache(unique, self.architecture))

    def _status(self) -> bytes:
        return "".join(f"{status_stanza(text)}\n" for text in sorted(self.control)).encode()


def _place(name: str) -> str:
    """Where a package's path lies on a system with a merged /usr. Raises BuildError for `..`."""
    path = posixpath.normpath(name.lstrip("/")) if name.strip("/") else ""
    if path == ".." or path.startswith("../"):
        raise BuildError(f"a package has a path out of the system: {name!r}", hint="do not use it")
    return "" if path == "." else path if path in _MERGED else _merged(path)


def _merged(path: str) -> str:
    return f"usr/{path}" if path.partition("/")[0] in _MERGED else path
