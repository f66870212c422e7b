"""Zstandard frames: made by a codec that is the same on every machine, and read from any tool.

Source of the format: RFC 8878. A file may be a concatenation of frames (section 3), some of them
skippable (3.1.2), and every container engine that reads zstd reads it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zstandard import ZSTD_VERSION, ZstdCompressor, ZstdDecompressor, ZstdError, __version__

# The library brings its own libzstd, but a distribution may have built it with another one.
CODEC = f"1/zstandard-{__version__}/libzstd-{'.'.join(map(str, ZSTD_VERSION))}"
MAGIC = b"\x28\xb5\x2f\xfd"
# 16 numbers that begin a frame which holds no content (RFC 8878, 3.1.2), little-endian.
_SKIPPABLE = b"\x2a\x4d\x18"
# Four bytes can stand for 128 KiB, and nothing bounds what one call gives: so what it takes is.
_READ = 4096


def frame(data: bytes, level: int) -> bytes:
    """A frame of this data, byte for byte the same on every machine.

    In one call and by one thread: what is written in pieces depends on how they are cut. Without a
    checksum: a layer's digest says more.
    """
    return ZstdCompressor(level=level, write_checksum=False).compress(data)


def is_zstd(data: bytes) -> bool:
    """Whether a file that begins with these 4 bytes is of frames."""
    return data.startswith(MAGIC) or (data[1:4] == _SKIPPABLE and data[0] & 0xF0 == 0x50)


def decompressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What the frames hold, at most 128 MiB at a time, as a rule far less.

    Raises EOFError when the file ends inside a frame, ValueError when it is damaged, or needs more
    than 128 MiB of memory to read.
    """
    reader = ZstdDecompressor()
    current = None
    for data in _pieces(chunks):
        while data:
            current = current or reader.decompressobj()
            try:
                found = current.decompress(data)
            except ZstdError as error:
                raise ValueError(f"not zstd: {error}") from error
            if found:
                yield found
            data = current.unused_data if current.eof else b""
            current = None if current.eof else current
    if current is not None:
        raise EOFError("it ends in the middle of a zstd frame")


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        for at in range(0, len(chunk), _READ):
            yield chunk[at : at + _READ]
