"""In the image: the program is started as root, and becomes the owner of the workspace.

A runner mounts a workspace that may be anybody's, and asks for an image that starts as root. What
root leaves there nobody else can remove, so the rights go before the first file is written.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path

from launch_action.core.dataclass import dataclass

_WORKSPACES = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR", "WORKSPACE")
# Files that a runner reads after us: better root's than not written.
_COMMAND_FILES = ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_ARTIFACTS")
_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Owner:
    """A user by number, with the groups that the process is to be in."""

    user: int
    group: int
    groups: tuple[int, ...]

    def may_write(self, found: os.stat_result) -> bool:
        """Whether the mode of a file or directory lets this user write, as path_resolution(7)."""
        if found.st_uid == self.user:
            return bool(found.st_mode & stat.S_IWUSR)
        if found.st_gid in (self.group, *self.groups):
            return bool(found.st_mode & stat.S_IWGRP)
        return bool(found.st_mode & stat.S_IWOTH)


def become_owner(environment: MutableMapping[str, str]) -> None:
    """Go on as the workspace's owner, where that is not root. HOME is one that it may write to.

    The groups are the owner's and the engine's socket's. Stays root, and says so, where the
    runner's files or the kernel allow nothing else.
    """
    owner = workspace_owner(environment)
    if owner is None:
        return
    closed = unwritable(owner, environment)
    if closed:
        _warn(f"{closed} is not writable for user {owner.user}, the workspace's owner")
        return
    home = _home(owner, environment)
    try:
        os.setgroups(owner.groups)
        os.setresgid(owner.group, owner.group, owner.group)
        os.setresuid(owner.user, owner.user, owner.user)
    except PermissionError as error:
        _warn(f"the user cannot be changed to {owner.user}: {error.strerror}")
        return
    environment["HOME"] = home


def workspace_owner(environment: Mapping[str, str]) -> Owner | None:
    """Who owns the workspace, which a runner names, else the current directory; None for root."""
    named = next(filter(None, map(environment.get, _WORKSPACES)), None)
    try:
        found = Path(named or ".").stat()
    except OSError:  # the program itself says what is wrong with it
        return None
    if found.st_uid == 0:
        return None
    return Owner(found.st_uid, found.st_gid, tuple(_socket_groups(environment)))


def unwritable(owner: Owner, environment: Mapping[str, str]) -> str:
    """The first of the runner's files that the owner may not write to; empty for none."""
    for path in filter(None, map(environment.get, _COMMAND_FILES)):
        found = _status(path)
        if found and not owner.may_write(found):
            return path
    return ""


def _socket_groups(environment: Mapping[str, str]) -> Iterable[int]:
    address = environment.get("DOCKER_HOST") or f"unix://{_SOCKET}"
    found = _status(address.removeprefix("unix://")) if address.startswith("unix://") else None
    return (found.st_gid,) if found and found.st_mode & stat.S_IWGRP else ()


def _home(owner: Owner, environment: Mapping[str, str]) -> str:
    """HOME where the owner may write to it, else a new directory of its own."""
    home = environment.get("HOME", "")
    found = _status(home) if home else None
    if found and owner.may_write(found):
        return home
    made = tempfile.mkdtemp(prefix="launch-action-home-")
    os.chown(made, owner.user, owner.group)
    return made


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116  # a text from outside: Path refuses some
    except (OSError, ValueError):
        return None


def _warn(why: str) -> None:
    print(f"warning: files in the workspace will be root's: {why}", file=sys.stderr)  # noqa: T201
