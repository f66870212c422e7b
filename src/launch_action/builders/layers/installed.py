"""Distributions that another tool installed, split by their RECORD into what a layer holds.

The other way to the content of a wheel, with the same result: paths, modes, content and RECORD are
what `install.wheel_entries` makes of the wheel itself.
"""

from __future__ import annotations

import hashlib
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path

from launch_action.builders.layers.archive import Chunks, Entry
from launch_action.builders.layers.record import Row, read_record
from launch_action.builders.layers.scheme import ABOUT, Placed, Scheme, distribution_entries
from launch_action.builders.layers.scripts import Script, commands, read_scripts, rewrite_installed
from launch_action.builders.layers.wheel import read_fields
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.python_name import normal

_READ = 1 << 20
_HINT = "remove the cache directory and run again"
# What a virtual environment may have in site-packages without belonging to a distribution.
_NOBODYS = frozenset(("_virtualenv.py", "_virtualenv.pth"))


@dataclass(frozen=True, slots=True)
class Installed:
    """A distribution in a tree: `dist_info` is the name of its metadata directory.

    `record` has paths relative to site-packages, as RECORD spells them.
    """

    tree: Path
    name: str
    version: str
    dist_info: str
    record: dict[str, Row]
    scripts: tuple[Script, ...]


def installed(tree: Path, python: str) -> tuple[Installed, ...]:
    """The distributions of a tree with the layout of a virtual environment, by normalised name.

    `python` is X.Y. A file of site-packages that no RECORD lists belongs to the distribution that
    owns the directory around it. Raises BuildError for a RECORD that is missing, cannot be read,
    or lists a file outside the tree, and for a file that is nobody's.
    """
    packages = tree / "lib" / f"python{python}" / "site-packages"
    found = [_read(tree, place) for place in sorted(packages.glob("*.dist-info"))]
    _adopt(packages, found)
    return tuple(sorted(found, key=lambda one: one.name))


def installed_entries(one: Installed, scheme: Scheme, *, interpreter: str) -> list[Entry]:
    """The entries of an installed distribution, sorted by path, without directories.

    `interpreter` is what the tool wrote into the first line of scripts. The tree must stay until
    the entries are written. Raises BuildError when a file is missing, is not a plain file, or (when
    it is written) is not what RECORD says.
    """
    scripts = commands(one.scripts, distribution=one.name, python=scheme.python)
    made = {f"{scheme.scripts}/{script.name}": script for script in scripts}
    placed = [
        Placed.of(path, 0o755, script.content(scheme.interpreter)) for path, script in made.items()
    ]
    source = Scheme("", scheme.python)
    for recorded, row in one.record.items():
        inside = posixpath.normpath(posixpath.join(source.site_packages.lstrip("/"), recorded))
        path = scheme.below(inside)
        if path not in made:
            placed.append(_placed(one, inside, path, row, scheme, interpreter))
    return distribution_entries(placed, dist_info=one.dist_info, scheme=scheme)


def _read(tree: Path, place: Path) -> Installed:
    fields = read_fields(_text(place / "METADATA"))
    try:
        rows = read_record(_text(place / "RECORD"))
        entry_points = place / "entry_points.txt"
        scripts = read_scripts(_text(entry_points)) if entry_points.exists() else ()
    except ValueError as error:
        raise BuildError(f"{place.name} cannot be read: {error}", hint=_HINT) from error
    record = {}
    for path, row in rows.items():
        top, _, rest = path.partition("/")
        if (top == place.name and rest in ABOUT) or "__pycache__" in path.split("/"):
            continue
        if _outside(tree, place, path):
            raise BuildError(f"{place.name} lists a file outside its place: {path!r}", hint=_HINT)
        record[path] = row
    name = normal(fields.get("name") or place.name.partition("-")[0])
    return Installed(tree, name, fields.get("version", ""), place.name, record, scripts)


def _outside(tree: Path, place: Path, path: str) -> bool:
    inside = posixpath.normpath(posixpath.join(place.parent.relative_to(tree).as_posix(), path))
    return path.startswith("/") or "\0" in path or inside == ".." or inside.startswith("../")


def _adopt(packages: Path, found: list[Installed]) -> None:
    """Give every file that no RECORD lists to the owner of the nearest directory around it."""
    listed = {path for one in found for path in one.record}
    owners: dict[str, Installed] = {}
    for one in found:
        owners[one.dist_info] = one
        for path in one.record:
            parent = path.rpartition("/")[0]
            while parent and not path.startswith("../") and parent not in owners:
                owners[parent] = one
                parent = parent.rpartition("/")[0]
    for file in sorted(packages.rglob("*")):
        path = file.relative_to(packages).as_posix()
        if path in listed or "__pycache__" in path or file.is_dir() or path in _NOBODYS:
            continue
        parent = path.rpartition("/")[0]
        while parent and parent not in owners:
            parent = parent.rpartition("/")[0]
        if not parent:
            raise BuildError(f"{path!r} was installed by no distribution", hint=_HINT)
        if parent != owners[parent].dist_info or file.name not in ABOUT:
            owners[parent].record[path] = Row("", None)


def _placed(
    one: Installed, inside: str, path: str, row: Row, scheme: Scheme, interpreter: str
) -> Placed:
    file = one.tree / inside
    try:
        found = file.lstat()
    except FileNotFoundError as error:
        raise BuildError(
            f"{one.dist_info} lists {inside!r}, which is missing", hint=_HINT
        ) from error
    if not stat.S_ISREG(found.st_mode):
        raise BuildError(f"{one.dist_info}: {inside!r} is not a plain file", hint=_HINT)
    if path.startswith(scheme.scripts + "/"):
        return Placed.of(
            path, 0o755, rewrite_installed(file.read_bytes(), interpreter, scheme.interpreter)
        )
    mode = 0o755 if found.st_mode & 0o111 else 0o644
    row = Row(row.hash, found.st_size) if row.sha256 else _hashed(file)
    return Placed(path, mode, Chunks(found.st_size, _Verified(file, row.sha256)), row)


@dataclass(frozen=True, slots=True)
class _Verified:
    """Opens a file whose content must have this SHA-256."""

    file: Path
    sha256: str

    def __call__(self) -> Iterator[bytes]:
        digest = hashlib.sha256()
        with self.file.open("rb", buffering=0) as handle:
            while data := handle.read(_READ):
                digest.update(data)
                yield data
        if digest.hexdigest() != self.sha256:
            raise BuildError(f"{self.file.name!r} is not what RECORD says", hint=_HINT)


def _hashed(file: Path) -> Row:
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").digest()
    return Row.hashed(digest, file.stat().st_size)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8", "surrogateescape")
    except FileNotFoundError as error:
        raise BuildError(f"{file.parent.name} has no {file.name}", hint=_HINT) from error
