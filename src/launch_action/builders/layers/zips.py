"""Reads members of zip files: their raw deflate bytes, and what they inflate to, checked.

Source of the formats: RFC 1951; APPNOTE.TXT 6.3.10 (zip).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from isal import igzip_lib, isal_zlib

from launch_action.builders.layers.archive import Spliced
from launch_action.core.errors import BuildError

# Its stub calls the class an instance of itself.
IsalError: type[Exception] = igzip_lib.error  # type: ignore[assignment]

_READ = 1 << 18
_INFLATE = 1 << 20


class Zips:
    """The zip files that are being read: one stays open until another is asked for."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._descriptor = -1

    def __enter__(self) -> Zips:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._path, self._descriptor = None, -1

    def read(self, path: Path, offset: int, size: int) -> bytes:
        """`size` bytes at `offset`. Raises BuildError when the file ends before."""
        if path is not self._path:
            self.close()
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._path = path
        data = os.pread(self._descriptor, size, offset)
        while len(data) < size:
            more = os.pread(self._descriptor, size - len(data), offset + len(data))
            if not more:
                raise BuildError(
                    f"{path.name} ends at byte {offset + len(data)}, in the middle of a file",
                    hint="the download is incomplete; remove it and run again",
                )
            data += more
        return data

    def inflate(self, spliced: Spliced) -> Iterator[tuple[bytes, bytes]]:
        """The raw deflate bytes and what they inflate to, in step, a few MiB at most at a time.

        Raises BuildError at the end unless the stream is exactly one deflate stream of the size,
        CRC-32 and SHA-256 that were promised.
        """
        if spliced.size <= _INFLATE and spliced.compressed_size <= _INFLATE:
            yield self._whole(spliced)
            return
        size = crc = 0
        digest = hashlib.sha256()
        for raw, data in self._pieces(spliced):
            size += len(data)
            if size > spliced.size:
                break
            crc = isal_zlib.crc32(data, crc)
            if spliced.sha256:
                digest.update(data)
            yield raw, data
        verify(spliced, size, crc, digest.hexdigest())

    def content(self, spliced: Spliced) -> Iterator[bytes]:
        """What the member inflates to, in chunks, with the same checks as `inflate`."""
        for _, data in self.inflate(spliced):
            if data:
                yield data

    def _whole(self, spliced: Spliced) -> tuple[bytes, bytes]:
        raw = self.read(spliced.zip_path, spliced.offset, spliced.compressed_size)
        inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
        try:
            # One byte more than promised is enough to see that a stream is longer than it says.
            data: bytes = inflater.decompress(raw, spliced.size + 1)
        except (IsalError, EOFError) as error:
            raise _damaged(spliced, str(error)) from error
        if not inflater.eof or inflater.unused_data:
            raise _damaged(spliced, "its deflate stream and its size do not agree")
        verify(
            spliced,
            len(data),
            isal_zlib.crc32(data),
            hashlib.sha256(data).hexdigest() if spliced.sha256 else "",
        )
        return raw, data

    def _pieces(self, spliced: Spliced) -> Iterator[tuple[bytes, bytes]]:
        inflater = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_DEFLATE)
        done = 0
        try:
            while done < spliced.compressed_size and not inflater.eof:
                length = min(_READ, spliced.compressed_size - done)
                raw = self.read(spliced.zip_path, spliced.offset + done, length)
                done += length
                yield raw, inflater.decompress(raw, _INFLATE)
                while not inflater.needs_input and not inflater.eof:
                    yield b"", inflater.decompress(b"", _INFLATE)
        except IsalError as error:
            raise _damaged(spliced, str(error)) from error
        if not inflater.eof or inflater.unused_data or done < spliced.compressed_size:
            raise _damaged(spliced, "its deflate stream and its size do not agree")


def verify(spliced: Spliced, size: int, crc: int, sha256: str) -> None:
    """Raise BuildError unless the content is what the wheel says; `sha256` in hexadecimal."""
    if size != spliced.size:
        raise _damaged(spliced, f"it does not have the {spliced.size} bytes it says to have")
    if crc != spliced.crc32:
        raise _damaged(spliced, f"its CRC-32 is {crc:08x}, not {spliced.crc32:08x}")
    if spliced.sha256 and sha256 != spliced.sha256:
        raise _damaged(spliced, f"its SHA-256 is {sha256}, RECORD says {spliced.sha256}")


def _damaged(spliced: Spliced, why: str) -> BuildError:
    name = spliced.name or f"the file at byte {spliced.offset}"
    return BuildError(
        f"{spliced.zip_path.name}: {name!r} is damaged: {why}",
        hint="remove the download and run again; if it stays so, the package itself is broken",
    )
