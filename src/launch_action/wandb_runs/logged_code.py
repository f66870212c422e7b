"""Finds the files that a run logged as its code, where the SDK keeps them on this machine."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import SourceError
from launch_action.core.wandb_run import LoggedCode, LoggedFile, RunFacts

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CodeFile:
    """A file of the code: its path there, where it is now, and its MD5 in base64 if known."""

    path: str
    place: Path
    digest: str = ""


@dataclass(frozen=True, slots=True)
class FoundCode:
    """The code of a run; what of it, or why all of it, is `missing`, in words."""

    name: str = ""
    files: tuple[CodeFile, ...] = ()
    missing: str = ""


def logged_code(facts: RunFacts, directory: Path, environment: Mapping[str, str]) -> FoundCode:
    """The files of `run.log_code`; else what `save_code` left in the run's directory."""
    found = _artifact(facts.code, directory, environment) if facts.code else FoundCode()
    if found.files:
        return found
    saved = tuple(_saved(directory))
    if saved:
        return FoundCode(facts.saved_code_name, saved, found.missing)
    return FoundCode(missing=found.missing or "it logged no code")


def write_code(files: tuple[CodeFile, ...], root: Path) -> None:
    """Copy the files below `root`. Raises SourceError for one that is not as it was logged."""
    for file in files:
        target = root.joinpath(*PurePosixPath(file.path).parts)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            digest = _copy(file.place, target)
        except (FileExistsError, NotADirectoryError) as error:
            raise SourceError(
                f"the run logged two files as one: {file.path!r}",
                hint="record its directory: `launch-action job create code DIR`",
            ) from error
        if file.digest and digest != file.digest:
            raise SourceError(
                f"{str(file.place)!r} is not the {file.path!r} that the run logged",
                hint="record its directory: `launch-action job create code DIR`",
            )


def _copy(place: Path, target: Path) -> str:
    """Copy one file; its MD5 in base64."""
    digest = hashlib.md5(usedforsecurity=False)
    with place.open("rb") as source, target.open("xb") as out:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return base64.b64encode(digest.digest()).decode()


def _artifact(code: LoggedCode, directory: Path, environment: Mapping[str, str]) -> FoundCode:
    """The files of the logged artifact, every one of which has to be here."""
    if not code.files:
        return FoundCode(
            missing=f"what it logged as {code.name!r} is at W&B, and no list of it on this machine"
        )
    places = _places(environment)
    found = []
    for file in code.files:
        if not _is_inside(file.path):
            return FoundCode(missing=f"it logged code outside its directory: {file.path!r}")
        place = next((one for one in _candidates(file, directory, places) if one.is_file()), None)
        if place is None:
            return FoundCode(
                missing=f"{file.path!r} of the code that it logged as {code.name!r} is not on "
                f"this machine, in {str(places[0])!r}"
            )
        found.append(CodeFile(file.path, place, file.digest))
    return FoundCode(code.name, tuple(found))


def _places(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """Where the SDK keeps what is to be uploaded, and what was."""
    home = Path(environment.get("HOME") or Path.home())
    data = environment.get("WANDB_DATA_DIR")
    cache = environment.get("WANDB_CACHE_DIR")
    share = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share", "wandb")
    caches = Path(environment.get("XDG_CACHE_HOME") or home / ".cache", "wandb")
    return (
        Path(data or share, "artifacts", "staging").expanduser(),
        Path(cache or caches, "artifacts", "obj", "md5").expanduser(),
    )


def _candidates(file: LoggedFile, directory: Path, places: tuple[Path, Path]) -> Iterator[Path]:
    """Where the file may be: what an outsider's log names counts in the SDK's own places alone."""
    staging, cache = places
    if file.local_path:
        named = Path(os.path.realpath(file.local_path))
        if any(named.is_relative_to(one.resolve()) for one in (staging, cache, directory)):
            yield named
    try:
        digest = base64.b64decode(file.digest, validate=True).hex()
    except ValueError:
        return
    if digest:
        yield cache / digest[:2] / digest[2:]


def _is_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return bool(parts) and "\0" not in path and not path.startswith("/") and ".." not in parts


def _saved(directory: Path) -> Iterator[CodeFile]:
    """What the SDK copied of the program, and of a notebook, at the start of the run."""
    root = directory / "files" / "code"
    if root.resolve() != directory.resolve() / "files" / "code":
        return
    for folder, _, names in os.walk(root):
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield CodeFile(path.relative_to(root).as_posix(), path)
