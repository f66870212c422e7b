"""BuildKit's progress as the engine's API tells it: protobuf messages, read without their library.

Source of the messages: moby/buildkit, api/services/control/control.proto (StatusResponse, Vertex,
VertexLog); of the encoding: protobuf's "Encoding" page. The engine wraps each in base64.
"""

from __future__ import annotations

from collections.abc import Iterator

from launch_action.core.dataclass import dataclass, field

_VERTEX, _LOG = 1, 3
_DIGEST, _NAME, _CACHED, _STARTED, _COMPLETED, _ERROR = 1, 3, 4, 5, 6, 7
_LOG_VERTEX, _LOG_TEXT = 1, 4

Field = tuple[int, int | bytes]


@dataclass(slots=True)
class Trace:
    """The steps seen so far; `lines` turns each message into what a person reads."""

    numbers: dict[bytes, int] = field(default_factory=dict)
    told: set[tuple[bytes, str]] = field(default_factory=set)

    def lines(self, message: bytes) -> Iterator[str]:
        """The lines of one StatusResponse; what cannot be read gives none."""
        try:
            fields = list(_fields(message))
        except (IndexError, ValueError):
            return
        for number, value in fields:
            if isinstance(value, bytes) and number == _VERTEX:
                yield from self._step(dict(_fields(value)))
            elif isinstance(value, bytes) and number == _LOG:
                yield from self._log(dict(_fields(value)))

    def _step(self, vertex: dict[int, int | bytes]) -> Iterator[str]:
        digest, name = _bytes(vertex.get(_DIGEST)), _text(vertex.get(_NAME))
        if not name.startswith("[") and _ERROR not in vertex:
            return  # its own housekeeping
        number = self._number(digest)
        if _STARTED in vertex and self._first(digest, "started"):
            yield f"#{number} {name}"
        if vertex.get(_ERROR):
            if self._first(digest, "error"):
                yield f"#{number} ERROR: {_text(vertex[_ERROR])}"
        elif vertex.get(_CACHED) and self._first(digest, "ended"):
            yield f"#{number} CACHED"
        elif _COMPLETED in vertex and self._first(digest, "ended"):
            yield f"#{number} DONE"

    def _log(self, log: dict[int, int | bytes]) -> Iterator[str]:
        number = self._number(_bytes(log.get(_LOG_VERTEX)))
        for line in _text(log.get(_LOG_TEXT)).splitlines():
            if line.strip():
                yield f"#{number} {line}"

    def _number(self, digest: bytes) -> int:
        return self.numbers.setdefault(digest, len(self.numbers) + 1)

    def _first(self, digest: bytes, what: str) -> bool:
        fresh = (digest, what) not in self.told
        self.told.add((digest, what))
        return fresh


def _fields(data: bytes) -> Iterator[Field]:
    """Field numbers and values of a message. Raises IndexError or ValueError for what is none."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        match key & 7:
            case 0:
                value, at = _varint(data, at)
                yield key >> 3, value
            case 1:
                yield key >> 3, data[at : at + 8]
                at += 8
            case 2:
                length, at = _varint(data, at)
                yield key >> 3, data[at : at + length]
                at += length
            case 5:
                yield key >> 3, data[at : at + 4]
                at += 4
            case kind:
                message = f"no wire type {kind}"
                raise ValueError(message)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def _bytes(value: int | bytes | None) -> bytes:
    return value if isinstance(value, bytes) else b""


def _text(value: int | bytes | None) -> str:
    return _bytes(value).decode("utf-8", "replace")
