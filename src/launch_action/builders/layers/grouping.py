"""Which wheels share a layer, and what happens when two of them install the same file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from launch_action.builders.layers.archive import Chunks, Entry, Spliced
from launch_action.builders.layers.zips import Zips
from launch_action.core.dataclass import dataclass

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


def group(
    sizes: Mapping[str, int], *, other_layers: int = 0, alone: frozenset[str] = frozenset()
) -> Grouping:
    """Split wheels, given by normalised name and size in bytes, into layers.

    A local rule, so that one wheel's layer does not depend on the others. `other_layers` counts
    the base's and the rest of ours; what does not fit goes into the shared layer, smallest first.
    Those `alone` change with the project's own source, and have layers of their own too.
    """
    heavy = sorted((size, name) for name, size in sizes.items() if size >= HEAVY or name in alone)
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
            if before and before[0] != name and not same_file(before[1], entry):
                found.append(Conflict(entry.path, name, before[0]))
            seen[entry.path] = (name, entry)
    return tuple(found)


def summary(found: Iterable[Conflict]) -> tuple[str, ...]:
    """One line for every two distributions that have conflicts, in their order."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for conflict in found:
        pairs.setdefault((conflict.loser, conflict.winner), []).append(conflict.path)
    return tuple(
        f"{loser} and {winner} both install {paths[0]!r}"
        + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
        + f", with different content: {winner}'s is used"
        for (loser, winner), paths in pairs.items()
    )


def same_file(one: Entry, other: Entry) -> bool:
    """Whether two entries are the same to a reader: their kind, and content or target."""
    if one.kind != other.kind or one.kind != "file":
        return (one.kind, one.target) == (other.kind, other.target)
    a, b = one.content, other.content
    if _size(a) != _size(b):
        return False
    if isinstance(a, Spliced) and isinstance(b, Spliced) and a.sha256 and b.sha256:
        return a.sha256 == b.sha256
    # Seldom: one path in two distributions, with as many bytes in both.
    return _digest(a) == _digest(b)


def _size(content: bytes | Spliced | Chunks) -> int:
    return len(content) if isinstance(content, bytes) else content.size


def _digest(content: bytes | Spliced | Chunks) -> bytes:
    digest = hashlib.sha256()
    with Zips() as zips:
        if isinstance(content, bytes):
            digest.update(content)
        else:
            for data in content.open() if isinstance(content, Chunks) else zips.content(content):
                digest.update(data)
    return digest.digest()
