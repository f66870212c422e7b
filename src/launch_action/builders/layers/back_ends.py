"""Build back ends: as of which day they are taken, and which of them a source names (PEP 517)."""

from __future__ import annotations

import tarfile
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from launch_action.core.errors import BuildError
from launch_action.core.toml_file import read_toml, table

# Where nothing else bounds them (hashes, a lock): a newer one writes its version into the wheel.
_LATEST = "2026-11-01T00:00:00Z"
# Back ends of before this day do not run on today's Pythons (setuptools 41 wants a parser that 3.9
# lost, 65 an importer that 3.12 lost), whatever the package: pip takes today's, and works.
_FLOOR = "2025-01-01T00:00:00Z"
_OLD = ("setuptools", "wheel")
# Nobody takes one of these for pure Python.
COMPILERS = frozenset({"mesonpy", "maturin", "scikit_build_core", "py_build_cmake"})
_LIMIT = 1 << 20


def bound(cutoff: str | None) -> str:
    """The day, RFC 3339, that build back ends are taken as of."""
    return cutoff or _LATEST


def bounds(cutoff: str | None) -> list[str]:
    """uv's arguments for what was uploaded until the cutoff, but for back ends too old to run."""
    if cutoff is None:
        return []
    floors = [f"{name}={_FLOOR}" for name in _OLD] if cutoff < _FLOOR else []
    return ["--exclude-newer", cutoff, *(w for x in floors for w in ("--exclude-newer-package", x))]


def build_back_end(place: Path) -> str:
    """The `build-backend` of a directory's or source archive's pyproject.toml; empty for none."""
    try:
        content = _pyproject(place)
        return str(table(read_toml(content, "pyproject.toml"), "build-system").get("build-backend"))
    except (OSError, KeyError, tarfile.TarError, BadZipFile, BuildError):
        return ""  # uv says what is wrong with it


def _pyproject(place: Path) -> bytes:
    if place.is_dir():
        return (place / "pyproject.toml").read_bytes()
    if place.name.endswith(".zip"):
        with ZipFile(place) as archive:
            return archive.read(_name(archive.namelist()))
    with tarfile.open(place) as archive:
        member = archive.extractfile(_name(archive.getnames()))
        return member.read(_LIMIT) if member else b""


def _name(names: list[str]) -> str:
    found = (name for name in names if name.count("/") == 1 and name.endswith("/pyproject.toml"))
    return next(found, "")
