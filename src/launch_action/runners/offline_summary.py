"""The summary of a run that the W&B SDK recorded offline.

Up to some versions the SDK leaves `files/wandb-summary.json`; 0.31 leaves only the transaction log
`run-<id>.wandb`: LevelDB's log format (doc/log_format.md) behind a header of 7 bytes, each record a
protocol buffer `Record` (wandb_internal.proto: Record.summary = 3; SummaryRecord.update = 1,
remove = 2; SummaryItem.key = 1, nested_key = 2, value_json = 16).
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from launch_action.core.metrics import METRICS_LIMIT, read_metrics, scalars

_MAGIC = b":W&B"
_HEADER = 7
_BLOCK = 32 * 1024
# A record larger than this is no summary of scalars; it is skipped.
_RECORD_LIMIT = 4 * 1024 * 1024


def offline_summary(directory: Path, run_id: str) -> dict[str, Any]:
    """The last summary of run `run_id` below the SDK's `wandb` directory; empty when there is none.

    Keys that begin with `_` are the SDK's own and left out. A log that ends in the middle, as that
    of a killed job does, gives what was summarised until then.
    """
    for place in sorted(directory.glob(f"*run-*-{run_id}"), reverse=True):
        for read in (_of_document, _of_log):
            if found := read(place, run_id):
                return {key: value for key, value in found.items() if not key.startswith("_")}
    return {}


def _of_document(place: Path, _: str) -> dict[str, Any]:
    path = place / "files" / "wandb-summary.json"
    if path.is_symlink() or not path.is_file():
        return {}
    with path.open("rb") as file:
        return read_metrics(file.read(METRICS_LIMIT + 1))[0]


def _of_log(place: Path, run_id: str) -> dict[str, Any]:
    path = place / f"run-{run_id}.wandb"
    if path.is_symlink() or not path.is_file():
        return {}
    summary: dict[str, Any] = {}
    with path.open("rb") as file:
        for record in _records(file):
            for number, change in _summary_changes(record):
                _apply(summary, number, change)
    return scalars(summary, [])


def _records(file: BinaryIO) -> Iterator[bytes]:
    """The log's records, until its end or the first that is not whole."""
    if not file.read(_HEADER).startswith(_MAGIC):
        return
    record = b""
    skipped = False
    for kind, fragment in _fragments(file):
        if kind in (1, 2):
            record, skipped = b"", False
        skipped = skipped or len(record) + len(fragment) > _RECORD_LIMIT
        record = b"" if skipped else record + fragment
        if kind in (1, 4) and not skipped:
            yield record


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


def _summary_changes(record: bytes) -> Iterator[tuple[int, bytes]]:
    try:
        for number, value in _fields(record):
            if number == 3 and isinstance(value, bytes):
                for change, item in _fields(value):
                    if change in (1, 2) and isinstance(item, bytes):
                        yield change, item
    except IndexError:
        return


def _apply(summary: dict[str, Any], change: int, item: bytes) -> None:
    """Set or remove one key of the summary; an item that does not read is passed over."""
    keys: list[str] = []
    value = b""
    try:
        for number, found in _fields(item):
            if number in (1, 2) and isinstance(found, bytes) and found:
                keys.append(found.decode())
            elif number == 16 and isinstance(found, bytes):
                value = found
        read = json.loads(value) if change == 1 else None
    except (IndexError, ValueError, RecursionError):
        return
    if not keys:
        return
    at = summary
    for key in keys[:-1]:
        below = at.get(key)
        if not isinstance(below, dict):
            below = at[key] = {}
        at = below
    if change == 1:
        at[keys[-1]] = read
    else:
        at.pop(keys[-1], None)


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer message (encoding.html). Raises IndexError when it is cut."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
            case 2:
                length, at = _varint(data, at)
                if at + length > len(data):
                    raise IndexError(at)
                yield tag >> 3, data[at : at + length]
                at += length
            case 1 | 5 as width:
                at += 8 if width == 1 else 4
            case _:
                raise IndexError(at)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexError(at)
