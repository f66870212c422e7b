"""Reads objects of a repository: the entries of trees, and the content of many blobs by one git."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO

from launch_action.core.checkout import Repository
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import SourceError
from launch_action.git.command import git_talk, raw

CHUNK = 1024 * 1024
# Requests sent ahead. Together they stay below what every pipe holds (4096 bytes, 65 for a
# SHA-256 name), so that writing them never waits for a git that waits for us to read.
_AHEAD = 56


@dataclass(frozen=True, slots=True)
class Object:
    """An object that git has: its name, its kind (`blob`, `commit`, ...) and its size in bytes."""

    oid: str
    kind: str
    size: int


class ObjectReader:
    """One `git cat-file --batch`. Not for several threads at once."""

    def __init__(self, repository: Repository, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self._repository = repository
        self._stdin = stdin
        self._stdout = stdout

    def get(self, name: str, limit: int) -> tuple[Object, bytes] | None:
        """One object, by a name without line feed; None when git has none of that name.

        Raises SourceError for one of more than `limit` bytes, and when git gives up.
        """
        self._ask((name,))
        found = self._header()
        if found is None:
            return None
        content = b"".join(self._content(found.size, keep=found.size <= limit))
        if found.size > limit:
            raise SourceError(
                f"object {name!r} has {found.size} bytes, over the limit of {limit}",
                hint="a file that is read as configuration is not that large",
            )
        return found, content

    def stream(self, oids: Iterable[str]) -> Iterator[tuple[Object | None, Iterator[bytes]]]:
        """Objects in the given order with their content in chunks; None for one that is missing.

        What is left of an object's content is skipped when the next one is asked for.
        """
        waiting, asked = iter(oids), deque[str]()
        while True:
            if len(asked) <= _AHEAD // 2:
                batch = tuple(islice(waiting, _AHEAD - len(asked)))
                asked.extend(batch)
                self._ask(batch)
            if not asked:
                return
            asked.popleft()
            found = self._header()
            content = self._content(found.size) if found else iter(())
            yield found, content
            for _ in content:
                pass

    def _ask(self, names: Iterable[str]) -> None:
        try:
            self._stdin.write(b"".join(raw(name) + b"\n" for name in names))
            self._stdin.flush()
        except BrokenPipeError:
            raise self._broken() from None

    def _header(self) -> Object | None:
        line = self._stdout.readline()
        if not line.endswith(b"\n"):
            raise self._broken()
        words = line.split()
        if len(words) == 3 and words[2].isdigit():
            return Object(words[0].decode(), words[1].decode(), int(words[2]))
        return None  # `<name> missing`, `<name> ambiguous`

    def _content(self, size: int, *, keep: bool = True) -> Iterator[bytes]:
        left = size
        while left:
            chunk = self._stdout.read(min(left, CHUNK))
            if not chunk:
                raise self._broken()
            left -= len(chunk)
            if keep:
                yield chunk
        if self._stdout.read(1) != b"\n":
            raise self._broken()

    def _broken(self) -> SourceError:
        return SourceError(
            f"git stopped while it read objects of {self._repository.top!r}",
            hint="`git fsck` tells what is damaged; in a partial clone, fetch what is missing",
        )


@contextmanager
def read_objects(repository: Repository) -> Iterator[ObjectReader]:
    """A reader of a repository's objects; its git ends with the block. Raises SourceError."""
    with git_talk(repository, "cat-file", "--batch") as child:
        if child.stdin and child.stdout:  # `talk` always makes both
            yield ObjectReader(repository, child.stdin, child.stdout)
