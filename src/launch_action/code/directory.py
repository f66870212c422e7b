"""A directory as a build context: its files, hashed once and read again as they were."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

from launch_action.code.ignoring import Ignoring
from launch_action.core.context import FileKind, TreeFile, check_size, sort_key
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, SourceError
from launch_action.core.links import escaping_links
from launch_action.core.secret_files import HEAD, looks_secret

CHUNK = 1 << 20
_THREADS = 4

Transfer = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]


@dataclass(frozen=True, slots=True)
class Found:
    """A file before its content is read."""

    path: str
    kind: FileKind
    size: int


class DirectoryContext:
    """The files of a directory. Implements `core.context.Context`.

    What a file held when it was hashed is what it is taken for: one that holds something else when
    it is read again is a SourceError. Safe for several threads.
    """

    def __init__(
        self,
        root: Path,
        files: Iterable[TreeFile],
        outer: Callable[..., dict[str, bytes]] | None = None,
    ) -> None:
        self.root = root
        self._outer = outer
        self._files = tuple(files)
        self._by_path = {file.path: file for file in self._files}

    @property
    def files(self) -> tuple[TreeFile, ...]:
        return self._files

    def read(self, path: str) -> bytes | None:
        """One file of at most 16 MiB, None when there is none. Raises SourceError."""
        file = self._by_path.get(path)
        if file is None:
            return None
        check_size(file)
        return b"".join(self._content(file))

    def contents(self, files: Iterable[TreeFile]) -> Iterator[tuple[TreeFile, Iterator[bytes]]]:
        for file in files:
            yield file, self._content(file)

    def check(self, files: Iterable[TreeFile]) -> None:
        """Nothing: every file was read when it was hashed."""

    def below(self, directory: str) -> DirectoryContext:
        """The context of a directory of this one. Raises SourceError when there is none."""
        if not directory:
            return self
        start = f"{directory}/"
        inside = [file for file in self._files if file.path.startswith(start)]
        if not inside:
            raise SourceError(
                f"no directory {directory!r} with files in {str(self.root)!r}",
                hint="the build context counts from the source's root; is it ignored?",
            )
        moved = (
            TreeFile(file.path[len(start) :], file.kind, file.content, file.size) for file in inside
        )
        return DirectoryContext(self.root / directory, moved, self.outer)

    def outer(self, *paths: str) -> dict[str, bytes]:
        """The regular files among `paths`, which count from the source's root."""
        if self._outer:
            return self._outer(*paths)
        wanted = [p for p in paths if p in self._by_path and self._by_path[p].kind != "symlink"]
        return {path: self.read(path) or b"" for path in wanted}

    def _content(self, file: TreeFile) -> Iterator[bytes]:
        digest = hashlib.sha256()
        for chunk in _chunks(self.root, Found(file.path, file.kind, file.size)):
            digest.update(chunk)
            yield chunk
        if f"sha256:{digest.hexdigest()}" != file.content:
            raise SourceError(f"{file.path!r} changed while it was read", hint="run it again")


def open_directory(root: Path, *, allowed: Iterable[str], transfer: Transfer) -> DirectoryContext:
    """The source that a directory is, after the ignore rules.

    Raises SourceError for one that is empty, for files that look like credentials and are not
    `allowed` by their path, and for symbolic links that leave the directory.
    """
    found = sorted(walk(root, Ignoring.of(root), ""), key=lambda one: sort_key(one.path))
    if not found:
        raise SourceError(
            f"nothing to record in {str(root)!r}", hint="it is empty, or all of it is ignored"
        )
    total = sum(one.size for one in found)
    with transfer(f"{len(found)} files", total) as advance:
        hashed = _hashed(root, found, advance)
    _refuse_secrets([file.path for file, secret in hashed if secret], frozenset(allowed))
    context = DirectoryContext(root, (file for file, _ in hashed))
    _refuse_escaping(root, context.files)
    return context


def plain_directory(root: Path) -> DirectoryContext:
    """A directory that a recorded archive was unpacked into: every file of it, without rules."""
    found = sorted(walk(root, None, ""), key=lambda one: sort_key(one.path))
    return DirectoryContext(root, (file for file, _ in _hashed(root, found, lambda _: None)))


