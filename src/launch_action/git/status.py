"""Which tracked files of a working tree are not as committed, found without running any filter."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from launch_action.core.checkout import Repository
from launch_action.core.context import sort_key
from launch_action.core.dataclass import dataclass
from launch_action.git.command import git, raw, text
from launch_action.git.configuration import Configuration
from launch_action.git.lfs import POINTER_LIMIT, Pointer
from launch_action.git.objects import CHUNK, read_objects
from launch_action.git.repository import repository_at

_STATUS = (
    "status", "--porcelain=v2", "-z", "--branch", "--untracked-files=normal", "--no-renames",
    "--no-ahead-behind", "--ignore-submodules=dirty",
)  # fmt: skip
_DEBUG = re.compile(
    rb"([^\0]+)\0  ctime: \d+:\d+\n  mtime: (\d+):(\d+)\n  dev: [^\n]*\n  uid: [^\n]*\n"
    rb"  size: (\d+)\t[^\n]*\n"
)


@dataclass(frozen=True, slots=True)
class Status:
    """A working tree's state: the branch (None: detached), changed paths, untracked entries."""

    branch: str | None
    dirty: tuple[str, ...]
    untracked: int


@dataclass(frozen=True, slots=True)
class _Changed:
    """A changed path; `blob` is what the index has, for a file that only differs on disk."""

    path: str
    blob: str | None


def read_status(repository: Repository, configuration: Configuration) -> Status:
    """Compare working tree, index and HEAD; submodules are entered. Raises SourceError.

    A submodule is asked like a repository of its own: git would start a `git status` in it, which
    obeys the submodule's configuration, and so could be made to run its filters.
    """
    output = git(repository, *_STATUS, settings=configuration.without_filters())
    branch, changed, untracked = _parse(output)
    spared = _unchanged_behind_filter(repository, [c for c in changed if c.blob])
    dirty = [c.path for c in changed if c.path not in spared]
    for path in _submodules(repository):
        dirty += [f"{path}/{inner}" for inner in _submodule_dirty(repository, path)]
    return Status(branch, tuple(sorted(dirty, key=sort_key)), untracked)


def _parse(output: bytes) -> tuple[str | None, list[_Changed], int]:
    """Read porcelain format version 2 (git-status(1))."""
    branch: str | None = None
    changed: list[_Changed] = []
    untracked = 0
    for line in text(output).split("\0"):
        match line[:2]:
            case "# ":
                name, _, value = line[2:].partition(" ")
                if name == "branch.head" and value != "(detached)":
                    branch = value
            case "1 ":
                # 1 <XY> <sub> <mH> <mI> <mW> <hH> <hI> <path>
                words = line.split(" ", 8)
                only_content = words[1] == ".M" and words[4] == words[5] and words[2] == "N..."
                changed.append(_Changed(words[8], words[7] if only_content else None))
            case "u ":
                changed.append(_Changed(line.split(" ", 10)[10], None))
            case "? ":
                untracked += 1
    return branch, changed, untracked


def _unchanged_behind_filter(repository: Repository, changed: Sequence[_Changed]) -> set[str]:
    """The files that differ from their blob only because a filter made them, as with LFS.

    Without its filter such a file looks changed as soon as git compares content at all, which it
    does for everything that was checked out in the second in which the index was written.
    """
    if not changed:
        return set()
    names = b"".join(raw(c.path) + b"\0" for c in changed)
    output = text(git(repository, "check-attr", "-z", "--stdin", "filter", stdin=names))
    fields = output.split("\0")
    filters = dict(zip(fields[0::3], fields[2::3], strict=False))
    filtered = [c for c in changed if filters.get(c.path, "unspecified") not in _NO_FILTER]
    if not filtered:
        return set()
    spared = _unchanged_by_time(repository, [c.path for c in filtered])
    lfs = [c for c in filtered if c.path not in spared and filters[c.path] == "lfs"]
    return spared | _unchanged_lfs(repository, lfs)


_NO_FILTER = ("unspecified", "unset", "set")


def _unchanged_by_time(repository: Repository, paths: Sequence[str]) -> set[str]:
    """The files whose size and time are those that the index has, and older than the index."""
    index = Path(repository.git_dir) / "index"
    written = index.stat().st_mtime_ns
    wanted = set(paths)
    # An argument list has a limit; beyond this, listing everything is no slower either.
    named = paths if len(paths) < 200 else ()
    output = git(repository, "ls-files", "-z", "--debug", "--", *named)
    return {
        text(name)
        for name, seconds, nanoseconds, size in _DEBUG.findall(output)
        if text(name) in wanted
        and (found := _lstat(repository, text(name)))
        and found.st_mtime_ns == int(seconds) * 10**9 + int(nanoseconds) < written
        and found.st_size == int(size)
    }


def _unchanged_lfs(repository: Repository, changed: Sequence[_Changed]) -> set[str]:
    """The LFS files whose content is what the pointer in the index says."""
    unchanged: set[str] = set()
    if not changed:
        return unchanged
    with read_objects(repository) as objects:
        for file in changed:
            found = objects.get(file.blob or "", limit=1 << 30)
            if not found or found[0].size > POINTER_LIMIT:
                continue
            pointer = Pointer.parse(found[1])
            if pointer and _has_content(repository, file.path, pointer):
                unchanged.add(file.path)
    return unchanged


def _has_content(repository: Repository, path: str, pointer: Pointer) -> bool:
    found = _lstat(repository, path)
    if found is None or found.st_size != pointer.size:
        return False
    digest = hashlib.sha256()
    with (Path(repository.top) / path).open("rb", buffering=0) as opened:
        while chunk := opened.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == pointer.oid


def _lstat(repository: Repository, path: str) -> os.stat_result | None:
    try:
        return os.lstat(Path(repository.top) / path)
    except OSError:
        return None


def _submodules(repository: Repository) -> Iterator[str]:
    """The paths of the submodules in the index; git is only asked where there can be some."""
    if not os.path.lexists(Path(repository.top) / ".gitmodules"):
        return
    for entry in git(repository, "ls-files", "-s", "-z").split(b"\0"):
        if entry.startswith(b"160000 "):
            yield text(entry.partition(b"\t")[2])


def _submodule_dirty(repository: Repository, path: str) -> tuple[str, ...]:
    inner = repository_at(Path(repository.top) / path)
    if inner is None:
        return ()
    return read_status(inner, Configuration.read(inner)).dirty
