"""What a layer of packages may share with another: its places, short enough for a manifest.

Two layers that are made on different days are compared by these, without a wheel: a layer of the
last image is named and not fetched. A claim is a path from the environment's root, with `~/` for
site-packages: a directory that belongs to the layer alone (`~/numpy/`, with a slash), or a file
with the beginning of its content's SHA-256 (`~/six.py=1a2b3c4d`). In a directory that packages
share (`bin`, a namespace) the claims are those of what is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from launch_action.builders.layers.archive import Entry, Spliced
from launch_action.builders.layers.scheme import Scheme

# More in one directory are a package's own, or not worth a line each.
_FEW = 24
_PACKAGES = "~/"
_Tree = dict[str, "_Tree | str"]


class Claims:
    """Entries on their way into a layer; `lines` are its claims when all have passed."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._entries = entries
        self._tree: _Tree = {}

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            if entry.kind != "directory":
                _plant(self._tree, entry)
            yield entry

    def lines(self, scheme: Scheme) -> tuple[str, ...]:
        """The claims below the environment, sorted."""
        tree = self._tree
        for part in scheme.root.split("/"):
            inside = tree.get(part)
            tree = inside if isinstance(inside, dict) else {}
        places = scheme.site_packages.removeprefix(f"{scheme.root}/") + "/"
        found = _claims(tree, "", places)
        return tuple(sorted(one.replace(places, _PACKAGES, 1) for one in found))


def clashing(layers: Sequence[Sequence[str]]) -> tuple[int, ...]:
    """The layers, by number, that may have a path in common with different content."""
    directories: dict[str, set[int]] = {}
    files: dict[str, dict[str, set[int]]] = {}
    above: dict[str, set[int]] = {}
    for number, claims in enumerate(layers):
        for claim in claims:
            path, _, content = claim.partition("=")
            if path.endswith("/"):
                directories.setdefault(path, set()).add(number)
            else:
                files.setdefault(path, {}).setdefault(content, set()).add(number)
            for parent in _parents(path.rstrip("/")):
                above.setdefault(parent, set()).add(number)
    found: set[int] = set()
    for path, owners in directories.items():
        found |= _several(owners | above.get(path, set()))
    for contents in files.values():
        if len(contents) > 1:
            found |= _several(set().union(*contents.values()))
    return tuple(sorted(found))


def _several(owners: set[int]) -> set[int]:
    return owners if len(owners) > 1 else set()


def _parents(path: str) -> Iterator[str]:
    at = path.find("/")
    while at >= 0:
        yield path[: at + 1]
        at = path.find("/", at + 1)


def _plant(tree: _Tree, entry: Entry) -> None:
    *folders, name = entry.path.split("/")
    for folder in folders:
        inside = tree.setdefault(folder, {})
        if not isinstance(inside, dict):
            return
        tree = inside
    tree[name] = _content(entry)


def _content(entry: Entry) -> str:
    content = entry.content
    if entry.kind != "file":
        return hashlib.sha256(entry.target.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()[:8]
    known = content.sha256 if isinstance(content, Spliced) else ""
    return known[:8] or f"{content.size}B"


def _claims(tree: _Tree, path: str, packages: str) -> Iterator[str]:
    for name, inside in tree.items():
        place = f"{path}{name}"
        if isinstance(inside, str):
            yield f"{place}={inside}"
        elif place.endswith(".dist-info"):
            continue  # no two packages have one name
        elif f"{packages}".startswith(f"{place}/") or _is_shared(inside, place, packages):
            yield from _claims(inside, f"{place}/", packages)
        else:
            yield f"{place}/"


def _is_shared(inside: _Tree, place: str, packages: str) -> bool:
    """Whether packages put things side by side here: a namespace, or not below site-packages."""
    if len(inside) > _FEW and place.startswith(packages):
        return False
    if not place.startswith(packages):
        return len(inside) <= _FEW or "/" not in place
    return all(isinstance(one, dict) or name == "__init__.py" for name, one in inside.items())
