"""What is counted and told of on the way into a layer and out of the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader

from launch_action.builders.layers.archive import Entry


class Modules:
    """Entries on their way into a layer, and how many Python files were among them."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self.count = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            self.count += entry.kind == "file" and entry.path.endswith(".py")
            yield entry


class Observed(BufferedReader):
    """A file that tells how much of it was read."""

    def __init__(self, file: BufferedReader, advance: Callable[[int], None]) -> None:
        super().__init__(file.raw)
        self._inner = file  # kept, for it closes what we read from when it goes
        self._advance = advance

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._advance(len(data))
        return data
