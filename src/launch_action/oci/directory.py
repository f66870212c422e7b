"""Files below one directory: written whole or not at all, locked, no symbolic link followed.

What an OCI image layout needs of a file system, without knowing what an image is.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import StoreError

# Our own state in a layout: the lock, and files that are being written. Beside `blobs`, because
# tools that collect garbage take every name in there for a digest.
STATE = ".launch-action"
_LOCK = "lock"
_PARTIAL = "partial-"
_LOCK_WAIT = 300.0
_FULL = (errno.ENOSPC, errno.EDQUOT)
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO that lies in a blob's place must not wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_LOCK_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Directory:
    """The files below `root`, named by paths with `/`; `root` itself may be a symbolic link.

    Methods raise OSError; `explained` turns that into StoreError.
    """

    root: Path

    @contextmanager
    def folder(self, path: str = "", *, make: bool = False) -> Iterator[int]:
        """A descriptor of a folder, made with its parents where `make` says so."""
        if make:
            self.root.mkdir(parents=True, exist_ok=True)
        current = os.open(self.root, _FOLDER)
        try:
            for part in filter(None, path.split("/")):
                current = _descend(current, part, make)
            yield current
        finally:
            os.close(current)

    def open(self, path: str) -> BinaryIO:
        """A regular file for reading. Raises FileNotFoundError, and OSError for anything else."""
        parent, _, name = path.rpartition("/")
        with self.folder(parent) as folder:
            return _open(name, folder)

    def read(self, path: str, limit: int) -> bytes | None:
        """A small file's bytes; None when there is none. Raises OSError when it is over `limit`."""
        try:
            with self.open(path) as file:
                data = file.read(limit + 1)
        except FileNotFoundError:
            return None
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"a file of more than {limit} bytes is in it", path)
        return data

    def status(self, path: str) -> os.stat_result | None:
        """What a regular file is; None when there is none."""
        parent, _, name = path.rpartition("/")
        try:
            with self.folder(parent) as folder:
                return _status(name, folder)
        except FileNotFoundError:
            return None

    def names(self, path: str = "") -> tuple[str, ...]:
        """The names in a folder, sorted; none when there is no such folder."""
        try:
            with self.folder(path) as folder:
                return tuple(sorted(os.listdir(folder)))  # noqa: PTH208 - a descriptor
        except FileNotFoundError:
            return ()

    def each(self, path: str) -> Iterator[tuple[str, os.stat_result, Callable[[], BinaryIO]]]:
        """Each regular file in a folder: name, status, and what opens it before the next one."""
        names = self.names(path)
        if not names:
            return
        with self.folder(path) as folder:
            for name in names:
                found = _status(name, folder)
                if found:
                    yield name, found, partial(_open, name, folder)

    def touch(self, path: str) -> None:
        """Make a file young: what is young is not collected."""
        parent, _, name = path.rpartition("/")
        with self.folder(parent) as folder:
            os.utime(name, dir_fd=folder, follow_symlinks=False)

    def remove(self, path: str) -> None:
        """Remove a file that may be there."""
        parent, _, name = path.rpartition("/")
        with suppress(FileNotFoundError), self.folder(parent) as folder:
            os.unlink(name, dir_fd=folder)

    def write(self, path: str, fill: Callable[[BinaryIO], None]) -> None:
        """Put a file in its place, durable, after `fill` has written it; nothing when it raises."""
        with self.folder(STATE, make=True) as staging:
            name = _PARTIAL + secrets.token_hex(8)
            with _removed(staging, name):
                handle = os.open(name, _NEW, 0o666, dir_fd=staging)
                with os.fdopen(handle, "wb", buffering=0) as file:
                    fill(file)
                    os.fsync(file.fileno())
                self._place(staging, name, path)

    def link(self, path: str, origin: Directory, check: Callable[[BinaryIO], None]) -> bool:
        """Share a file of another directory, after `check` has read it; False where that cannot be.

        The link is made before the check, so that what is checked is what stays.
        """
        parent, _, source = path.rpartition("/")
        with self.folder(STATE, make=True) as staging, origin.folder(parent) as folder:
            name = _PARTIAL + secrets.token_hex(8)
            with _removed(staging, name):
                if not _linked(source, folder, name, staging):
                    return False
                with self.open(f"{STATE}/{name}") as file:
                    check(file)
                    os.fsync(file.fileno())
                try:
                    os.utime(name, dir_fd=staging, follow_symlinks=False)
                except PermissionError:  # another user's file, which could not be kept young
                    return False
                self._place(staging, name, path)
        return True

    def sync(self, path: str = "") -> None:
        """Make the names in a folder durable."""
        with self.folder(path) as folder:
            os.fsync(folder)

    @contextmanager
    def lock(self, *, shared: bool = False) -> Iterator[None]:
        """Hold the directory's lock against every other process and thread.

        Not to be taken twice by one thread. Raises TimeoutError after five minutes.
        """
        with self.folder(STATE, make=True) as folder:
            handle = os.open(_LOCK, _LOCK_FILE, 0o666, dir_fd=folder)
        try:
            _acquire(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def sweep(self, age: float) -> int:
        """Remove what killed writers left more than `age` seconds ago; returns the bytes freed."""
        freed = 0
        oldest = time.time() - age
        for name in self.names(STATE):
            path = f"{STATE}/{name}"
            found = self.status(path) if name.startswith(_PARTIAL) else None
            if found and found.st_mtime < oldest:
                self.remove(path)
                freed += found.st_size if found.st_nlink == 1 else 0
        return freed

    def _place(self, staging: int, name: str, path: str) -> None:
        parent, _, last = path.rpartition("/")
        with self.folder(parent, make=True) as folder:
            os.rename(name, last, src_dir_fd=staging, dst_dir_fd=folder)


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn a failure of the file system into a StoreError that names the path and what to do."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{_reason(error)}: {_where(root, error)}", hint=_advice(error)) from error


