"""The build context of a commit: its files, those of its submodules, and LFS content."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Self

from launch_action.core.checkout import Checkout
from launch_action.core.context import TreeFile, check_size
from launch_action.git.collection import Collection, collect
from launch_action.git.listing import KINDS
from launch_action.git.origin import Origin


def _never(_directory: str) -> bool:
    return False


def open_context(
    checkout: Checkout, path: str = "", *, prunes: Callable[[str], bool] = _never
) -> CommitContext:
    """The files below `path`, which counts from the top of the checkout, at the checkout's commit.

    `prunes` says of a directory of the context that nothing of it is wanted, so that a submodule
    there need not be present. Raises SourceError when the commit has no such directory or a
    submodule is missing, InputError for a path that leaves the checkout.
    """
    return CommitContext(collect(checkout, path, prunes))


class CommitContext:
    """The files of one directory of a commit. Implements `core.context.Context`.

    Everything comes from objects of the commit, nothing from the working tree. Leave its `with`
    block, or let go of it, to end the git processes that serve `read` and `outer`. Safe for
    several threads.
    """

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._files = tuple(collection.files)
        self._by_path = {file.path: file for file in self._files}

    @property
    def files(self) -> tuple[TreeFile, ...]:
        """Every file, sorted by the bytes of its path; nothing is ignored yet."""
        return self._files

    def read(self, path: str) -> bytes | None:
        """The content of one file of at most 16 MiB, None when the context has none there.

        A symbolic link's content is its target: nothing is followed. Raises SourceError.
        """
        file = self._by_path.get(path)
        if file is None:
            return None
        check_size(file)
        self.check((file,))
        if path in self._collection.pointers:
            return b"".join(self._lfs(path))
        return self._origin(path).read(_oid(file), path)

    def contents(self, files: Iterable[TreeFile]) -> Iterator[tuple[TreeFile, Iterator[bytes]]]:
        """The files in the given order, each with its content in chunks of at most 1 MiB.

        One git process serves all files of a repository. What is left of a file's chunks is
        skipped when the next file is asked for. Raises SourceError when content is missing.
        """
        wanted = tuple(files)
        self.check(wanted)
        oids: dict[int, list[str]] = {id(origin): [] for origin in self._collection.origins}
        for file in wanted:
            if file.path not in self._collection.pointers:
                oids[id(self._origin(file.path))].append(_oid(file))
        with ExitStack() as stack:
            streams = {}
            for origin in self._collection.origins:
                stream = streams[id(origin)] = origin.stream(oids[id(origin)])
                stack.callback(stream.close)
            for file in wanted:
                if file.path in self._collection.pointers:
                    yield file, self._lfs(file.path)
                    continue
                origin = self._origin(file.path)
                found, chunks = next(streams[id(origin)])
                if found is None or found.size != file.size:
                    raise origin.absent(file.path)
                yield file, chunks

    def check(self, files: Iterable[TreeFile]) -> None:
        """Raise SourceError for the first file whose content is known not to be there.

        Cheap, and made for the files that are left after the ignore rules, before any work.
        """
        absent, pointers = self._collection.absent, self._collection.pointers
        if not absent and not pointers:
            return
        for file in files:
            if file.path in absent:
                raise self._origin(file.path).absent(file.path)
            if pointer := pointers.get(file.path):
                self._origin(file.path).storage.check(pointer, file.path)

    def outer(self, *paths: str) -> dict[str, bytes]:
        """The regular files among `paths`, which count from the top of the checkout.

        For what may stand above the context, such as `.python-version`; a link is not followed,
        LFS content is not looked up. Raises SourceError.
        """
        found: dict[str, bytes] = {}
        for origin in self._collection.chain:
            below = f"{origin.mount}/" if origin.mount else ""
            inner = [path[len(below) :] for path in paths if path.startswith(below)]
            for entry in origin.entries(inner) if inner else ():
                if KINDS.get(entry.mode) in ("file", "executable"):
                    found[below + entry.path] = origin.read(entry.oid, below + entry.path)
        return found

    def close(self) -> None:
        """End the git processes that serve `read` and `outer`."""
        for origin in (*self._collection.chain, *self._collection.origins):
            origin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _origin(self, path: str) -> Origin:
        return self._collection.placed.get(path, self._collection.chain[-1])

    def _lfs(self, path: str) -> Iterator[bytes]:
        return self._origin(path).storage.content(self._collection.pointers[path], path)


def _oid(file: TreeFile) -> str:
    return file.content.removeprefix("git:")
