"""Writes a layer: tar entries in, a compressed file with its two digests out, in one pass."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, BinaryIO

from launch_action.builders.layers.archive import Chunks, Entry, Spliced
from launch_action.builders.layers.codec import GZIP, RUN, Codec
from launch_action.builders.layers.gzip import CODEC, HEADER, MAX_MEMBER, trailer
from launch_action.builders.layers.tar import END, header, padding
from launch_action.builders.layers.zips import Zips
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.image import Descriptor, Layer, fingerprint
from launch_action.core.reference import Digest

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

# Part of the format, like everything in CODEC: from this size on a member of a zip is spliced,
# below it goes into the run of headers and small files around it. A member of its own costs about
# 100 bytes, recompressing 4 KiB costs more time than it saves bytes.
SPLICE_MIN = 4096
FORMAT = f"{CODEC}/{SPLICE_MIN}/{RUN}"

_WRITE = 1 << 18
# More processors than this wait for the one that inflates and hashes.
_MOST = 8


@dataclass(frozen=True, slots=True)
class Written:
    """A layer that was written: `digest` and `size` of the file, `diff_id` of the tar in it.

    Sizes in bytes.
    """

    digest: Digest
    size: int
    diff_id: Digest
    media_type: str

    @property
    def layer(self) -> Layer:
        """The layer as a manifest and a config name it."""
        return Layer(Descriptor(self.media_type, self.digest, self.size), self.diff_id)


def layer_key(*parts: object) -> str:
    """The key of a layer that `parts` (JSON values) decide: 64 hexadecimal digits.

    It is that of the usual codec; with another one the layer's key is `Codec.key` of it.
    """
    return fingerprint(FORMAT, *parts)


def write_layer(entries: Iterable[Entry], out: BinaryIO, codec: Codec = GZIP) -> Written:
    """Write the entries, in their order, as a layer to `out`.

    The same entries give the same bytes in every process on every machine. Memory is bounded by a
    few dozen MiB whatever the sizes. Raises BuildError when content is not what its entry promises;
    what is in `out` is then worthless.
    """
    with Zips() as zips, _compressors(codec) as pool:
        writing = _Writing(out, zips, codec, pool)
        for entry in entries:
            writing.add(entry)
        return writing.finish()


def _compressors(codec: Codec) -> AbstractContextManager[ThreadPoolExecutor | None]:
    """Threads where all of a layer is compressed; what is left beside splicing is too little."""
    count = min(len(os.sched_getaffinity(0)), _MOST)
    if codec.splices or count == 1:
        return nullcontext()
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(count, thread_name_prefix="compress")


class _Writing:
    """A layer half-way: `run` is what is not yet compressed, `buffer` not yet written.

    `waiting` are the runs that are being compressed; what comes after them waits for them.
    """

    def __init__(
        self, out: BinaryIO, zips: Zips, codec: Codec, pool: ThreadPoolExecutor | None
    ) -> None:
        self._out = out
        self._zips = zips
        self._codec = codec
        self._pool = pool
        self._waiting: deque[Future[bytes]] = deque()
        self._run = bytearray()
        self._buffer: list[bytes] = []
        self._buffered = self._size = 0
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
        elif self._codec.splices and SPLICE_MIN <= content.size < MAX_MEMBER:
            self._splice(content)
        else:
            for data in self._zips.content(content):
                self._plain(data)
        self._plain(padding(content.size))

    def finish(self) -> Written:
        self._plain(END)
        self._end_run()
        self._collect(0)
        self._flush()
        return Written(
            Digest(f"sha256:{self._digest.hexdigest()}"),
            self._size,
            Digest(f"sha256:{self._diff_id.hexdigest()}"),
            self._codec.media_type,
        )

    def _plain(self, data: bytes) -> None:
        run, size = self._run, self._codec.run
        run += data
        while len(run) >= size:
            self._member(bytes(run[:size]))
            del run[:size]

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
        self._write(trailer(spliced.crc32, spliced.size))

    def _end_run(self) -> None:
        if self._run:
            self._member(bytes(self._run))
            self._run.clear()

    def _member(self, data: bytes) -> None:
        self._diff_id.update(data)
        if self._pool is None:
            self._write(self._codec.compress(data))
            return
        self._waiting.append(self._pool.submit(self._codec.compress, data))
        self._collect(2 * _MOST)

    def _collect(self, most: int) -> None:
        """Write what is compressed, until at most so many runs are not."""
        while len(self._waiting) > most:
            self._write(self._waiting.popleft().result())

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
