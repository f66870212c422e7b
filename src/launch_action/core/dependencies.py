"""What a project declares it needs, read from its files as they are written.

Nothing is resolved here: the fingerprint of these inputs is known without asking any index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DependencyKind = Literal["requirements", "pyproject", "uv-lock", "none"]


@dataclass(frozen=True, slots=True)
class DependencyInputs:
    """The files that declare a project's dependencies, and how they are to be read.

    `main` is the file the reading starts at (`requirements.txt`, `pyproject.toml`, `uv.lock`),
    relative to the build context; empty for kind "none". `files` holds every file reached (`-r`,
    `-c`, the lock, the pyproject), each with its bytes, in order of their paths. `local` are paths
    of the context that are required as packages. `extras` are pyproject extras. `pinned` says that
    every requirement is fixed by a lock or a hash, so that no cutoff is needed.
    """

    kind: DependencyKind
    main: str = ""
    files: tuple[tuple[str, bytes], ...] = ()
    local: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    pinned: bool = False
