"""Reads a layer: gzip or zstd of any number of members, or plain tar, entry by entry.

Source of the formats: RFC 1952; POSIX.1-2017, pax; GNU tar's long names and binary numbers, which
other tools write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from isal import isal_zlib

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import StoreError

BLOCK = 512
# What a member leaves of its input is copied: large reads cost more than they save.
_READ = 1 << 16
_INFLATE = 1 << 20
_MAX_RECORDS = 1 << 20
HINT = "the layer was not written by this program, or was changed: build the job again"


@dataclass(slots=True)
class Header:
    """One entry as its header says; sizes in bytes."""

    name: str
    kind: bytes
    mode: int
    size: int
    mtime: int
    target: str


class Source:
    """A stream of which exactly so many bytes are taken."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = memoryview(b"")

    def take(self, size: int) -> bytes:
        """`size` bytes. Raises EOFError."""
        if len(self._left) >= size:
            found, self._left = self._left[:size], self._left[size:]
            return bytes(found)
        return b"".join(self.pieces(size))

    def pieces(self, size: int) -> Iterator[memoryview]:
        """`size` bytes as they come. Raises EOFError."""
        while size:
            if not self._left:
                self._left = memoryview(next(self._chunks, b""))
                if not self._left:
                    raise EOFError("it ends in the middle of a file")
            found, self._left = self._left[:size], self._left[size:]
            size -= len(found)
            yield found

    def skip(self, size: int) -> None:
        """Pass over `size` bytes. Raises EOFError."""
        for _ in self.pieces(size):
            pass

    def drain(self) -> None:
        """Read what is left, so that whoever checks the stream sees all of it."""
        for _ in self._chunks:
            pass


def refused(name: str, why: str) -> StoreError:
    """What is raised for an entry that will not be unpacked."""
    return StoreError(f"a layer is refused: {name!r} {why}", hint=HINT)


def inside(name: str) -> str:
    """The normalised path of an entry, relative to the destination; empty for the root itself.

    Raises StoreError for one that is absolute or leads out of it.
    """
    if name.startswith("/"):
        raise refused(name, "is an absolute path")
    if "/" not in name and name not in (".", ".."):
        return name
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise refused(name, "leads out of the directory")
    return "/".join(parts)


def read_headers(source: Source) -> Iterator[Header]:
    """The entries' headers; the content of each must be taken before the next is asked for."""
    more: dict[str, bytes] = {}
    while any(block := source.take(BLOCK)):
        found = _header(block)
        if found.kind in (b"x", b"g", b"L", b"K"):
            if found.size > _MAX_RECORDS:
                raise refused(found.name, f"has {found.size} bytes of records")
            data = source.take(found.size)
            source.take(-found.size % BLOCK)
            more |= _extension(found.kind, data)
            continue
        found.name = _text(more.get("path"), found.name)
        found.target = _text(more.get("linkpath"), found.target)
        if found.kind == b"\0" and found.name.endswith("/"):
            found.kind = b"5"  # archives from before POSIX have no kind for directories
        found.size = int(more.get("size", found.size))
        if found.kind in (b"1", b"2"):
            found.size = 0
        if found.size < 0:
            raise refused(found.name, "has a negative size")
        more = {}
        yield found


def _header(block: bytes) -> Header:
    checksum = sum(block) - sum(block[148:156]) + 8 * 0x20
    if _number(block[148:156]) != checksum:
        raise ValueError("a header has another checksum than it says")
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    if prefix:
        name = prefix + b"/" + name
    kind = block[156:157]
    return Header(
        name.decode("utf-8", "surrogateescape"),
        kind,
        _number(block[100:108]),
        _number(block[124:136]),
        _number(block[136:148]),
        block[157:257].partition(b"\0")[0].decode("utf-8", "surrogateescape"),
    )


def _number(field: bytes) -> int:
    if field[0] & 0x80:  # GNU tar's binary numbers, for what eight octal digits cannot hold
        return int.from_bytes(bytes((field[0] & 0x7F,)) + field[1:], "big")
    return int(field.strip(b" \0") or b"0", 8)


def _extension(kind: bytes, data: bytes) -> dict[str, bytes]:
    if kind == b"L":
        return {"path": data.rstrip(b"\0")}
    if kind == b"K":
        return {"linkpath": data.rstrip(b"\0")}
    if kind == b"g":
        return {}  # global records describe the archive (git writes its commit there)
    found = {}
    while data:
        length, _, _ = data.partition(b" ")
        end = int(length)
        if not len(length) < end <= len(data):
            raise ValueError("a pax record has a wrong length")
        key, _, value = data[len(length) + 1 : end - 1].partition(b"=")
        found[key.decode("utf-8", "replace")] = value
        data = data[end:]
    return found


def _text(found: bytes | None, otherwise: str) -> str:
    text = otherwise if found is None else found.decode("utf-8", "surrogateescape")
    if "\0" in text:
        raise refused(text, "has a NUL in it")
    return text


def _chunks(data: bytes, stream: BinaryIO) -> Iterator[bytes]:
    while data:
        yield data
        data = stream.read(_READ)


def inflated(stream: BinaryIO) -> Iterator[bytes]:
    """The stream's content: the members of gzip or zstd in a row, or as it is.

    A piece at a time, as a rule of a MiB at most. Raises EOFError when the stream ends inside a
    member; IsalError or ValueError when it is damaged.
    """
    data = stream.read(_READ)
    if data[1:4] in (b"\xb5\x2f\xfd", b"\x2a\x4d\x18"):
        from launch_action.builders.layers.zstd import decompressed, is_zstd

        if is_zstd(data):
            yield from decompressed(_chunks(data, stream))
            return
    if not data.startswith(b"\x1f\x8b"):
        while data:
            yield data
            data = stream.read(_READ)
        return
    while data:
        inflater = isal_zlib.decompressobj(wbits=31)
        while not inflater.eof:
            if not data:
                data = stream.read(_READ)
                if not data:
                    raise EOFError("it ends in the middle of a gzip member")
            found = inflater.decompress(data, _INFLATE)
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
            if found:
                yield found
        data = data or stream.read(_READ)
