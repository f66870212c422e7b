"""Directory trees that are kept for later runs: complete as they were listed, or not used.

The local cache removes files of least use, one by one, and a job may have changed one through a
hard link. A listing, written when the tree is complete, tells both.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_TREE = "tree"
_LISTING = "listing.json"
_BYTECODE = "bytecode.json"
# Why a hard link cannot be made although the file is there: another file system, too many links,
# a file system without links, a policy against linking others' files.
_NO_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP)

Share = Callable[[str, str], object]


def tree_of(entry: Path) -> Path:
    """Where the files of an entry are."""
    return entry / _TREE


def publish(entry: Path) -> None:
    """List the files of an entry that is complete; what is added later is not part of it.

    They are made read-only: a job could otherwise write through its links into the cache.
    """
    found = sorted(_walk(str(tree_of(entry))))
    for name, kind, *_ in found:
        if kind == "file":
            file = tree_of(entry) / name
            file.chmod(file.stat().st_mode & 0o555)
    _write(entry / _LISTING, found)


def is_whole(entry: Path) -> bool:
    """Whether every file of the listing is there, unchanged by size and time."""
    listing = _read(entry / _LISTING)
    root = tree_of(entry)
    return bool(listing) and all(_facts(f"{root}/{name}") == facts for name, *facts in listing)


def link(entry: Path, destination: Path) -> bool:
    """Fill the empty directory `destination` with the entry's tree; its files are shared by links.

    False when the entry is not whole; `destination` then holds a part of it. Where files cannot be
    linked they are copied. Raises OSError when the copy cannot be written.
    """
    listing = _read(entry / _LISTING)
    if not listing:
        return False
    root = tree_of(entry)
    destination.mkdir(parents=True, exist_ok=True)
    share: Share = os.link
    for name, kind, *facts in listing:
        place = f"{destination}/{name}"
        if kind == "directory":
            Path(place).mkdir(exist_ok=True)
        elif kind == "symlink":
            Path(place).symlink_to(facts[0])
        else:
            share = _share(share, f"{root}/{name}", place)
            # What was removed from the cache, or changed there, is not what was unpacked.
            if _facts(place) != [kind, *facts]:
                return False
    _link_bytecode(entry, destination, share)
    return True


def keep_bytecode(entry: Path, used: Path) -> None:
    """Take over the bytecode that a run wrote beside the entry's files, for the runs to come.

    Only of sources that are still the entry's own: a job may have put others in their place.
    """
    root = tree_of(entry)
    kept = set(_read(entry / _BYTECODE))
    found = set(kept)
    for folder, kind, *_ in _read(entry / _LISTING):
        if kind == "directory":
            found |= {name for name in _bytecode(used, folder) if _same_source(name, root, used)}
    for name in found - kept:
        with suppress(OSError):
            Path(f"{root}/{name}").parent.mkdir(exist_ok=True)
            _share(os.link, f"{used}/{name}", f"{root}/{name}")
    if found != kept:
        with suppress(OSError):
            _write(entry / _BYTECODE, sorted(found))


def _link_bytecode(entry: Path, destination: Path, share: Share) -> None:
    for name in _read(entry / _BYTECODE):
        # It is a gain, not a part: what is gone is written again by Python.
        with suppress(OSError):
            place = Path(f"{destination}/{name}")
            place.parent.mkdir(exist_ok=True)
            share = _share(share, f"{tree_of(entry)}/{name}", str(place))


def _bytecode(root: Path, folder: str) -> Iterator[str]:
    with suppress(OSError), os.scandir(f"{root}/{folder}/__pycache__") as found:
        for entry in found:
            if entry.name.endswith(".pyc") and entry.is_file(follow_symlinks=False):
                yield f"{folder}/__pycache__/{entry.name}"


def _same_source(bytecode: str, root: Path, used: Path) -> bool:
    folder, _, name = bytecode.rpartition("/__pycache__/")
    source = f"{folder}/{name.partition('.')[0]}.py"
    facts = _facts(f"{root}/{source}")
    return bool(facts) and facts == _facts(f"{used}/{source}")


def _share(share: Share, source: str, place: str) -> Share:
    """Link or copy one file unless it is gone; what the next file is to be shared with."""
    try:
        share(source, place)
    except FileNotFoundError:
        return share
    except OSError as error:
        if share is not os.link or error.errno not in _NO_LINK:
            raise
        return _share(shutil.copy2, source, place)
    return share


def _read(listing: Path) -> list[Any]:
    try:
        found = json.loads(listing.read_bytes())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []


def _write(listing: Path, rows: list[Any]) -> None:
    partial = listing.with_name(f".{listing.name}.{os.urandom(4).hex()}")
    partial.write_text(json.dumps(rows))
    partial.replace(listing)


def _walk(root: str) -> Iterator[list[Any]]:
    """Name, kind and facts of everything below."""
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = f"{folder}/{name}"
            yield [path[len(root) + 1 :], *_facts(path)]


def _facts(path: str) -> list[Any]:
    """The kind of a file, with what would tell a change of it; empty when it is not there."""
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            return ["symlink", str(Path(path).readlink())]
    except OSError:
        return []
    if stat.S_ISDIR(found.st_mode):
        return ["directory"]
    return ["file", found.st_size, found.st_mtime_ns]
