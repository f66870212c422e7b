"""Reads the directory of a run: what its log says, and the files beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import SourceError
from launch_action.core.run_job import FoundRun
from launch_action.core.transaction_log import records
from launch_action.core.wandb_run import read_facts, with_metadata
from launch_action.wandb_runs.logged_code import CodeFile, logged_code

# Bytes. The log is read record by record; the manifest of the logged code is its largest.
_RECORD_LIMIT = 64 * 1024 * 1024
_METADATA_LIMIT = 1024 * 1024
_FROZEN_LIMIT = 4 * 1024 * 1024
_PATCH_LIMIT = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """A run, and where the files are that it logged as its code."""

    directory: Path
    run: FoundRun
    code: tuple[CodeFile, ...]


def read_run(log: Path, environment: Mapping[str, str]) -> RunDirectory:
    """Read a run by its transaction log. Raises SourceError for what is none, or too large."""
    with log.open("rb") as file:
        facts = read_facts(records(file, _RECORD_LIMIT))
    if not facts.run_id:
        raise SourceError(
            f"no W&B run can be read from {str(log)!r}",
            hint="it is empty, cut at its beginning, or no transaction log of the W&B SDK",
        )
    files = log.parent / "files"
    facts = with_metadata(facts, _read(files / "wandb-metadata.json", _METADATA_LIMIT))
    code = logged_code(facts, log.parent, environment)
    return RunDirectory(
        log.parent,
        FoundRun(
            facts,
            frozen=_read(files / "requirements.txt", _FROZEN_LIMIT),
            patch=_read(files / "diff.patch", _PATCH_LIMIT),
            code_name=code.name,
            code_paths=tuple(file.path for file in code.files),
            no_code=code.missing,
        ),
        code.files,
    )


def _read(path: Path, limit: int) -> bytes:
    """A file of the run, empty where there is none. Raises SourceError when it is too large."""
    # A link may lead out of the run's directory, whose content is an outsider's.
    if not path.is_file() or path.resolve() != path.parent.parent.resolve() / "files" / path.name:
        return b""
    with path.open("rb") as file:
        found = file.read(limit + 1)
    if len(found) > limit:
        raise SourceError(
            f"{str(path)!r} has more than {limit // 1024 // 1024} MiB",
            hint="such a run is not recorded as a job; commit what it changed, and run it again",
        )
    return found
