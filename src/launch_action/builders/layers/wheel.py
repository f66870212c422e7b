"""Wheels as layer content: a pure function of the wheel, the target path and the Python version.

Source of the formats: PyPA specification "Binary distribution format"; APPNOTE.TXT 6.3.10 (zip).
"""

from __future__ import annotations

import hashlib
import stat
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from isal import isal_zlib

from launch_action.builders.layers.archive import Chunks, Spliced
from launch_action.builders.layers.record import Row, read_record
from launch_action.builders.layers.scripts import Script, read_scripts
from launch_action.builders.layers.zips import Zips, verify
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.python_name import normal

# The largest RECORD, METADATA or script that is read into memory; real ones are below 3 MiB.
MAX_TEXT = 16 * 1024 * 1024
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_LOCAL_MAGIC = b"PK\3\4"
_ENCRYPTED = 0x1 | 0x40
_READ = 1 << 20
_HINT = "the package is broken or hostile; name another version of it"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a wheel: where its bytes are, and whether the wheel calls it executable."""

    name: str
    content: bytes | Spliced | Chunks
    executable: bool


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel that was read and found safe to install.

    `name` is normalised, `dist_info` the directory of its metadata. `obstacle` says why it cannot
    be spliced; it is then to be installed by another tool and its tree split. Members are in the
    archive's order, without directories.
    """

    path: Path
    name: str
    version: str
    dist_info: str
    members: tuple[Member, ...]
    record: Mapping[str, Row]
    scripts: tuple[Script, ...]
    obstacle: str = ""

    @property
    def spliceable(self) -> bool:
        return not self.obstacle

    @property
    def data(self) -> str:
        """The directory of files for other places than site-packages."""
        return self.dist_info.removesuffix(".dist-info") + ".data"

    def fail(self, what: str) -> BuildError:
        return BuildError(f"{self.path.name}: {what}", hint=_HINT)


def read_wheel(path: Path) -> Wheel:
    """Read a wheel's directory and metadata; no file's content is checked yet.

    Sizes and CRC come from the central directory, so members with data descriptors are fine. The
    content's SHA-256 from RECORD is checked while a layer is written from it: reading the wheel
    twice would cost as much as the layer. Raises BuildError naming the wheel, and the file, for a
    file that would land outside its place, a link, an encrypted or overlapping one, and for
    metadata that is missing or contradicts itself.
    """
    try:
        with ZipFile(path) as archive, Zips() as zips:
            return _Reading(path, archive.infolist(), zips).wheel()
    except (BadZipFile, NotImplementedError, ValueError, struct.error) as error:
        raise BuildError(f"{path.name} is not a wheel: {error}", hint=_HINT) from error


def read_text(content: bytes | Spliced | Chunks, zips: Zips) -> bytes:
    """A small member as bytes. Raises BuildError above 16 MiB, or when it is damaged."""
    if isinstance(content, bytes):
        return content
    if content.size > MAX_TEXT:
        where = f"{content.zip_path.name}: {content.name!r}" if isinstance(content, Spliced) else ""
        raise BuildError(f"{where or 'a file'} is too large: {content.size} bytes", hint=_HINT)
    if isinstance(content, Chunks):
        return b"".join(content.open())
    return b"".join(zips.content(content))


