"""What is known of a checkout once it was looked at: where it is, which commit it holds."""

from __future__ import annotations

from launch_action.core.dataclass import dataclass, field

_SHORT = 12


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a repository's parts are: absolute paths, undecodable bytes kept by surrogateescape.

    `git_dir` is this working tree's own; `common_dir` holds objects and references, and differs
    from it in a linked worktree only.
    """

    top: str
    git_dir: str
    common_dir: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A working tree and the commit to build from it.

    `commit` has 40 or 64 hexadecimal digits, `commit_time` is in seconds since 1970 UTC.
    `subdirectory` is where the user stands, relative to the top, empty at the top. `remote` is as
    configured, so it may hold a password: it is not in the repr, and is cleaned before it is
    shown or recorded. `branch` is None when detached; `tags` point at the commit. `dirty` names
    the tracked files that are not as in the commit, and is empty when a commit other than the
    checked-out one was asked for. `untracked` counts files, and directories in which nothing is
    tracked as one. A `shallow` checkout lacks older commits, a `partial` one may lack files.
    """

    repository: Repository
    subdirectory: str
    commit: str
    commit_time: int
    remote: str = field(repr=False)
    remote_name: str
    branch: str | None
    default_branch: str | None
    tags: tuple[str, ...]
    dirty: tuple[str, ...]
    untracked: int
    shallow: bool
    partial: bool = False

    @property
    def top(self) -> str:
        """The absolute path of the working tree."""
        return self.repository.top

    @property
    def short_commit(self) -> str:
        """The first digits of the commit, for people."""
        return self.commit[:_SHORT]
