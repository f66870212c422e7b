"""The local cache: files by kind and key, bounded in size, safe for parallel runs.

An entry is a file that is complete or absent: it is written beside its place and renamed. Anything
in it may vanish between two runs (`trim` removes what was used least recently), never during the
reading of an open file. Nothing in it is trusted further than its key: a key names content.
Directories that tools keep below a kind are units: they are removed as a whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError, InputError
from launch_action.core.finishing import finish

DEFAULT_LIMIT = 10 * 1024**3
# What was used less than this many seconds ago may belong to a run that is going on: it stays.
_YOUNG = 3600.0
# Looking through the cache more often would gain nothing: what came since the last time is young.
_PAUSE = _YOUNG
_STAMP = ".trimmed"
_LOCKS = "locks"
_TRASH = ".trash-"
# Names of what is being written; what has them and is not young was left by a run that was killed.
_UNFINISHED = (".partial-", "tmp")
# Kinds that are one unit: a part of it would be missed by the rest.
_WHOLE = frozenset(("uv",))
# A lock may be named after so many characters of a key.
_LOCK_KEY = 16


@dataclass(frozen=True, slots=True)
class Cache:
    """A cache below `root`, trimmed to `limit` bytes."""

    root: Path
    limit: int = DEFAULT_LIMIT

    def find(self, kind: str, key: str) -> Path | None:
        """The entry's file, marked as used now; None when there is none."""
        path = self._place(kind, key)
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    @contextmanager
    def write(self, kind: str, key: str) -> Iterator[Path]:
        """A new empty file to be filled; it becomes the entry when the block ends without error.

        Raises BuildError when the disk is full or the cache cannot be written.
        """
        place = self._place(kind, key)
        with _explained(self.root), _partial(self._made(place.parent)) as path:
            yield path
            path.replace(place)

    @contextmanager
    def partial(self, kind: str) -> Iterator[Path]:
        """A new empty file beside the entries of a kind, gone when the block ends.

        For content whose key is not known yet: it may be moved into a `write`. Raises BuildError
        as `write` does.
        """
        with _explained(self.root), _partial(self.directory(kind)) as path:
            yield path

    def directory(self, kind: str) -> Path:
        """A directory of a tool's own state, such as apt's lists; the tool keeps it in order."""
        return self._used(self._made(self.root / kind))

    def tree(self, kind: str, key: str) -> Path:
        """A directory below `directory(kind)` that is trimmed as a whole, marked as used now.

        It is there, perhaps empty. It is not removed while the lock `<kind>-<key>` is held, where
        the kind may lack its last s and a key be cut to 16 characters.
        """
        return self._used(self._made(self.root / kind / key))

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of this name against every other process and thread of the machine."""
        with (self._made(self.root / _LOCKS) / name).open("wb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            os.utime(handle.fileno())  # tells when the tree of this name was used
            yield

    def trim(self, *, pause: float = _PAUSE) -> int:
        """Remove what was used least recently above the limit; returns the bytes removed.

        Does nothing if that was done less than `pause` seconds ago. What cannot be removed stays:
        a cache that is too large is no reason to fail.
        """
        stamp = self.root / _STAMP
        with suppress(OSError, BuildError), ExitStack() as held:
            age = time.time() - stamp.stat().st_mtime if stamp.exists() else pause
            if 0 <= age < pause or not _claim(self._made(self.root / _LOCKS) / "trim", held):
                return 0
            stamp.touch()
            return self._trim(time.time() - _YOUNG)
        return 0

    def _trim(self, old: float) -> int:
        """Remove above the limit what was not used since `old`, in seconds since 1970."""
        import shutil

        for trash in self.root.glob(f"{_TRASH}*"):
            shutil.rmtree(trash, ignore_errors=True)
        units = sorted(_units(self.root))  # by their last use
        total = removed = 0
        for unit in units:
            if unit.unfinished and unit.used < old:
                self._remove(unit, old)
            else:
                total += unit.size
        for unit in units:
            if total - removed <= self.limit or unit.used >= old:
                break
            if not unit.unfinished:
                removed += self._remove(unit, old)
        return removed

    def _remove(self, unit: _Unit, old: float) -> int:
        """Remove a unit, all of it or nothing; the bytes removed."""
        import shutil
        import tempfile

        with suppress(OSError):
            if not unit.tree:
                if _last_use(os.lstat(unit.path)) < old:  # still: it may just have been found
                    os.unlink(unit.path)  # noqa: PTH108 - for ten thousand of them
                    return unit.size
                return 0
            with ExitStack() as held:
                locks = _locks_of(self.root, unit.path)
                if not all(_claim(lock, held) for lock in locks) or _is_executed(unit.path):
                    return 0
                aside = tempfile.mkdtemp(prefix=_TRASH, dir=self.root)
                Path(unit.path).rename(f"{aside}/unit")
            shutil.rmtree(aside, ignore_errors=True)
            return unit.size
        return 0

    def _used(self, directory: Path) -> Path:
        with suppress(OSError):
            os.utime(directory)
        return directory

    def _place(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2] / key

    def _made(self, directory: Path) -> Path:
        """A directory of the cache, made now where it is missing. Raises BuildError."""
        with _explained(self.root, *_NO_PLACE):
            directory.mkdir(parents=True, exist_ok=True)
        return directory


class _Unit(NamedTuple):
    """What is removed as a whole; `used` in seconds since 1970, `size` in bytes."""

    used: float
    size: int
    path: str
    tree: bool
    unfinished: bool


def _units(root: Path) -> Iterator[_Unit]:
    """Everything in a cache but its locks: files by kind and key, and trees."""
    for kind in _entries(root):
        if not kind.is_dir(follow_symlinks=False) or kind.name.startswith((_LOCKS, _TRASH)):
            continue
        if kind.name in _WHOLE:
            yield _tree(root, kind)
            continue
        for entry in _entries(kind):
            if not entry.is_dir(follow_symlinks=False):
                yield from _files((entry,))
            elif len(entry.name) == 2:  # the first characters of keys
                yield from _files(_entries(entry))
            else:
                yield _tree(root, entry)


def _files(entries: Iterable[os.DirEntry[str]]) -> Iterator[_Unit]:
    for entry in entries:
        try:
            found = entry.stat(follow_symlinks=False)
        except OSError:  # removed meanwhile
            continue
        unfinished = entry.name.startswith(_UNFINISHED)
        yield _Unit(_last_use(found), found.st_size, entry.path, False, unfinished)


def _tree(root: Path, top: os.DirEntry[str]) -> _Unit:
    """A tree is as young as its youngest file, its mark, or the end of its last lock."""
    used, size = 0.0, 0
    with suppress(OSError):
        used = max(os.lstat(path).st_mtime for path in (top.path, *_locks_of(root, top.path)))
    rest = [top.path]
    while rest:
        for entry in _entries(rest.pop()):
            if entry.is_dir(follow_symlinks=False):
                rest.append(entry.path)
                continue
            with suppress(OSError):
                found = entry.stat(follow_symlinks=False)
                # A file that is shared by a new link, as runs do, has a new ctime.
                used = max(used, _last_use(found), found.st_ctime)
                size += found.st_size
    return _Unit(used, size, top.path, True, top.name.startswith(_UNFINISHED))


def _last_use(found: os.stat_result) -> float:
    return max(found.st_mtime, found.st_atime)


def _entries(folder: str | os.PathLike[str]) -> Iterator[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as found:
        yield from found


def _locks_of(root: Path, tree: str) -> list[str]:
    """The locks that are named after a tree, whoever may hold them."""
    folder, key = os.path.split(tree)
    kind = os.path.basename(folder)  # noqa: PTH119
    kinds = (kind, kind.removesuffix("s"))
    found = []
    for entry in _entries(root / _LOCKS):
        head, _, rest = entry.name.partition("-")
        if head in kinds and (rest == key or (len(rest) >= _LOCK_KEY and key.startswith(rest))):
            found.append(entry.path)
    return found


@contextmanager
def _partial(folder: Path) -> Iterator[Path]:
    """A new empty file of a name that says what it is; gone when the block ends, or moved.

    An interruption may come between any two steps: so it has its name before it is there, and a
    removal that did not come to be is made up for.
    """
    path = folder / f"{_UNFINISHED[0]}{os.urandom(8).hex()}"
    try:
        path.touch(0o600, exist_ok=False)
        yield path
    finally:
        finish(partial(path.unlink, missing_ok=True))


def _claim(lock: str | os.PathLike[str], held: ExitStack) -> bool:
    """Take a lock until the stack is closed, unless somebody has it."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    held.callback(os.close, descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_executed(tree: str) -> bool:
    """Whether a program of a tree runs: an interpreter needs its library until its end."""
    inside = f"{os.path.realpath(tree)}/"
    for process in _entries("/proc"):
        if process.name.isdigit():
            with suppress(OSError):
                if os.readlink(f"{process.path}/exe").startswith(inside):  # noqa: PTH115
                    return True
    return False


