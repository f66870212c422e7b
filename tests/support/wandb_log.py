"""Transaction logs of the W&B SDK, written by hand: what no SDK would write can be in them."""

from __future__ import annotations

import zlib

BLOCK = 32 * 1024


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def log(*records: bytes) -> bytes:
    """The records as LevelDB's log format has them."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for record in records:
        rest, first = record, True
        while first or rest:
            left = BLOCK - len(out) % BLOCK
            if left < 7:
                out += bytes(left)
                continue
            part, rest = rest[: left - 7], rest[left - 7 :]
            kind = bytes([(1 if first else 4) if not rest else (2 if first else 3)])
            out += zlib.crc32(part, zlib.crc32(kind)).to_bytes(4, "little")
            out += len(part).to_bytes(2, "little") + kind + part
            first = False
    return bytes(out)