class _Reading:
    """A wheel that is being read."""

    def __init__(self, path: Path, infos: list[ZipInfo], zips: Zips) -> None:
        self._path = path
        self._zips = zips
        self._files = [info for info in infos if not info.orig_filename.endswith("/")]
        for info in infos:
            self._check(info)
        self._check_overlap(infos)
        self._by_name = {info.orig_filename: info for info in self._files}

    def wheel(self) -> Wheel:
        dist_info = self._dist_info()
        if not self._text(f"{dist_info}/WHEEL").get("wheel-version", "").startswith("1."):
            raise self._fail(f"{dist_info}/WHEEL names no version that is understood")
        metadata = self._text(f"{dist_info}/METADATA")
        record = self._record(f"{dist_info}/RECORD")
        return Wheel(
            path=self._path,
            name=normal(metadata.get("name") or dist_info.partition("-")[0]),
            version=metadata.get("version", ""),
            dist_info=dist_info,
            members=tuple(
                Member(info.orig_filename, self._content(info, record), _is_executable(info))
                for info in self._files
            ),
            record=record,
            scripts=self._scripts(f"{dist_info}/entry_points.txt"),
            obstacle=self._obstacle(),
        )

    def _check(self, info: ZipInfo) -> None:
        name = info.orig_filename
        parts = name.removesuffix("/").split("/")
        drive = len(parts[0]) > 1 and parts[0][1] == ":"
        if not {"", ".", ".."}.isdisjoint(parts) or "\\" in name or "\0" in name or drive:
            raise self._fail(f"{name!r} is not a path inside the package")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise self._fail(f"{name!r} is a symbolic link")
        if info.flag_bits & _ENCRYPTED:
            raise self._fail(f"{name!r} is encrypted")

    def _check_overlap(self, infos: list[ZipInfo]) -> None:
        """No two members share bytes: that is how a small file becomes a huge one."""
        end, before = 0, ""
        for info in sorted(infos, key=lambda info: info.header_offset):
            if info.header_offset < end:
                raise self._fail(f"{info.orig_filename!r} overlaps {before!r}")
            end = info.header_offset + _LOCAL_HEADER.size + info.compress_size
            before = info.orig_filename

    def _dist_info(self) -> str:
        tops = {name.partition("/")[0] for name in self._by_name if "/" in name}
        found = sorted(top for top in tops if top.endswith(".dist-info"))
        if len(found) != 1:
            raise self._fail(f"it has {len(found)} .dist-info directories, not one")
        return found[0]

    def _obstacle(self) -> str:
        if len(self._by_name) != len(self._files):
            names = [info.orig_filename for info in self._files]
            twice = next(name for name in names if names.count(name) > 1)
            return f"{twice!r} is in it twice"
        odd = (i for i in self._files if i.compress_type not in (ZIP_STORED, ZIP_DEFLATED))
        found = next(odd, None)
        return f"{found.orig_filename!r} is not compressed by deflate" if found else ""

    def _record(self, name: str) -> dict[str, Row]:
        try:
            return read_record(self._bytes(name).decode("utf-8"))
        except ValueError as error:
            raise self._fail(f"{name} cannot be read: {error}") from error

    def _scripts(self, name: str) -> tuple[Script, ...]:
        if name not in self._by_name:
            return ()
        try:
            return read_scripts(self._bytes(name).decode("utf-8"))
        except ValueError as error:
            raise self._fail(f"{name} cannot be read: {error}") from error

    def _text(self, name: str) -> dict[str, str]:
        return read_fields(self._bytes(name).decode("utf-8", "replace"))

    def _bytes(self, name: str) -> bytes:
        info = self._by_name.get(name)
        if not info:
            raise self._fail(f"it has no {name}")
        return read_text(self._content(info, {}), self._zips)

    def _content(self, info: ZipInfo, record: Mapping[str, Row]) -> bytes | Spliced | Chunks:
        name = info.orig_filename
        row = record.get(name)
        sha256 = row.sha256 if row else ""
        spliced = Spliced(
            self._path,
            self._offset(info),
            info.compress_size,
            info.file_size,
            info.CRC,
            sha256,
            name,
        )
        if info.compress_type == ZIP_DEFLATED:
            return spliced
        if info.compress_size != info.file_size:
            return b""  # another method: `obstacle` says so, and nobody reads the content
        return Chunks(info.file_size, stored(spliced))

    def _offset(self, info: ZipInfo) -> int:
        """Where the content begins: the local header has its own lengths of name and extra."""
        length = _LOCAL_HEADER.size
        text = info.orig_filename  # cp437 is slow, and the same for ASCII
        name = text.encode("utf-8" if info.flag_bits & 0x800 or text.isascii() else "cp437")
        data = self._zips.read(self._path, info.header_offset, length + len(name))
        magic, *_, name_length, extra_length = _LOCAL_HEADER.unpack_from(data)
        if magic != _LOCAL_MAGIC or name_length != len(name) or data[length:] != name:
            raise self._fail(f"{text!r} has another name in its own header")
        start: int = info.header_offset + length + name_length + extra_length
        return start

    def _fail(self, what: str) -> BuildError:
        return BuildError(f"{self._path.name}: {what}", hint=_HINT)


def stored(spliced: Spliced) -> Callable[[], Iterator[bytes]]:
    """Opens a member that is not compressed, with the checks that a compressed one gets."""

    def chunks() -> Iterator[bytes]:
        crc, digest = 0, hashlib.sha256()
        with Zips() as zips:
            for done in range(0, spliced.size, _READ):
                length = min(_READ, spliced.size - done)
                data = zips.read(spliced.zip_path, spliced.offset + done, length)
                crc = isal_zlib.crc32(data, crc)
                digest.update(data)
                yield data
        verify(spliced, spliced.size, crc, digest.hexdigest())

    return chunks


def read_fields(text: str) -> dict[str, str]:
    """The header fields of a METADATA or WHEEL file, names in lower case, the first of each."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            break
        key, colon, value = line.partition(":")
        if colon and not line[0].isspace():
            found.setdefault(key.strip().lower(), value.strip())
    return found


def _is_executable(info: ZipInfo) -> bool:
    mode = info.external_attr >> 16
    return stat.S_ISREG(mode) and bool(mode & 0o111)
