"""Takes a job's output out of the archive that an engine makes of it, confined to a directory.

What a job may have made there, and an engine may say, is outside data: nothing is written outside
the directory or through a link, no link leads out of it, and everything is the caller's own.
"""

from __future__ import annotations

import errno
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import IO, cast

from launch_action.core.dataclass import dataclass, field
from launch_action.runners.stream import ChunkStream

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE = 1024 * 1024
# Of one file, not of the place: it is left out and the rest goes on.
_UNFIT = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.EEXIST, errno.ENOENT, errno.EPERM)


class TruncatedError(Exception):
    """The archive ends in the middle, or is none."""


@dataclass(slots=True)
class Unpacked:
    """What came of it: `left_out` are pairs of a name and why; `stopped` when it was told to."""

    files: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)
    stopped: bool = False


def unpack_output(
    chunks: Iterator[bytes],
    destination: Path,
    *,
    root: str,
    renamed: dict[str, str] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Unpacked:
    """Unpack an archive whose entries are below `root` into a directory.

    `renamed` gives names of the top level another one. `stop` is asked again and again and ends
    it. Raises TruncatedError, and OSError when the directory cannot be written (a full disk).
    """
    handle = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    work = _Unpacking(handle, root, renamed or {}, stop)
    source = BufferedReader(ChunkStream(chunks), _PIECE)
    try:
        with tarfile.open(
            fileobj=source, mode="r|", bufsize=_PIECE, encoding="utf-8", errors="surrogateescape"
        ) as archive:
            work.run(archive)
    except _Stopped:
        work.found.stopped = True
    except (tarfile.TarError, EOFError, UnicodeError, ValueError) as error:
        raise TruncatedError(str(error)) from error
    finally:
        work.close()
    return work.found


class _Refused(Exception):
    """One entry that is left out, and why."""


class _Stopped(Exception):
    """We were told to end."""


@dataclass(slots=True)
class _Unpacking:
    """An archive that is being unpacked; `made` is everything that is there, by kind."""

    handle: int
    root: str
    renamed: dict[str, str]
    stop: Callable[[], bool]
    found: Unpacked = field(default_factory=Unpacked)
    made: dict[str, str] = field(default_factory=lambda: {"": "directory"})
    modes: dict[str, int] = field(default_factory=dict)

    def run(self, archive: tarfile.TarFile) -> None:
        while entry := archive.next():
            # The names of a million files would fill the memory.
            archive.members.clear()  # type: ignore[attr-defined]
            try:
                self._take(archive, entry)
            except _Refused as refused:
                self.found.left_out.append((entry.name, str(refused)))
            except OSError as error:
                if error.errno not in _UNFIT:
                    raise
                self.found.left_out.append((entry.name, os.strerror(error.errno).lower()))

    def close(self) -> None:
        """Give directories their modes, last, for one without write permission is filled first."""
        for path, mode in reversed(self.modes.items()):
            with suppress(OSError):
                os.chmod(path, mode & 0o777 | 0o700, dir_fd=self.handle)
        os.close(self.handle)

    def _take(self, archive: tarfile.TarFile, entry: tarfile.TarInfo) -> None:
        if self.stop():
            raise _Stopped
        path = self._inside(entry.name)
        if entry.isdir():
            self._directory(path, entry.mode)
            return
        if not path:
            raise _Refused("is not the output directory")
        self._parent(path)
        if path in self.made:
            raise _Refused("comes twice")
        if entry.isreg() and not entry.issparse():
            self._file(archive, entry, path)
        elif entry.issym():
            self._symlink(entry.linkname, path)
        elif entry.islnk():
            self._hardlink(entry.linkname, path)
        else:
            raise _Refused("is neither a file, a directory nor a link")
        self.found.files += 1

    def _inside(self, name: str) -> str:
        """The path below the output directory. Raises _Refused for one outside."""
        first, *parts = name.split("/")
        while parts and parts[-1] == "":
            parts.pop()
        if first != self.root or "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise _Refused("is outside the output directory")
        if parts:
            parts[0] = self.renamed.get(parts[0], parts[0])
        return "/".join(parts)

    def _parent(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent not in self.made:
            self._directory(parent, 0o755)
        if self.made[parent] != "directory":
            raise _Refused("is below something that is no directory")

    def _directory(self, path: str, mode: int) -> None:
        if self.made.get(path) != "directory":
            self._parent(path)
            if path in self.made:
                raise _Refused("comes twice")
            os.mkdir(path, 0o700, dir_fd=self.handle)
            self.made[path] = "directory"
        if path:
            self.modes[path] = mode

    def _file(self, archive: tarfile.TarFile, entry: tarfile.TarInfo, path: str) -> None:
        source = cast("IO[bytes]", archive.extractfile(entry))
        handle = os.open(path, _NEW, 0o600, dir_fd=self.handle)
        self.made[path] = "file"
        try:
            with open(handle, "wb", buffering=0, closefd=False) as file:
                left = entry.size - _copied(source, file, self.stop)
            if left:
                raise TruncatedError(f"{entry.name!r} lacks {left} bytes")
            os.fchmod(handle, entry.mode & 0o777 | 0o600)
            with suppress(OSError, OverflowError, ValueError):
                os.utime(handle, (entry.mtime, entry.mtime))
        except BaseException:
            # Half a file is worse than none.
            os.unlink(path, dir_fd=self.handle)
            raise
        finally:
            os.close(handle)

    def _symlink(self, target: str, path: str) -> None:
        os.symlink(self._confined(target, path), path, dir_fd=self.handle)
        self.made[path] = "link"

    def _confined(self, target: str, path: str) -> str:
        """A link's target that cannot lead out: down from the link, after `..` within the tree.

        An absolute one into the output directory, as the job saw it, becomes relative.
        """
        own = f"/{self.root}"
        if target == own or target.startswith(f"{own}/"):
            target = "../" * path.count("/") + (target.removeprefix(own).lstrip("/") or ".")
        parts = [part for part in target.split("/") if part not in ("", ".")]
        ups = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
        # `..` after a name goes up from where that name leads, which may be a link itself.
        if target.startswith("/") or ups > path.count("/") or ".." in parts[ups:]:
            raise _Refused(f"links to {target!r}, outside the output directory")
        if "\0" in target or not target:
            raise _Refused("links to nothing")
        return target

    def _hardlink(self, target: str, path: str) -> None:
        other = self._inside(target)
        if self.made.get(other) != "file":
            raise _Refused(f"links to {target!r}, which is no file of the output")
        try:
            os.link(
                other, path, src_dir_fd=self.handle, dst_dir_fd=self.handle, follow_symlinks=False
            )
        except OSError:  # a file system without hard links
            self._copy(other, path)
        self.made[path] = "file"

    def _copy(self, other: str, path: str) -> None:
        origin = os.open(other, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.handle)
        with open(origin, "rb") as source:  # noqa: PTH123 - a descriptor
            handle = os.open(path, _NEW, 0o600, dir_fd=self.handle)
            with open(handle, "wb") as file:  # noqa: PTH123 - a descriptor
                shutil.copyfileobj(source, file, _PIECE)


def _copied(source: IO[bytes], file: IO[bytes], stop: Callable[[], bool]) -> int:
    """Copy to the end; how many bytes. Raises _Stopped when told to stop."""
    count = 0
    while piece := source.read(_PIECE):
        if stop():
            raise _Stopped
        view = memoryview(piece)
        while view:
            view = view[file.write(view) :]
        count += len(piece)
    return count
