"""Reads .deb files.

Source of the format: deb(5), deb-control(5), and System V's `ar`. What is not xz or gzip (Ubuntu's
zstd) is decompressed by the machine's dpkg-deb.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from pathlib import Path

from launch_action import process
from launch_action.builders.layers.tar_stream import ByteStream, Member, inflate, members
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError

_MAGIC = b"!<arch>\n"
_HEADER = 60
_MAX_CONTROL = 1 << 20
_OPTIONS = {"control.tar": "--ctrl-tarfile", "data.tar": "--fsys-tarfile"}


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the file: sizes in bytes, time in seconds since 1970."""

    name: str
    modified: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Archive:
    """A .deb file. Every method raises BuildError when it is none."""

    path: Path

    def modified(self) -> int:
        """When it was built, in seconds since 1970: the newest of its parts."""
        return max(part.modified for part in self._parts())

    def control(self) -> str:
        """The control stanza."""
        for member in members(ByteStream(iter([self.part("control.tar")]))):
            if member.name.removeprefix("./") == "control":
                return member.content(_MAX_CONTROL).decode("utf-8")
        raise self._damaged("no control file")

    def members(self) -> Iterator[Member]:
        """The files of the package."""
        return members(ByteStream(iter([self.part("data.tar")])))

    def part(self, name: str) -> bytes:
        """The uncompressed archive `control.tar` or `data.tar`."""
        for part in self._parts():
            stem, _, codec = part.name.partition(".tar")
            if f"{stem}.tar" == name:
                return self._decompress(part, name, codec)
        raise self._damaged(f"no {name}")

    def _decompress(self, part: _Part, name: str, codec: str) -> bytes:
        if codec not in ("", ".xz", ".gz"):
            return self._by_dpkg(name)
        with self.path.open("rb") as file:
            file.seek(part.offset)
            data = file.read(part.size)
        try:
            if codec == ".xz":
                return lzma.decompress(data)
            return b"".join(inflate([data])) if codec else data
        except lzma.LZMAError as error:
            raise self._damaged(str(error)) from error

    def _by_dpkg(self, name: str) -> bytes:
        done = process.run(["dpkg-deb", _OPTIONS[name], self.path])
        if done.code:
            raise BuildError(
                f"dpkg-deb cannot read {self.path.name!r}",
                hint="update dpkg on this machine: the package's compression is newer than it",
                context=done.complaint,
            )
        return done.out

    def _parts(self) -> Iterator[_Part]:
        with self.path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise self._damaged("not an ar archive")
            while len(header := file.read(_HEADER)) == _HEADER:
                part = self._part(header, file.tell())
                yield part
                file.seek(part.offset + part.size + part.size % 2)

    def _part(self, header: bytes, offset: int) -> _Part:
        try:
            name = header[:16].decode("ascii").strip().rstrip("/")
            return _Part(name, int(header[16:28] or b"0"), offset, int(header[48:58]))
        except ValueError as error:
            raise self._damaged(f"a bad header: {header!r}") from error

    def _damaged(self, what: str) -> BuildError:
        return BuildError(
            f"not a Debian package: {self.path.name!r}: {what}",
            hint="remove the cache and run again",
        )
