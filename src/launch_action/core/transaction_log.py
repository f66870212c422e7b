"""The transaction log `run-<id>.wandb` that the W&B SDK writes of a run.

LevelDB's log format (doc/log_format.md) behind a header of 7 bytes; each record is a protocol
buffer `Record` (wandb_internal.proto). Items of a configuration or summary have the fields key = 1,
nested_key = 2, value_json = 16.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from launch_action.core.protobuf import fields

_MAGIC = b":W&B"
_HEADER = 7
_BLOCK = 32 * 1024
# Of each fragment: the whole record, or its first or last part.
_WHOLE, _FIRST, _LAST = 1, 2, 4
# A record larger than this is no summary of scalars.
RECORD_LIMIT = 4 * 1024 * 1024


def records(file: BinaryIO, limit: int = RECORD_LIMIT) -> Iterator[bytes]:
    """The records of a log, until its end or the first that is not whole.

    One of more than `limit` bytes is skipped.
    """
    if not file.read(_HEADER).startswith(_MAGIC):
        return
    parts: list[bytes] = []
    size = 0
    for kind, fragment in _fragments(file):
        if kind in (_WHOLE, _FIRST):
            parts, size = [], 0
        size += len(fragment)
        if size <= limit:
            parts.append(fragment)
        else:
            parts.clear()
        if kind in (_WHOLE, _LAST) and size <= limit:
            yield b"".join(parts)


def _fragments(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    at = _HEADER
    while True:
        left = _BLOCK - at % _BLOCK
        if left < _HEADER:
            at += len(file.read(left))
            continue
        head = file.read(_HEADER)
        length, kind = int.from_bytes(head[4:6], "little"), head[6] if len(head) == _HEADER else 0
        fragment = file.read(length)
        whole = kind in (1, 2, 3, 4) and len(fragment) == length
        if not whole or zlib.crc32(fragment, zlib.crc32(head[6:])) != _checksum(head):
            return
        at += _HEADER + length
        yield kind, fragment


def _checksum(head: bytes) -> int:
    return int.from_bytes(head[:4], "little")


def apply_item(values: dict[str, Any], change: int, item: bytes) -> None:
    """Set (1) or remove (2) one key of a configuration or summary.

    An item that does not read is passed over.
    """
    keys: list[str] = []
    value = b""
    try:
        for number, found in fields(item):
            if number in (1, 2) and isinstance(found, bytes) and found:
                keys.append(found.decode())
            elif number == 16 and isinstance(found, bytes):
                value = found
        read = json.loads(value) if change == 1 else None
    except (IndexError, ValueError, RecursionError):
        return
    if not keys:
        return
    at = values
    for key in keys[:-1]:
        below = at.get(key)
        if not isinstance(below, dict):
            below = at[key] = {}
        at = below
    if change == 1:
        at[keys[-1]] = read
    else:
        at.pop(keys[-1], None)