def _where(root: Path, error: OSError) -> str:
    """The root, and what in it; a name that was opened through a descriptor has no folder."""
    name = error.filename
    if not isinstance(name, str) or name == str(root):
        return repr(str(root))
    return repr(name) if name.startswith("/") else f"{str(root)!r} ({name})"


def _reason(error: OSError) -> str:
    if error.errno in _FULL:
        return "no space left for the store"
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "a symbolic link or a file is in the place of a store's folder or file"
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    return f"the store cannot be used, {reason}"


def _advice(error: OSError) -> str:
    if error.errno in _FULL:
        return (
            "free space on that disk, or choose another with --store; nothing half-written is left"
        )
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return "links in a store are not followed; put real files there, or choose another --store"
    if isinstance(error, TimeoutError):
        return "another process holds the store's lock; end it, or wait until it is done"
    return "check owner and permissions of that path, or choose another with --store"


def _status(name: str, folder: int) -> os.stat_result | None:
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def _open(name: str, folder: int) -> BinaryIO:
    handle = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return os.fdopen(handle, "rb")


def _descend(current: int, part: str, make: bool) -> int:
    """The descriptor of a folder in `current`, which is closed when that succeeds."""
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=current)
    below = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
    os.close(current)
    return below


def _linked(source: str, folder: int, name: str, staging: int) -> bool:
    """Make a hard link; False where the file systems differ or the kernel does not allow it."""
    try:
        os.link(source, name, src_dir_fd=folder, dst_dir_fd=staging, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            return False
        raise
    return True


@contextmanager
def _removed(staging: int, name: str) -> Iterator[None]:
    """Whatever happens, no file of this name stays in the staging folder."""
    try:
        yield
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=staging)


def _acquire(handle: int, kind: int) -> None:
    """Take a lock; polled, so that a stopped holder ends in an error and not in silence."""
    deadline = time.monotonic() + _LOCK_WAIT
    pause = 0.0005
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    errno.ETIMEDOUT, "its lock is held by another process", STATE
                ) from None
            time.sleep(pause)
            pause = min(pause * 2, 0.01)
