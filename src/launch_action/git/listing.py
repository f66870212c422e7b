"""Lists the files of one tree of a repository without reading any."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from launch_action.core.checkout import Repository
from launch_action.core.context import FileKind
from launch_action.core.errors import SourceError
from launch_action.git.command import git, raw, text

SUBMODULE = "160000"
# 100664 was written by the first versions of git.
KINDS: dict[str, FileKind] = {
    "100644": "file",
    "100664": "file",
    "100755": "executable",
    "120000": "symlink",
}
_LINE = re.compile(r"(\d+) \w+ (\w+)(?: +(\d+|-|BAD))?\t([^\0]*)\0")
_UNSAFE = re.compile(r"(?:\A|/)(?:\.\.?)?(?:/|\Z)")
_MAYBE_UNSAFE = re.compile(rb"[\t/](?:\.\.?)?[/\0]")


class TreeEntry(NamedTuple):
    """One entry. `mode` is as git writes it; `size` is None when it is not known or asked for.

    A tuple, since a tree may have hundreds of thousands.
    """

    mode: str
    oid: str
    size: int | None
    path: str


def list_tree(repository: Repository, tree: str, *, partial: bool) -> list[TreeEntry]:
    """Every file below a tree (`<commit>` or `<commit>:<path>`), sorted by the bytes of its path.

    `partial` says that objects may be missing. Raises SourceError, also for a path that no
    checkout could have, such as `../x`.
    """
    if partial:
        return _list_partial_tree(repository, tree)
    return _entries(git(repository, "ls-tree", "-r", "-z", "-l", "--full-tree", tree))


def list_paths(repository: Repository, commit: str, paths: Iterable[str]) -> list[TreeEntry]:
    """The entries at the given paths from the root, directories too; sizes are not looked up."""
    return _entries(git(repository, "ls-tree", "-z", "--full-tree", commit, "--", *paths))


def list_names(repository: Repository, tree: str) -> list[TreeEntry]:
    """Every file below a tree, sorted as by `list_tree`; sizes are not looked up."""
    return _entries(git(repository, "ls-tree", "-r", "-z", "--full-tree", tree))


def _list_partial_tree(repository: Repository, tree: str) -> list[TreeEntry]:
    """Asking a partial clone for a size would fetch, or fail: first learn what is missing."""
    entries = list_names(repository, tree)
    options = ("--objects", "--no-object-names", "--no-walk", "--missing=print")
    known = git(repository, "rev-list", *options, tree)
    missing = {text(line[1:]) for line in known.split() if line.startswith(b"?")}
    wanted = {e.oid for e in entries if e.mode != SUBMODULE} - missing
    asked = b"".join(raw(oid) + b"\n" for oid in wanted)
    answers = git(repository, "cat-file", "--batch-check", "--buffer", stdin=asked)
    sizes = {text(oid): int(size) for oid, _, size in map(bytes.split, answers.splitlines())}
    return [entry._replace(size=sizes.get(entry.oid)) for entry in entries]


def _entries(output: bytes) -> list[TreeEntry]:
    entries = [
        TreeEntry(mode, oid, int(size) if size.isdigit() else None, path)
        for mode, oid, size, path in _LINE.findall(text(output))
    ]
    if _MAYBE_UNSAFE.search(output):
        for entry in entries:
            if _UNSAFE.search(entry.path):
                raise SourceError(
                    f"the commit holds a file with an impossible path: {entry.path!r}",
                    hint="no git made this commit; `git fsck` names its tree",
                )
    return entries
