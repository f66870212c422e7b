"""How layers are compressed: `gzip` or `zstd`, and how hard is tried."""

from __future__ import annotations

import re
from typing import Literal

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError

Kind = Literal["gzip", "zstd"]

_TEXT = re.compile(r"(gzip|zstd)(?::([1-9][0-9]?))?")
# Lowest and highest level that is taken, and the one that is meant where none is named.
_LEVELS: dict[Kind, tuple[int, int, int]] = {"gzip": (1, 12, 6), "zstd": (1, 19, 3)}


@dataclass(frozen=True, slots=True)
class Compression:
    """The compression of the layers that are made; those of a base stay as they are.

    Levels of gzip are libdeflate's. zstd ends at 19: what is packed harder needs more memory to
    unpack than every engine gives.
    """

    kind: Kind = "gzip"
    level: int = 6

    @classmethod
    def parse(cls, text: str) -> Compression:
        """Read `gzip`, `gzip:1` to `gzip:12`, `zstd`, `zstd:1` to `zstd:19`. Raises InputError.

        >>> Compression.parse("zstd")
        Compression(kind='zstd', level=3)
        """
        match = _TEXT.fullmatch(text)
        kind: Kind = "zstd" if match and match[1] == "zstd" else "gzip"
        lowest, highest, usual = _LEVELS[kind]
        level = int(match[2] or usual) if match else 0
        if not lowest <= level <= highest:
            raise InputError(
                f"input 'compression' cannot be {text!r}",
                hint="write gzip, gzip:1 to gzip:12, zstd, or zstd:1 to zstd:19",
            )
        return cls(kind, level)

    def __str__(self) -> str:
        return f"{self.kind}:{self.level}"


DEFAULT = Compression()
