"""The build context: the files of a commit's tree, after the ignore rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

from launch_action.core.dataclass import dataclass

FileKind = Literal["file", "executable", "symlink"]


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One file of the context.

    `path` is relative to the context, with `/`; bytes that are not UTF-8 are kept by
    surrogateescape. `content` identifies the bytes (`git:<object id>` or `sha256:<hex>`), `size`
    counts them. A symbolic link's content is its target. Directories are implied.
    """

    path: str
    kind: FileKind
    content: str
    size: int


class Context(Protocol):
    """Reads the files of one build context at one commit, never the dirty workspace."""

    @property
    def files(self) -> tuple[TreeFile, ...]:
        """Every file, sorted by the bytes of its path; nothing is ignored yet."""
        ...

    def read(self, path: str) -> bytes | None:
        """The content of one small file (at most 16 MiB), None when the context has none there."""
        ...

    def contents(self, files: Iterable[TreeFile]) -> Iterator[tuple[TreeFile, Iterator[bytes]]]:
        """The files in the given order, each with its content in chunks.

        The chunks of one file must be used up before the next is asked for. Raises SourceError
        when an object is missing.
        """
        ...


def sort_key(path: str) -> bytes:
    """The order of paths everywhere in this package: by their bytes, as git sorts."""
    return path.encode("utf-8", "surrogateescape")
