"""The build context of a commit as BuildKit is given it: as a directory, or as a tar.

Nothing of the workspace is read. What the ignore rules leave out is not there, `.git` never is.
"""

from __future__ import annotations

import gzip
import os
import posixpath
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import IO

from launch_action.builders.layers.archive import MTIME, Chunks, Entry
from launch_action.builders.layers.tar import END, header, padding, with_parents
from launch_action.core.context import Context, TreeFile
from launch_action.core.decoding import is_unicode
from launch_action.core.errors import BuildError

# git's two modes; a link's own mode means nothing on Linux.
_MODES = {"file": 0o644, "executable": 0o755, "symlink": 0o777}
_DIRECTORY = 0o755


def write_directory(context: Context, files: Iterable[TreeFile], root: Path) -> None:
    """Write the files below `root`, with their modes; links stay links.

    Raises SourceError where content is missing, BuildError for a name that BuildKit or the disk
    does not take.
    """
    root.mkdir(parents=True)
    made = {root}
    for file, chunks in context.contents(files):
        _check_name(file)
        path = root / file.path
        try:
            _make_parents(path, made)
            if file.kind == "symlink":
                path.symlink_to(b"".join(chunks).decode("utf-8", "surrogateescape"))
            else:
                with path.open("xb") as out:
                    out.writelines(chunks)
                path.chmod(_MODES[file.kind])
            os.utime(path, (MTIME, MTIME), follow_symlinks=False)
        except OSError as error:
            raise BuildError(
                f"cannot write {file.path!r} of the build context: {error.strerror}",
                hint="free some space, or choose another directory with TMPDIR",
            ) from error


def _check_name(file: TreeFile) -> None:
    """BuildKit's file transfer is of Unicode names, and only says that it was cancelled."""
    if not is_unicode(file.path):
        raise BuildError(
            f"BuildKit takes no file name that is not UTF-8: {file.path!r}",
            hint="give the file another name, or keep it out with .dockerignore",
        )


def _make_parents(path: Path, made: set[Path]) -> None:
    """Make the directories above a file, whose mode is part of what `COPY` copies."""
    for folder in reversed(path.parents):
        if folder not in made and any(folder.is_relative_to(top) for top in made):
            folder.mkdir()
            folder.chmod(_DIRECTORY)
            made.add(folder)


def write_tar(
    context: Context,
    files: Iterable[TreeFile],
    also: Mapping[str, bytes],
    out: IO[bytes],
    *,
    prefix: str = "",
) -> None:
    """Write the files below `prefix`, and `also` by path, as a gzip tar.

    Of a plain one with pax headers BuildKit takes the first bytes for a Dockerfile. Everything in
    it is root's, as what `COPY` makes is.
    """
    with gzip.GzipFile(filename="", fileobj=out, mode="wb", compresslevel=1, mtime=0) as packed:
        for entry in with_parents(_entries(context, files, also, prefix), mode=_DIRECTORY):
            if isinstance(entry.content, Chunks):
                packed.write(header(entry, entry.content.size))
                for chunk in entry.content.open():
                    packed.write(chunk)
                packed.write(padding(entry.content.size))
            elif isinstance(entry.content, bytes):
                packed.write(header(entry, len(entry.content)) + entry.content)
                packed.write(padding(len(entry.content)))
        packed.write(END)


def _entries(
    context: Context, files: Iterable[TreeFile], also: Mapping[str, bytes], prefix: str
) -> Iterable[Entry]:
    for path in sorted(also):
        yield Entry(posixpath.normpath(path), "file", _MODES["file"], also[path])
    for file, chunks in context.contents(files):
        mode = _MODES[file.kind]
        if file.kind == "symlink":
            target = b"".join(chunks).decode("utf-8", "surrogateescape")
            yield Entry(prefix + file.path, "symlink", mode, target=target)
        else:
            yield Entry(prefix + file.path, "file", mode, Chunks(file.size, partial(iter, chunks)))
