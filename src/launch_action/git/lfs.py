"""Git LFS: pointers, which files have one, and where the content is.

Sources: git-lfs docs/spec.md (pointer, storage); gitattributes(5) for which files are meant.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from launch_action.core.checkout import Repository
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import SourceError
from launch_action.git.objects import CHUNK

# "Pointer files must be less than 1024 bytes in size."
POINTER_LIMIT = 1023
_POINTER = re.compile(
    rb"version https://(?:git-lfs\.github\.com|hawser\.github\.com)/spec/v1\n"
    rb"(?P<extensions>(?:ext-\d+-[^\n]*\n)*)"
    rb"oid sha256:(?P<oid>[0-9a-f]{64})\nsize (?P<size>\d{1,19})\n?"
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """What a pointer says of the content: its SHA-256 in hexadecimal, its size in bytes."""

    oid: str
    size: int
    extended: bool = False

    @classmethod
    def parse(cls, data: bytes) -> Pointer | None:
        """Read a pointer; None for anything else."""
        found = _POINTER.fullmatch(data)
        if not found:
            return None
        return cls(found["oid"].decode(), int(found["size"]), bool(found["extensions"]))


@dataclass(frozen=True, slots=True)
class Storage:
    """Where one repository keeps LFS content: `<root>/objects/<2>/<2>/<oid>`."""

    root: Path

    @classmethod
    def of(cls, repository: Repository, configured: str | None) -> Storage:
        """The storage by `lfs.storage`, relative to the git directory; else the default one."""
        return cls(Path(repository.common_dir) / (configured or "lfs"))

    def check(self, pointer: Pointer, path: str) -> None:
        """Raise SourceError unless the content of `path` is there, by its size."""
        if pointer.extended:
            raise SourceError(
                f"{path!r} needs a git-lfs extension", hint="store it with git-lfs alone"
            )
        try:
            size = self._place(pointer).stat().st_size
        except OSError as error:
            raise SourceError(
                f"the content of the LFS file {path!r} is not in the checkout",
                hint="`git lfs pull`; with actions/checkout: `lfs: true`",
            ) from error
        if size != pointer.size:
            raise _damaged(path)

    def content(self, pointer: Pointer, path: str) -> Iterator[bytes]:
        """The content of `path` in chunks, its digest checked. Raises SourceError."""
        self.check(pointer, path)
        digest = hashlib.sha256()
        with self._place(pointer).open("rb", buffering=0) as opened:
            while chunk := opened.read(CHUNK):
                digest.update(chunk)
                yield chunk
        if digest.hexdigest() != pointer.oid:
            raise _damaged(path)

    def _place(self, pointer: Pointer) -> Path:
        return self.root / "objects" / pointer.oid[:2] / pointer.oid[2:4] / pointer.oid


def _damaged(path: str) -> SourceError:
    return SourceError(
        f"the stored content of the LFS file {path!r} is damaged",
        hint="`git lfs fsck`, then `git lfs pull`",
    )
