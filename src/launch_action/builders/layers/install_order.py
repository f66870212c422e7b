"""The order in which packages are installed, where it matters: the last one's file is seen.

It is pip's: what a package requires comes before it, and of packages that do not need each other
the alphabetically first comes last (pip's resolver, `get_topological_weights`). It is a function of
the wheels alone: their metadata tell what they require.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.wheel import read_text
from launch_action.builders.layers.zips import Zips
from launch_action.core.python_name import normal

_REQUIRED = re.compile(r"Requires-Dist:[ \t]*([A-Za-z0-9][A-Za-z0-9._-]*)([^\r\n]*)")
_EXTRA = re.compile(r";.*\bextra\b")


def install_order(requires: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The names of `requires`, first installed first; each with the names that it requires.

    >>> install_order({"a": ["c"], "b": [], "c": []})
    ('c', 'b', 'a')
    """
    left = {name: {one for one in needs if one in requires} for name, needs in requires.items()}
    found: list[str] = []
    while left:
        ready = sorted((name for name in left if not left[name] - {name}), reverse=True)
        # In a circle nobody is first: the last name is taken out of it.
        ready = ready or [max(left)]
        found += ready
        for name in ready:
            del left[name]
        for needs in left.values():
            needs.difference_update(ready)
    return tuple(found)


def requirements(entries: Iterable[Entry]) -> frozenset[str]:
    """The names that an installed distribution requires by itself, without extras."""
    found = next((x for x in entries if x.path.endswith(".dist-info/METADATA")), None)
    if found is None:
        return frozenset()
    with Zips() as zips:
        text = read_text(found.content, zips).decode("utf-8", "replace")
    head = re.split(r"\r?\n\r?\n", text, maxsplit=1)[0]
    every = (one for one in map(_REQUIRED.match, head.splitlines()) if one)
    return frozenset(normal(one[1]) for one in every if not _EXTRA.search(one[2]))
