"""Tar headers: ustar, and pax records only where ustar cannot say it.

Source of the format: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from launch_action.builders.layers.archive import MTIME, Entry
from launch_action.core.context import sort_key
from launch_action.core.errors import BuildError

BLOCK = 512
# Two empty blocks end an archive. No padding to a "record" of 10 KiB: that is for tapes.
END = bytes(2 * BLOCK)

_TYPES = {"file": b"0", "hardlink": b"1", "symlink": b"2", "directory": b"5"}
_NAME, _PREFIX, _LINK = 100, 155, 100
_MAX_SIZE = 8 * 1024**3
_MAX_ID = 0o10000000
_PAX_NAME = b"././@PaxHeader"
_PADDING = tuple(bytes(-n % BLOCK) for n in range(BLOCK))
_MTIME = b"%011o\0" % MTIME
_MAGIC = b"ustar\x0000"
_DEVICE = b"0000000\x000000000\0"
# The checksum counts its own field as spaces; what is the same in every header is added up once.
_SAME = sum(_MTIME) + sum(_MAGIC) + sum(_DEVICE) + 8 * 0x20


def header(entry: Entry, size: int) -> bytes:
    """The header blocks of an entry whose content has `size` bytes.

    Raises BuildError when the path is absolute, not normalised, or has a NUL in it.
    """
    name = _name(entry)
    target = sort_key(entry.target)
    prefix, short = _split(name)
    records = _records(entry, size, name if short is None else b"", target)
    if short is not None and not records:
        return _block(entry, short, prefix, target, size)
    extended = _extended(records)
    return extended + _block(
        entry,
        name[:_NAME] if short is None else short,
        prefix,
        target[:_LINK],
        size if size < _MAX_SIZE else 0,
    )


def padding(size: int) -> bytes:
    """What follows `size` bytes of content up to the next block."""
    return _PADDING[size % BLOCK]


def with_parents(
    entries: Iterable[Entry], *, mode: int = 0o755, uid: int = 0, gid: int = 0
) -> Iterator[Entry]:
    """The entries in their order, each directory above one written out before it, once.

    A layer without them leaves owner and mode of its directories to the tool that unpacks it.
    Give `sorted_entries` for the one order of a set of entries. Raises BuildError for a path that
    comes twice (a directory may come before what is in it, not after) or lies below a file.
    """
    seen: dict[str, bool] = {}
    for entry in entries:
        directory = entry.kind == "directory"
        for parent in _missing(entry.path, seen):
            seen[parent] = True
            yield Entry(parent, "directory", mode, uid=uid, gid=gid)
        if entry.path in seen:
            raise BuildError(
                f"two entries of a layer have the path {entry.path!r}",
                hint="one of the packages is broken; name another version of it",
            )
        seen[entry.path] = directory
        yield entry


def sorted_entries(entries: Iterable[Entry]) -> list[Entry]:
    """The entries by the bytes of their paths: a directory comes before what is in it."""
    return sorted(entries, key=lambda entry: sort_key(entry.path))


def _missing(path: str, seen: dict[str, bool]) -> list[str]:
    found: list[str] = []
    parent = path.rpartition("/")[0]
    while parent and parent not in seen:
        found.append(parent)
        parent = parent.rpartition("/")[0]
    if parent and not seen[parent]:
        raise BuildError(
            f"an entry of a layer lies below a file: {path!r}",
            hint="one of the packages is broken; name another version of it",
        )
    return found[::-1]


def _name(entry: Entry) -> bytes:
    path = entry.path
    if not path or "\0" in path or not {"", ".", ".."}.isdisjoint(path.split("/")):
        raise BuildError(
            f"not a path inside the image: {path!r}",
            hint="paths of a layer are relative, without '.', '..' and empty parts",
        )
    return sort_key(path + "/" if entry.kind == "directory" else path)


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """The ustar prefix and name; no name when the two fields cannot hold it."""
    if not name.isascii():
        return b"", None
    if len(name) <= _NAME:
        return b"", name
    cut = name.find(b"/", len(name) - _NAME - 1)
    if 0 < cut <= _PREFIX and cut < len(name) - 1:
        return name[:cut], name[cut + 1 :]
    return b"", None


def _records(entry: Entry, size: int, name: bytes, target: bytes) -> list[tuple[bytes, bytes]]:
    found: list[tuple[bytes, bytes]] = []
    if name:
        found.append((b"path", name))
    if len(target) > _LINK or not target.isascii():
        found.append((b"linkpath", target))
    if size >= _MAX_SIZE:
        found.append((b"size", b"%d" % size))
    found += [
        (key, b"%d" % number)
        for key, number in ((b"uid", entry.uid), (b"gid", entry.gid))
        if number >= _MAX_ID
    ]
    if any(not _is_utf8(value) for _, value in found):
        found.insert(0, (b"hdrcharset", b"BINARY"))
    return found


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _extended(records: list[tuple[bytes, bytes]]) -> bytes:
    data = b"".join(_record(key, value) for key, value in records)
    block = _fields(_PAX_NAME, b"", b"", b"x", 0o644, 0, 0, len(data))
    return block + data + padding(len(data))


def _record(key: bytes, value: bytes) -> bytes:
    """`length key=value\\n`, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(entry: Entry, name: bytes, prefix: bytes, target: bytes, size: int) -> bytes:
    uid, gid = (number if number < _MAX_ID else 0 for number in (entry.uid, entry.gid))
    return _fields(name, prefix, target, _TYPES[entry.kind], entry.mode & 0o7777, uid, gid, size)


def _fields(
    name: bytes, prefix: bytes, target: bytes, kind: bytes, mode: int, uid: int, gid: int, size: int
) -> bytes:
    numbers = b"%07o\0%07o\0%07o\0%011o\0" % (mode, uid, gid, size)
    checksum = _SAME + sum(name) + sum(prefix) + sum(target) + sum(kind) + sum(numbers)
    return b"%s%s%s%06o\0 %s%s%s%s%s%s" % (
        name.ljust(_NAME, b"\0"),
        numbers,
        _MTIME,
        checksum,
        kind,
        target.ljust(_LINK, b"\0"),
        _MAGIC,
        bytes(64),
        _DEVICE,
        prefix.ljust(_PREFIX + 12, b"\0"),
    )
