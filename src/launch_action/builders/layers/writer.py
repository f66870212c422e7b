"""Writes a layer: tar entries in, a gzip file with its two digests out, in one pass."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from launch_action.builders.layers.archive import Chunks, Entry, Spliced
from launch_action.builders.layers.gzip import (
    CODEC,
    HEADER,
    MAX_MEMBER,
    member,
    trailer,
)
from launch_action.builders.layers.tar import END, header, padding
from launch_action.builders.layers.zips import Zips
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.image import OCI_LAYER_GZIP, Descriptor, Layer, fingerprint
from launch_action.core.reference import Digest

# Part of the format, like everything in CODEC: from this size on a member of a zip is spliced,
# below it goes into the run of headers and small files around it. A member of its own costs about
# 100 bytes, recompressing 4 KiB costs more time than it saves bytes.
SPLICE_MIN = 4096
# A run is cut into members of this many bytes, so that memory is bounded and cuts do not depend on
# how content arrives.
RUN = 1 << 20
FORMAT = f"{CODEC}/{SPLICE_MIN}/{RUN}"

_WRITE = 1 << 18


@dataclass(frozen=True, slots=True)
class Written:
    """A layer that was written: `digest` and `size` of the gzip file, `diff_id` of the tar in it.

    Sizes in bytes.
    """

    digest: Digest
    size: int
    diff_id: Digest
    uncompressed_size: int

    @property
    def layer(self) -> Layer:
        """The layer as a manifest and a config name it."""
        return Layer(Descriptor(OCI_LAYER_GZIP, self.digest, self.size), self.diff_id)


def layer_key(*parts: object) -> str:
    """The key of a layer that `parts` (JSON values) decide: 64 hexadecimal digits."""
    return fingerprint(FORMAT, *parts)


def write_layer(entries: Iterable[Entry], out: BinaryIO) -> Written:
    """Write the entries, in their order, as a gzip layer to `out`.

    The same entries give the same bytes in every process on every machine. Memory is bounded by a
    few MiB whatever the sizes. Raises BuildError when content is not what its entry promises; what
    is in `out` is then worthless.
    """
    with Zips() as zips:
        writing = _Writing(out, zips)
        for entry in entries:
            writing.add(entry)
        return writing.finish()


class _Writing:
    """A layer half-way: `run` is what is not yet compressed, `buffer` not yet written."""

    def __init__(self, out: BinaryIO, zips: Zips) -> None:
        self._out = out
        self._zips = zips
        self._run = bytearray()
        self._buffer: list[bytes] = []
        self._buffered = self._size = self._uncompressed = 0
        self._digest = hashlib.sha256()
        self._diff_id = hashlib.sha256()

    def add(self, entry: Entry) -> None:
        content = entry.content
        if isinstance(content, bytes):
            self._plain(header(entry, len(content)) + content + padding(len(content)))
            return
        self._plain(header(entry, content.size))
        if isinstance(content, Chunks):
            self._chunks(entry.path, content.size, content.open())
        elif SPLICE_MIN <= content.size < MAX_MEMBER:
            self._splice(content)
        else:
            for data in self._zips.content(content):
                self._plain(data)
        self._plain(padding(content.size))

    def finish(self) -> Written:
        self._plain(END)
        self._end_run()
        self._flush()
        return Written(
            Digest(f"sha256:{self._digest.hexdigest()}"),
            self._size,
            Digest(f"sha256:{self._diff_id.hexdigest()}"),
            self._uncompressed,
        )

    def _plain(self, data: bytes) -> None:
        run = self._run
        run += data
        while len(run) >= RUN:
            self._member(bytes(run[:RUN]))
            del run[:RUN]

    def _chunks(self, path: str, size: int, chunks: Iterator[bytes]) -> None:
        for chunk in chunks:
            size -= len(chunk)
            self._plain(chunk)
        if size:
            raise BuildError(
                f"{path!r} changed while it was read: {abs(size)} bytes too "
                + ("few" if size > 0 else "many"),
                hint="run again when nothing else writes there",
            )

    def _splice(self, spliced: Spliced) -> None:
        self._end_run()
        self._write(HEADER)
        for raw, data in self._zips.inflate(spliced):
            self._diff_id.update(data)
            self._write(raw)
        self._uncompressed += spliced.size
        self._write(trailer(spliced.crc32, spliced.size))

    def _end_run(self) -> None:
        if self._run:
            self._member(bytes(self._run))
            self._run.clear()

    def _member(self, data: bytes) -> None:
        self._diff_id.update(data)
        self._uncompressed += len(data)
        self._write(member(data))

    def _write(self, data: bytes) -> None:
        self._buffer.append(data)
        self._buffered += len(data)
        if self._buffered >= _WRITE:
            self._flush()

    def _flush(self) -> None:
        data = b"".join(self._buffer)
        self._digest.update(data)
        self._out.write(data)
        self._size += len(data)
        self._buffer.clear()
        self._buffered = 0
