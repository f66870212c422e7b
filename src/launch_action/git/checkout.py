"""Looks at a checkout: which commit, of which remote, under which names, and is it clean."""

from __future__ import annotations

import re
from pathlib import Path

from launch_action.core.checkout import Checkout, Repository
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, SourceError
from launch_action.git.command import git, text
from launch_action.git.configuration import Configuration, pick_remote
from launch_action.git.objects import ObjectReader, read_objects
from launch_action.git.repository import find_repository
from launch_action.git.status import Status, read_status

_COMMIT_LIMIT = 16 * 1024 * 1024
_COMMITTER = re.compile(rb"^committer [^\n]*> (\d+) [+-]\d+$", re.MULTILINE)
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]{4,64}")


@dataclass(frozen=True, slots=True)
class _Commit:
    oid: str
    time: int
    name: str


def inspect(directory: Path, *, ref: str | None = None) -> Checkout:
    """The checkout around a directory, at HEAD or at `ref` (branch, tag or commit).

    A branch is looked for among the local ones, then among the remote's. Reads only; runs nothing
    that the repository's configuration names. Raises SourceError for what is no checkout with a
    commit and a remote, InputError for a `ref` that cannot be one.
    """
    repository, subdirectory = find_repository(directory)
    configuration = Configuration.read(repository)
    _check_worktree(repository, configuration)
    head, wanted = _commits(repository, configuration, ref)
    same = head is not None and head.oid == wanted.oid
    status = read_status(repository, configuration) if same else Status(None, (), 0)
    branch = status.branch if ref in (None, "HEAD") else _branch(wanted.name)
    remote_name, remote = pick_remote(configuration, branch)
    tags, default_branch = _names(repository, wanted.oid, remote_name)
    return Checkout(
        repository=repository,
        subdirectory=subdirectory,
        commit=wanted.oid,
        commit_time=wanted.time,
        remote=remote,
        remote_name=remote_name,
        branch=branch,
        default_branch=default_branch,
        tags=tags,
        dirty=status.dirty,
        untracked=status.untracked,
        shallow=(Path(repository.common_dir) / "shallow").exists(),
        partial=configuration.is_partial,
    )


def _check_worktree(repository: Repository, configuration: Configuration) -> None:
    configured = configuration.get("core.worktree")
    if configured is not None:
        place = Path(repository.git_dir, configured).resolve()
        if place != Path(repository.top).resolve():
            raise SourceError(
                f"core.worktree of {repository.top!r} names another directory: {str(place)!r}",
                hint="work there, or `git config --unset core.worktree`",
            )
    is_linked = repository.git_dir != repository.common_dir
    if configuration.get("core.bare") in ("true", "yes", "on", "1") and not is_linked:
        raise SourceError(
            f"{repository.top!r} says that it is a bare repository (core.bare)",
            hint="give a checkout, or `git config core.bare false`",
        )


def _commits(
    repository: Repository, configuration: Configuration, ref: str | None
) -> tuple[_Commit | None, _Commit]:
    """HEAD, and the commit that is wanted."""
    with read_objects(repository) as objects:
        head = _commit(objects, "HEAD")
        if ref in (None, "HEAD"):
            if head is None:
                raise SourceError(
                    f"no commit yet in {repository.top!r}",
                    hint="`git add` and `git commit`; in a damaged repository, `git fsck`",
                )
            return head, head
        for candidate in _candidates(ref or "", configuration):
            if found := _commit(objects, candidate):
                return head, found
    raise SourceError(
        f"no branch, tag or commit {ref!r} in {repository.top!r}",
        hint="`git fetch` it first; a shallow checkout has one commit only (`fetch-depth: 0`)",
    )


def _candidates(ref: str, configuration: Configuration) -> list[str]:
    """What `ref` may stand for, as full reference names: nothing of it is left to git to guess."""
    if not ref or re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{", ref):
        raise InputError(
            f"not a branch, tag or commit: {ref!r}", hint="give its name as `git branch` prints it"
        )
    remotes = sorted(configuration.remotes, key=lambda name: (name != "origin", name))
    return [
        *([ref] if ref.startswith("refs/") else []),
        *([ref] if _HEXADECIMAL.fullmatch(ref) and len(ref) in (40, 64) else []),
        f"refs/heads/{ref}",
        f"refs/tags/{ref}",
        *(f"refs/remotes/{remote}/{ref}" for remote in remotes),
        f"refs/remotes/{ref}",
        *([ref] if _HEXADECIMAL.fullmatch(ref) else []),
    ]


def _commit(objects: ObjectReader, name: str) -> _Commit | None:
    found = objects.get(f"{name}^{{commit}}", _COMMIT_LIMIT)
    if found is None or found[0].kind != "commit":
        return None
    committer = _COMMITTER.search(found[1].partition(b"\n\n")[0])
    return _Commit(found[0].oid, int(committer[1]) if committer else 0, name)


def _branch(name: str) -> str | None:
    """The branch that a full reference name means, None for a tag or commit."""
    if name.startswith("refs/heads/"):
        return name.removeprefix("refs/heads/")
    if name.startswith("refs/remotes/"):
        return name.removeprefix("refs/remotes/").partition("/")[2]
    return None


def _names(repository: Repository, commit: str, remote: str) -> tuple[tuple[str, ...], str | None]:
    """The tags that point at the commit, and the remote's default branch where it is known."""
    default = f"refs/remotes/{remote}/HEAD"
    output = git(
        repository, "for-each-ref",
        "--format=%(refname)%00%(objectname)%00%(*objectname)%00%(symref)", "refs/tags", default,
    )  # fmt: skip
    tags: list[str] = []
    default_branch = None
    for line in text(output).split("\n")[:-1]:
        name, oid, peeled, target = line.split("\0")
        if name == default:
            default_branch = target.removeprefix(f"refs/remotes/{remote}/") or None
        elif commit in (oid, peeled):
            tags.append(name.removeprefix("refs/tags/"))
    return tuple(sorted(tags)), default_branch
