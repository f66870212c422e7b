"""Unpacks layers into a directory, confined to it, the way container engines apply them.

Source of the format: OCI image specification 1.1, layer.md (whiteouts).
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import BinaryIO

from launch_action.builders.layers.layer_reader import (
    BLOCK,
    HINT,
    Header,
    Source,
    inflated,
    inside,
    read_headers,
    refused,
)
from launch_action.builders.layers.zips import IsalError
from launch_action.core.errors import StoreError

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
# Kinds that a job has no use for, and only root could make: devices and pipes.
_SKIPPED = (b"3", b"4", b"6")
_FILE = (b"0", b"\0", b"7")
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def extract(stream: BinaryIO, destination: Path) -> int:
    """Unpack a layer (gzip of any number of members, or plain tar); returns how many files.

    The stream is read to its end, so that one that checks its digest can. Modes are kept without
    set-user-id, set-group-id and sticky bits; owners are not. Whiteouts remove what earlier layers
    left. Nothing is written outside `destination`, nor through a symbolic link in it. Raises
    StoreError for a layer that tries, or is not an archive.
    """
    destination.mkdir(parents=True, exist_ok=True)
    # Every path below is relative to this descriptor, wherever the directory is moved meanwhile.
    root = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _Unpacking(root, Source(inflated(stream))).run()
    except (IsalError, EOFError, UnicodeError, ValueError) as error:
        raise StoreError(f"a layer cannot be read: {error}", hint=HINT) from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise refused(str(error.filename or error), "has the place of something else") from error
    finally:
        os.close(root)


class _Unpacking:
    """A layer that is being unpacked: `real` are directories known to be no links."""

    def __init__(self, root: int, source: Source) -> None:
        self._root = root
        self._source = source
        self._real = {""}
        self._made: set[str] = set()
        self._count = 0

    def run(self) -> int:
        # Modes of directories come last: one without write permission must be filled first.
        modes: dict[str, int] = {}
        for found in read_headers(self._source):
            path = inside(found.name)
            if found.kind == b"5":
                if path:
                    self._directory(path)
                    modes[path] = found.mode & 0o777
                self._source.skip(found.size + -found.size % BLOCK)
            else:
                self._other(path, found)
        self._source.drain()
        for path, mode in reversed(modes.items()):
            if path in self._real:
                os.chmod(path, mode, dir_fd=self._root)
        return self._count

    def _other(self, path: str, found: Header) -> None:
        parent, _, name = path.rpartition("/")
        if not name:
            raise refused(found.name, "names no file")
        self._parent(parent)
        if name.startswith(_WHITEOUT):
            self._whiteout(parent, name)
        elif found.kind in _FILE:
            self._file(path, found)
        elif found.kind == b"2":
            self._remove(path)
            os.symlink(found.target, path, dir_fd=self._root)
        elif found.kind == b"1":
            self._hardlink(path, found)
        elif found.kind not in _SKIPPED:
            raise refused(found.name, f"is of an unknown kind {found.kind!r}")
        if found.kind not in _FILE or name.startswith(_WHITEOUT):
            self._source.skip(found.size + -found.size % BLOCK)
        self._made.add(path)
        self._count += 1

    def _file(self, path: str, found: Header) -> None:
        try:
            descriptor = os.open(path, _NEW, 0o600, dir_fd=self._root)
        except FileExistsError:
            self._remove(path)
            descriptor = os.open(path, _NEW, 0o600, dir_fd=self._root)
        try:
            for piece in self._source.pieces(found.size):
                _write(descriptor, piece)
            os.fchmod(descriptor, found.mode & 0o777)
            os.utime(descriptor, (found.mtime, found.mtime))
        finally:
            os.close(descriptor)
        self._source.skip(-found.size % BLOCK)

    def _hardlink(self, path: str, found: Header) -> None:
        target = inside(found.target)
        self._parent(target.rpartition("/")[0])
        status = self._status(target)
        if not status or not stat.S_ISREG(status.st_mode):
            raise refused(found.name, f"links to {found.target!r}, which is no file of it")
        if target != path:
            self._remove(path)
            os.link(
                target, path, src_dir_fd=self._root, dst_dir_fd=self._root, follow_symlinks=False
            )

    def _directory(self, path: str) -> None:
        self._parent(path.rpartition("/")[0])
        status = self._status(path)
        if status and stat.S_ISDIR(status.st_mode):
            os.chmod(path, 0o700, dir_fd=self._root)
        else:
            # An upper layer's directory takes the place of a lower layer's link or file.
            self._remove(path)
            os.mkdir(path, 0o700, dir_fd=self._root)
        self._real.add(path)
        self._made.add(path)

    def _parent(self, path: str) -> None:
        """See that a directory is there, and that no part of its path is a symbolic link."""
        if path in self._real:
            return
        self._parent(path.rpartition("/")[0])
        status = self._status(path)
        if not status:
            os.mkdir(path, 0o755, dir_fd=self._root)
        elif not stat.S_ISDIR(status.st_mode):
            raise refused(path, "is no directory, and something is to be written below it")
        self._real.add(path)

    def _status(self, path: str) -> os.stat_result | None:
        try:
            return os.stat(path, dir_fd=self._root, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def _remove(self, path: str) -> None:
        """Remove what is at a path, if anything is; never what a link leads to."""
        status = self._status(path)
        if not status:
            return
        if not stat.S_ISDIR(status.st_mode):
            os.unlink(path, dir_fd=self._root)
            return
        shutil.rmtree(path, dir_fd=self._root)
        self._real = {one for one in self._real if one != path and not _below(one, path)}

    def _whiteout(self, parent: str, name: str) -> None:
        hidden = name.removeprefix(_WHITEOUT)
        if name == _OPAQUE:
            self._clear(parent)
        elif hidden in ("", ".", ".."):
            raise refused(name, "is no whiteout of a file")
        else:
            self._remove(_joined(parent, hidden))

    def _clear(self, parent: str) -> None:
        """Remove what earlier layers left in a directory, and keep what this one wrote."""
        directory = os.open(parent or ".", _DIRECTORY, dir_fd=self._root)
        try:
            names = [entry.name for entry in os.scandir(directory)]
        finally:
            os.close(directory)
        for name in names:
            path = _joined(parent, name)
            if not any(made == path or _below(made, path) for made in self._made):
                self._remove(path)
            elif path in self._real:
                self._clear(path)


def _joined(parent: str, name: str) -> str:
    return f"{parent}/{name}" if parent else name


def _below(path: str, parent: str) -> bool:
    return path.startswith(parent + "/")


def _write(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