def walk(root: Path, ignoring: Ignoring | None, base: str) -> Iterator[Found]:
    """The files below a directory of the source, links not followed. Raises SourceError."""
    # Not by recursion: a path may have more parts than Python has frames.
    waiting = [(ignoring, base)]
    while waiting:
        rules, place = waiting.pop()
        yield from _in_directory(root, rules, place, waiting)


def _in_directory(
    root: Path,
    ignoring: Ignoring | None,
    base: str,
    waiting: list[tuple[Ignoring | None, str]],
) -> Iterator[Found]:
    """The files of one directory; those in it, with the rules for them, wait to be walked."""
    try:
        entries = sorted(os.scandir(root / base), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(str(root / base), error) from error
    if ignoring and any(entry.name == "pyvenv.cfg" for entry in entries):
        return  # a virtual environment, whatever it is called
    rules = ignoring.inside(root / base, base) if ignoring and base else ignoring
    for entry in entries:
        path = base + entry.name
        directory = entry.is_dir(follow_symlinks=False)
        if rules and rules.ignores(path, directory=directory):
            continue
        if directory:
            waiting.append((rules, f"{path}/"))
        else:
            yield from _file(entry, path)


def _file(entry: os.DirEntry[str], path: str) -> Iterator[Found]:
    try:
        if entry.is_symlink():
            yield Found(path, "symlink", len(os.fsencode(os.readlink(entry.path))))  # noqa: PTH115
            return
        status = entry.stat(follow_symlinks=False)
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISREG(status.st_mode):
        kind: FileKind = "executable" if status.st_mode & stat.S_IXUSR else "file"
        yield Found(path, kind, status.st_size)
    # A socket or a pipe is nothing that could be recorded: git passes over them as well.


def _unreadable(path: str, error: OSError) -> SourceError:
    return SourceError(
        f"{path!r} cannot be read: {error.strerror}",
        hint="check its permissions, or leave it out with .launchignore",
    )


def _hashed(
    root: Path, found: list[Found], advance: Callable[[int], None]
) -> list[tuple[TreeFile, bool]]:
    """Each file with its digest, and whether it looks like a credential."""

    def one(file: Found) -> tuple[TreeFile, bool]:
        digest, head = hashlib.sha256(), b""
        for chunk in _chunks(root, file):
            head = head or chunk[:HEAD]
            digest.update(chunk)
            advance(len(chunk))
        content = f"sha256:{digest.hexdigest()}"
        secret = file.kind != "symlink" and looks_secret(file.path, head)
        return TreeFile(file.path, file.kind, content, file.size), secret

    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(one, found))


def _chunks(root: Path, file: Found) -> Iterator[bytes]:
    """The content in chunks: exactly as many bytes as the file has said. Raises SourceError."""
    path = root / file.path
    try:
        if file.kind == "symlink":
            yield os.fsencode(path.readlink())
            return
        left = file.size
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb", buffering=0) as opened:  # noqa: PTH123
            while chunk := opened.read(min(CHUNK, left + 1)):
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
    except OSError as error:
        raise _unreadable(file.path, error) from error
    if left:
        raise SourceError(f"{file.path!r} changed while it was read", hint="run it again")


def _refuse_secrets(paths: list[str], allowed: frozenset[str]) -> None:
    unknown = sorted(set(paths) - allowed)
    if unknown:
        shown = ", ".join(map(repr, unknown[:5])) + (" ..." if len(unknown) > 5 else "")
        raise SourceError(
            f"files that look like credentials would be recorded: {shown}",
            hint="leave them out with .launchignore, or let each in with --allow-file PATH",
        )


def _refuse_escaping(root: Path, files: tuple[TreeFile, ...]) -> None:
    links = [file for file in files if file.kind == "symlink"]
    targets = {file.path: os.fsencode((root / file.path).readlink()) for file in links}
    escaping = escaping_links(links, targets.get)
    if escaping:
        raise SourceError(
            f"symbolic links leave the directory: {', '.join(map(repr, escaping[:5]))}",
            hint="replace them by what they name, or leave them out with .launchignore",
        )


def directory_of(text: str) -> Path:
    """The directory that `--uri` names. Raises InputError."""
    path = Path(text).expanduser()
    if not path.is_dir():
        what = "a file" if path.exists() else "neither a directory nor an address"
        raise InputError(
            f"input 'uri' is {what}: {text!r}",
            hint="give a directory, or https://host/owner/repository, or git@host:path",
        )
    return path.resolve()
