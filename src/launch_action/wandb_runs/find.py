"""Finds the directory of a run among what the W&B SDK leaves in `wandb/`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from launch_action.core.errors import InputError, SourceError

_LATEST = "latest-run"
_HINT = "name the directory of a run, such as wandb/run-20260501_120000-abcd1234"


def find_log(path: str, environment: Mapping[str, str]) -> Path:
    """The transaction log of a run.

    `path` is a run's directory or its log, a `wandb` directory or the one around it, of which the
    latest run is taken; empty for that of `$WANDB_DIR`, else of the current directory. Raises
    SourceError when there is no run, InputError for something else.
    """
    place = Path(path or environment.get("WANDB_DIR") or ".").expanduser()
    if not place.exists():
        raise SourceError(f"no such file or directory: {str(place)!r}", hint=_HINT)
    if place.is_file():
        if place.suffix != ".wandb":
            raise InputError(f"not the log of a W&B run: {str(place)!r}", hint=_HINT)
        return place.resolve()
    directory = _run_directory(place)
    logs = [one for one in sorted(directory.glob("run-*.wandb")) if one.is_file()]
    if len(logs) != 1:
        what = "no" if not logs else "more than one"
        raise SourceError(f"{what} log of a W&B run in {str(directory)!r}", hint=_HINT)
    return logs[0]


def _run_directory(place: Path) -> Path:
    """The directory of the run that `place` means: its own, or the latest below it."""
    for folder in (place, place / "wandb"):
        if any(folder.glob("run-*.wandb")):
            return folder.resolve()
        latest = folder / _LATEST
        if latest.is_dir() and latest.resolve().parent == folder.resolve():
            return latest.resolve()
        if runs := _runs(folder):
            return runs[-1].resolve()
    raise SourceError(f"no W&B run in {str(place)!r}", hint=_HINT)


def _runs(folder: Path) -> list[Path]:
    """The runs' directories, oldest first, for where there is no link to the latest."""
    found = [*folder.glob("run-*-*"), *folder.glob("offline-run-*-*")]
    there = [one for one in found if one.is_dir() and any(one.glob("run-*.wandb"))]
    return sorted(there, key=lambda one: one.name.removeprefix("offline-"))
