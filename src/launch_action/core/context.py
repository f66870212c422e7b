"""The build context: the files of a commit's tree, after the ignore rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, Protocol

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import SourceError

READ_LIMIT = 16 * 1024 * 1024  # bytes of a file that is read whole
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


def check_size(file: TreeFile) -> None:
    """Raise SourceError for a file that is too large to be read whole."""
    if file.size > READ_LIMIT:
        raise SourceError(
            f"{file.path!r} has {file.size} bytes, over the limit of {READ_LIMIT}",
            hint="a file that is read as configuration is not that large",
        )


def sort_key(path: str) -> bytes:
    """The order of paths everywhere in this package: by their bytes, as git sorts."""
    return path.encode("utf-8", "surrogateescape")
