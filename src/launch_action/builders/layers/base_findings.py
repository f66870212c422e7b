"""What a base image is found to have, by its config or by its files."""

from __future__ import annotations

from typing import Literal

from launch_action.core.base import PythonFacts
from launch_action.core.dataclass import dataclass

# What wheels are chosen for where a glibc is certain and its version is not (manylinux_2_28).
DEFAULT_GLIBC = "2.28"
DEFAULT_MUSL = "1.2"


@dataclass(frozen=True, slots=True)
class Libc:
    """The C library; `version` is the lowest that is sure."""

    family: Literal["glibc", "musl"]
    version: str


@dataclass(frozen=True, slots=True)
class Findings:
    """What a base's files tell: its interpreters (any order), its C library if there is one."""

    pythons: tuple[PythonFacts, ...]
    libc: Libc | None
