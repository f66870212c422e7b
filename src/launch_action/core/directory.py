"""A directory that is recorded as it is, as the plan sees it."""

from __future__ import annotations

from launch_action.core.context import TreeFile
from launch_action.core.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Directory:
    """A source that is no commit. `name` is what it is called, `files` all that is recorded.

    `artifact` is the name that an earlier recording gave it, empty for a new one.
    """

    name: str
    files: tuple[TreeFile, ...]
    artifact: str = ""
