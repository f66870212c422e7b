"""How layers are compressed: `gzip` or `zstd`, and how hard is tried."""

from __future__ import annotations

from typing import Literal

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError

Kind = Literal["gzip", "zstd"]

# The highest level, and the one that is meant where none is named.
_LEVELS: dict[Kind, tuple[int, int]] = {"gzip": (12, 6), "zstd": (19, 3)}


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
        for kind, (highest, usual) in _LEVELS.items():
            if text == kind:
                return cls(kind, usual)
            if text in [f"{kind}:{level}" for level in range(1, highest + 1)]:
                return cls(kind, int(text.partition(":")[2]))
        raise InputError(
            f"input 'compression' cannot be {text!r}",
            hint="write gzip, gzip:1 to gzip:12, zstd, or zstd:1 to zstd:19",
        )

    def __str__(self) -> str:
        return f"{self.kind}:{self.level}"


DEFAULT = Compression()
