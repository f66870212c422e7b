"""Which wheels share a layer, and what happens when two of them install the same file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from launch_action.builders.layers.archive import Entry, Spliced

# From this size on a wheel has a layer of its own, so that another's new version does not move it.
HEAVY = 1 << 20
# What engines take is 125 to 127 layers; some room is left for what is built on top.
MAX_LAYERS = 120


@dataclass(frozen=True, slots=True)
class Grouping:
    """Names of wheels by layer, lowest first: `shared` is one layer, each of `heavy` another."""

    shared: tuple[str, ...]
    heavy: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Conflict:
    """A path that two distributions install with different content; `winner` is what is seen."""

    path: str
    winner: str
    loser: str

    def __str__(self) -> str:
        return f"{self.path!r} of {self.loser} is replaced by that of {self.winner}"


def group(sizes: Mapping[str, int], *, other_layers: int = 0) -> Grouping:
    """Split wheels, given by normalised name and size in bytes, into layers.

    A local rule, so that one wheel's layer does not depend on the others. `other_layers` counts
    the base's and the rest of ours; what does not fit goes into the shared layer, smallest first.
    """
    heavy = sorted((size, name) for name, size in sizes.items() if size >= HEAVY)
    room = max(MAX_LAYERS - other_layers - 1, 0)
    own = {name for _, name in heavy[max(len(heavy) - room, 0) :]}
    return Grouping(tuple(sorted(sizes.keys() - own)), tuple(sorted(own)))


def merge(parts: Iterable[Iterable[Entry]]) -> list[Entry]:
    """The entries of one layer from several parts: where two have one path, the later part wins."""
    found: dict[str, Entry] = {}
    for part in parts:
        found |= {entry.path: entry for entry in part}
    return list(found.values())


def conflicts(parts: Sequence[tuple[str, Iterable[Entry]]]) -> tuple[Conflict, ...]:
    """The paths that come twice with different content, in the parts' order (layers' order).

    The same content twice (an empty `tests/__init__.py`) is no conflict.
    """
    seen: dict[str, tuple[str, Entry]] = {}
    found = []
    for name, entries in parts:
        for entry in entries:
            before = seen.get(entry.path)
            if before and before[0] != name and not _same(before[1], entry):
                found.append(Conflict(entry.path, name, before[0]))
            seen[entry.path] = (name, entry)
    return tuple(found)


def _same(one: Entry, other: Entry) -> bool:
    if one.kind == other.kind == "directory":
        return True
    a, b = one.content, other.content
    if isinstance(a, Spliced) and isinstance(b, Spliced):
        return (a.size, a.crc32, a.sha256) == (b.size, b.crc32, b.sha256)
    return (one.kind, one.target, a) == (other.kind, other.target, b)
