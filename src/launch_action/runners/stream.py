"""Chunks of bytes as a file that is read from its beginning to its end."""

from __future__ import annotations

from collections.abc import Iterator
from io import RawIOBase
from typing import Any


class ChunkStream(RawIOBase):
    """A file over an iterator of chunks; what the iterator raises, reading raises."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count
