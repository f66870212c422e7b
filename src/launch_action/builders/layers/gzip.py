"""Gzip members: made by a codec that is the same on every machine, or of a zip's own deflate bytes.

Source of the formats: RFC 1951, RFC 1952. A gzip file may be a concatenation of members (RFC 1952,
section 2.2), and every container engine reads it so.
"""

from __future__ import annotations

import struct

from deflate import __version__ as _version
from deflate import deflate_compress
from isal import isal_zlib

CODEC = f"1/libdeflate-{_version}"
# Part of the format: another number here must go with another number in CODEC.
LEVEL = 6
# One member holds a file's size modulo 2^32; from 4 GiB on readers disagree, so nothing is spliced.
MAX_MEMBER = 2**32

# No name, no time (0), no hint of the level (XFL 0), no operating system (255): RFC 1952, 2.3.
HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"


def member(data: bytes, level: int = LEVEL) -> bytes:
    """A gzip member of this data, byte for byte the same on every machine.

    The compressor is libdeflate and not isal, which is faster: what isal writes depends on the
    processor (SSE4.2, AVX2 and plain C choose other matches), and a digest must not.
    """
    return HEADER + bytes(deflate_compress(data, level)) + trailer(isal_zlib.crc32(data), len(data))


def trailer(crc32: int, size: int) -> bytes:
    """The end of a member whose content has this checksum and size (taken modulo 2^32)."""
    return struct.pack("<LL", crc32, size & 0xFFFFFFFF)