def cache_root(environment: Mapping[str, str]) -> Path:
    """`$LAUNCH_ACTION_CACHE`, else launch-action in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    chosen = environment.get("LAUNCH_ACTION_CACHE")
    if chosen:
        return Path(chosen).absolute()  # programs that we start elsewhere are given it too
    return user_directory(environment, "XDG_CACHE_HOME", ".cache") / "launch-action"


def cache_limit(environment: Mapping[str, str]) -> int:
    """`$LAUNCH_ACTION_CACHE_LIMIT` in bytes, else 10 GiB. Raises InputError.

    >>> cache_limit({"LAUNCH_ACTION_CACHE_LIMIT": "1.5 GB"})
    1500000000
    """
    given = environment.get("LAUNCH_ACTION_CACHE_LIMIT", "").strip()
    if not given:
        return DEFAULT_LIMIT
    found = re.fullmatch(r"(\d{1,18}(?:\.\d{1,9})?)\s*(?:([KMGT])(i?))?B?", given, re.IGNORECASE)
    if not found:
        raise InputError(
            f"LAUNCH_ACTION_CACHE_LIMIT cannot be {given!r}",
            hint="write bytes, or a size such as 500MB, 20GB or 8GiB",
        )
    number, unit, binary = found.groups()
    power = "KMGT".index(unit.upper()) + 1 if unit else 0
    return int(float(number) * (1024 if binary else 1000) ** power)


def user_directory(environment: Mapping[str, str], variable: str, default: str) -> Path:
    """A directory of the user by the XDG base directory specification: a relative one is no one."""
    given = Path(environment.get(variable) or ".")
    if given.is_absolute():
        return given
    home = Path(environment.get("HOME") or ".")
    return (home if home.is_absolute() else _home()) / default


def _home() -> Path:
    """Where the machine's list of users says this one is at home."""
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:  # a container that is run under any number
        return Path("/")


# What a full, read-only or forbidden disk answers; anything else is not ours to explain.
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)


# What a place answers in which no directory can be: a file, a special file system.
_NO_PLACE = (errno.ENOENT, errno.ENOTDIR, errno.EEXIST)


@contextmanager
def _explained(root: Path, *also: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (*_DISK, *also):
            raise
        raise BuildError(
            f"cannot write the cache {str(root)!r}: {error.strerror}",
            hint="free some space, or set LAUNCH_ACTION_CACHE to a directory on another disk",
        ) from error
