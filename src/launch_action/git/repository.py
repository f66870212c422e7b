"""Finds the repository that a directory belongs to, by looking at files alone.

git itself refuses to say whose repository it is when another user owns it, as in a container that
runs as root on a runner's workspace; so it is told where the repository is instead.
Format: gitrepository-layout(5).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from launch_action.core.checkout import Repository
from launch_action.core.errors import SourceError


def find_repository(directory: Path) -> tuple[Repository, str]:
    """The repository around a directory, and the directory relative to the top (`""` at the top).

    Raises SourceError for a missing directory, one outside any working tree, and a bare repository.
    """
    try:
        start = directory.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SourceError(
            f"no such directory: {str(directory)!r}", hint="give a directory of a git checkout"
        ) from error
    for place in (start, *start.parents) if start.is_dir() else start.parents:
        if repository := repository_at(place):
            relative = start.relative_to(place)
            return repository, "" if relative == Path() else relative.as_posix()
        if (place / ".git").is_file():
            raise SourceError(
                f"{str(place / '.git')!r} names no repository that is there",
                hint="a linked worktree or submodule needs its main repository beside it",
            )
        if _is_git_directory(place):
            raise SourceError(
                f"{str(place)!r} is a bare repository or a .git directory, without a working tree",
                hint="give a checkout: `git clone` makes one of it",
            )
    raise SourceError(
        f"not a git repository: {str(start)!r}, nor any directory above it",
        hint="run it in a git checkout; in GitHub Actions, use actions/checkout before",
    )


def repository_at(top: Path) -> Repository | None:
    """The repository whose working tree begins exactly at `top`, or None.

    `.git` is a directory, a link to one, or (submodule, linked worktree) a file that names one.
    """
    entry = top / ".git"
    try:
        mode = entry.stat().st_mode
        if stat.S_ISREG(mode):
            entry = top / _named(entry, b"gitdir: ")
    except OSError:
        return None
    if not _is_git_directory(entry):
        return None
    git_dir = Path(os.path.realpath(entry))
    return Repository(str(top), str(git_dir), str(_common(git_dir)))


def _is_git_directory(place: Path) -> bool:
    common = _common(place)
    return (
        os.path.lexists(place / "HEAD")
        and (common / "objects").is_dir()
        and (common / "refs").is_dir()
    )


def _common(git_dir: Path) -> Path:
    try:
        return Path(os.path.realpath(git_dir / _named(git_dir / "commondir", b"")))
    except OSError:
        return git_dir


def _named(file: Path, prefix: bytes) -> str:
    """The path that a one-line file names. Raises OSError when it names none."""
    with file.open("rb") as opened:
        line = opened.read(65536)
    if not line.startswith(prefix):
        raise FileNotFoundError(str(file))
    return os.fsdecode(line[len(prefix) :].rstrip(b"\r\n"))
