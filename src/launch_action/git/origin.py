"""One repository that files of a build context come from: the checkout's own, or a submodule's."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack
from functools import cached_property
from threading import Lock

from launch_action.core.checkout import Repository
from launch_action.core.context import READ_LIMIT
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import SourceError
from launch_action.git.attributes import NAME as ATTRIBUTES
from launch_action.git.attributes import LfsFiles
from launch_action.git.configuration import Configuration
from launch_action.git.lfs import POINTER_LIMIT, Pointer, Storage
from launch_action.git.listing import KINDS, TreeEntry, list_paths, list_tree
from launch_action.git.objects import Object, ObjectReader, read_objects


@dataclass  # no slots: one of these per repository, and a cached property
class Origin:
    """A repository at one commit.

    `mount` is where it is in the checkout (`""`, `vendor/lib`); `partial` says that objects may
    have been left out of the clone.
    """

    repository: Repository
    commit: str
    mount: str
    partial: bool
    _lock: Lock = field(default_factory=Lock)
    _stack: ExitStack = field(default_factory=ExitStack)
    _reader: ObjectReader | None = None

    @cached_property
    def storage(self) -> Storage:
        """Where its LFS content is."""
        configured = Configuration.read(self.repository).get("lfs.storage")
        return Storage.of(self.repository, configured)

    def listing(self, path: str) -> list[TreeEntry]:
        """Every file below a directory, relative to it. Raises SourceError."""
        tree = f"{self.commit}:{path}" if path else self.commit
        return list_tree(self.repository, tree, partial=self.partial)

    def entries(self, paths: Iterable[str]) -> list[TreeEntry]:
        """The entries at the given paths from the root; what is not there is left out."""
        return list_paths(self.repository, self.commit, paths)

    def read(self, oid: str, path: str) -> bytes:
        """One blob of at most 16 MiB; `path` is for the error. Raises SourceError."""
        with self._lock:
            found = self._open().get(oid, READ_LIMIT)
        if found is None:
            raise self.absent(path)
        return found[1]

    def stream(
        self, oids: Iterable[str]
    ) -> Generator[tuple[Object | None, Iterator[bytes]], None, None]:
        """Many blobs in order, by a git process of their own. See `ObjectReader.stream`."""
        with read_objects(self.repository) as objects:
            yield from objects.stream(oids)

    def absent(self, path: str) -> SourceError:
        """The error for a file whose object is missing."""
        if self.partial:
            return SourceError(
                f"the content of {path!r} was left out of this partial clone",
                hint="clone without --filter, or `git fetch --refetch --no-filter`; with "
                "actions/checkout, leave out `filter` and `sparse-checkout`",
            )
        return SourceError(f"the content of {path!r} is missing", hint="`git fsck`")

    def pointers(self, directory: str, entries: Iterable[TreeEntry]) -> dict[str, Pointer]:
        """The LFS pointers among the files below `directory`, by their path relative to it.

        Nothing is read for a tree whose attributes do not speak of LFS.
        """
        files = [e for e in entries if KINDS.get(e.mode) in ("file", "executable")]
        lfs = LfsFiles.parse(self._attributes(directory, files))
        if not lfs:
            return {}
        below = f"{directory}/" if directory else ""
        small = [e for e in files if 0 < (e.size or 0) <= POINTER_LIMIT and below + e.path in lfs]
        contents = (b"".join(chunks) for _, chunks in self.stream(e.oid for e in small))
        found = zip(small, map(Pointer.parse, contents), strict=False)
        return {entry.path: pointer for entry, pointer in found if pointer}

    def close(self) -> None:
        """End the process that serves `read`."""
        with self._lock:
            self._reader = None
            self._stack.close()

    def _attributes(self, directory: str, files: Iterable[TreeEntry]) -> dict[str, bytes]:
        """The .gitattributes files that can concern a directory: its own, and those above it."""
        below = f"{directory}/" if directory else ""
        parts = directory.split("/") if directory else []
        above = ["/".join([*parts[:i], ATTRIBUTES]) for i in range(len(parts))]
        found = [(e.path, e.oid) for e in self.entries(above) if e.mode in KINDS] if above else []
        found += [
            (below + e.path, e.oid)
            for e in files
            if e.path.endswith(ATTRIBUTES) and e.path.rpartition("/")[2] == ATTRIBUTES
        ]
        return {path.rpartition("/")[0]: self.read(oid, path) for path, oid in found}

    def _open(self) -> ObjectReader:
        if self._reader is None:
            self._reader = self._stack.enter_context(read_objects(self.repository))
        return self._reader
