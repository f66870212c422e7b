"""Packages that install one file with different content: whose is seen, and in which layer.

In one layer the parts are put in the order of installation. Across layers, which have an order of
their own, a small layer above them holds the files of what should be seen and is not.
"""

from __future__ import annotations

from collections.abc import Sequence

from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.grouping import conflicts, same_file, summary
from launch_action.builders.layers.install_order import install_order, requirements

Part = tuple[str, Sequence[Entry]]


def in_order(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, each a package's name and files, as they are installed, the last to be seen.

    Without any conflict they stay as they are: reading metadata takes time.
    """
    if not conflicts(parts):
        return tuple(parts)
    named = dict(parts)
    order = install_order({name: requirements(entries) for name, entries in parts})
    return tuple((name, named[name]) for name in order)


def replacing(layers: Sequence[Sequence[Part]]) -> tuple[list[Entry], tuple[str, ...]]:
    """The files that must lie above these layers, and a line for every two packages in conflict.

    `layers` has the parts of each layer, the lowest first, each in the order of its own.
    """
    every = [part for layer in layers for part in layer]
    wanted: dict[str, Entry] = {}
    ordered = in_order(every)
    for _, entries in ordered:
        wanted |= {entry.path: entry for entry in entries if entry.kind != "directory"}
    seen: dict[str, Entry] = {}
    for _, entries in every:
        seen |= {entry.path: entry for entry in entries if entry.kind != "directory"}
    found = [one for path, one in wanted.items() if not same_file(seen[path], one)]
    home = {name: number for number, layer in enumerate(layers) for name, _ in layer}
    across = (x for x in conflicts(ordered) if home[x.winner] != home[x.loser])
    return found, summary(across)
