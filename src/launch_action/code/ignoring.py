"""What of a directory is no source: what git ignores, what `.launchignore` says, and caches.

Both files have git's rules (gitignore(5)): the last pattern that matches decides, a file of a
deeper directory comes later, `.launchignore` comes last, and nothing below an ignored directory
is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pathspec

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError

LAUNCHIGNORE = ".launchignore"
_LIMIT = 1 << 20
_MANY = re.compile(r"\*{3,}")
# Left out unless a pattern of the directory's own takes them in again (`!wandb/`).
_DEFAULTS = """
.git
__pycache__/
*.py[co]
.mypy_cache/
.pytest_cache/
.ruff_cache/
.hypothesis/
.ipynb_checkpoints/
.tox/
.nox/
.venv/
.DS_Store
/wandb/
/launch-output/
"""


@dataclass(frozen=True, slots=True)
class _Rules:
    """The patterns of one file, for paths below `base` (`""`, `jobs/`).

    `below` is the way down to the source where the file lies above it.
    """

    base: str
    spec: pathspec.GitIgnoreSpec
    below: str = ""

    def decides(self, path: str) -> bool | None:
        """True to ignore, False to keep, None where no pattern matches."""
        if not path.startswith(self.base):
            return None
        return self.spec.check_file(self.below + path[len(self.base) :]).include


@dataclass(frozen=True, slots=True)
class Ignoring:
    """The rules for one directory of the source; `own` are those of its `.launchignore` files."""

    rules: tuple[_Rules, ...]
    own: tuple[_Rules, ...]

    @classmethod
    def of(cls, root: Path) -> Ignoring:
        """The rules that hold at the root of a source, those of the repository around it too."""
        above = tuple(_above(root))
        if any(rules.decides("") for rules in above):
            above = ()  # a directory that is ignored as a whole, and was named all the same
        defaults = _Rules("", pathspec.GitIgnoreSpec.from_lines(_DEFAULTS.splitlines()))
        return cls((defaults, *above), ()).inside(root, "")

    def inside(self, directory: Path, base: str) -> Ignoring:
        """The rules that hold in a directory, whose path in the source is `base` with a `/`."""
        found = tuple(_read(directory / ".gitignore", base))
        own = tuple(_read(directory / LAUNCHIGNORE, base))
        if not found and not own:
            return self
        return Ignoring((*self.rules, *found), (*self.own, *own))

    def ignores(self, path: str, *, directory: bool) -> bool:
        """Whether a file or directory of the source is left out."""
        name = f"{path}/" if directory else path
        decisions = (rules.decides(name) for rules in (*self.rules, *self.own))
        return next((d for d in reversed([*decisions]) if d is not None), False)


def _above(root: Path) -> Iterator[_Rules]:
    """The `.gitignore` files of the repository that the source lies in, outermost first."""
    top = next((place for place in (root, *root.parents) if (place / ".git").exists()), root)
    between = [place for place in root.parents if place == top or top in place.parents]
    for place in reversed(between):
        # Patterns that count from a directory above do so for paths that begin there.
        yield from _read(place / ".gitignore", "", f"{root.relative_to(place).as_posix()}/")


def _read(file: Path, base: str, below: str = "") -> Iterator[_Rules]:
    """The rules of one file, if it is there; `below` is the way from it down to the source."""
    try:
        if file.is_symlink() or not file.is_file():
            return
        with file.open("rb") as opened:
            data = opened.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            raise InputError(f"{str(file)!r} is over {_LIMIT} bytes", hint="shorten it")
        text = data.decode("utf-8", "surrogateescape")
        # More than two are one (gitignore(5)); as a regular expression they would take for ever.
        lines = _MANY.sub("*", text).splitlines()
        spec = pathspec.GitIgnoreSpec.from_lines(lines)
    except (OSError, ValueError, re.error) as error:
        raise InputError(
            f"{str(file)!r} cannot be read: {error}", hint="its patterns are those of gitignore"
        ) from error
    yield _Rules(base, spec, below)
