"""The local cache: files by kind and key, bounded in size, safe for parallel runs.

An entry is a file that is complete or absent: it is written beside its place and renamed. Anything
in it may vanish between two runs (`trim` removes what was used least recently), never during the
reading of an open file. Nothing in it is trusted further than its key: a key names content.
"""

from __future__ import annotations

import errno
import fcntl
import os
import pwd
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from launch_action.core.errors import BuildError

DEFAULT_LIMIT = 10 * 1024**3
# A file younger than this may belong to a run that is going on: it is not trimmed.
_YOUNG = 3600.0


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
        with _explained(self.root):
            self._made(place.parent)
            handle, name = tempfile.mkstemp(prefix=".partial-", dir=place.parent)
            os.close(handle)
            try:
                yield Path(name)
                Path(name).replace(place)
            finally:
                Path(name).unlink(missing_ok=True)

    def directory(self, kind: str) -> Path:
        """A directory of a tool's own state, such as apt's lists; the tool keeps it in order."""
        return self._made(self.root / kind)

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold the lock of this name against every other process and thread of the machine."""
        with (self._made(self.root / "locks") / name).open("wb") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def trim(self) -> int:
        """Remove the least recently used files above the limit; returns the bytes removed."""
        now = time.time()
        files = sorted(self._files())
        for used, _, path in files:
            if path.name.startswith(".partial-") and now - used > _YOUNG:
                path.unlink(missing_ok=True)  # left by a run that was killed
        excess = sum(size for _, size, _ in files) - self.limit
        removed = 0
        for used, size, path in files:
            if removed >= excess or now - used < _YOUNG:
                break
            with suppress(FileNotFoundError):
                path.unlink()
                removed += size
        return removed

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    found = path.lstat()
                    yield max(found.st_mtime, found.st_atime), found.st_size, path

    def _place(self, kind: str, key: str) -> Path:
        return self.root / kind / key[:2] / key

    def _made(self, directory: Path) -> Path:
        """A directory of the cache, made now where it is missing. Raises BuildError."""
        with _explained(self.root, *_NO_PLACE):
            directory.mkdir(parents=True, exist_ok=True)
        return directory


def cache_root(environment: Mapping[str, str]) -> Path:
    """`$LAUNCH_ACTION_CACHE`, else launch-action in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    chosen = environment.get("LAUNCH_ACTION_CACHE")
    if chosen:
        return Path(chosen).absolute()  # programs that we start elsewhere are given it too
    return user_directory(environment, "XDG_CACHE_HOME", ".cache") / "launch-action"


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
