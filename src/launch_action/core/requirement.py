"""The entries of requirements files, as read: requirements, includes and options."""

from __future__ import annotations

from typing import Literal

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.vcs import GitSource

OptionName = Literal[
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "pre",
    "no-binary",
    "only-binary",
    "prefer-binary",
    "require-hashes",
    "trusted-host",
]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something is written: a file, relative to the build context, and a line from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement of a package by name.

    `text` is PEP 508 with `${VARIABLES}` as written, or a URL alone, whose `name` is then unknown.
    `url` is set for a direct URL, `git` for one of a git repository. `hashes` are `algorithm:hex`;
    `exact` says that a hash could hold: one version, or one URL.
    """

    origin: Origin
    text: str
    name: str
    url: str = ""
    hashes: tuple[str, ...] = ()
    exact: bool = False
    git: GitSource | None = None
    editable: bool = False


@dataclass(frozen=True, slots=True)
class LocalRequirement:
    """A wheel, source archive or directory of the context, required as a package.

    `suffix` holds extras and marker.
    """

    origin: Origin
    path: str
    suffix: str = ""
    editable: bool = False
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Include:
    """`-r FILE` or `-c FILE`, as written."""

    origin: Origin
    path: str
    constraint: bool


@dataclass(frozen=True, slots=True)
class Option:
    """An option of the whole file; `value` is empty for flags, `index` is an index's own name."""

    origin: Origin
    name: OptionName
    value: str = ""
    index: str = ""


Entry = Requirement | LocalRequirement | Include | Option


def fault(origin: Origin, what: str, hint: str = "correct that line") -> BuildError:
    """An error at a line."""
    return BuildError(f"{origin}: {what}", hint=hint)
