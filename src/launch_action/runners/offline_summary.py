"""The summary of a run that the W&B SDK recorded offline.

Up to some versions the SDK leaves `files/wandb-summary.json`, whole or not; 0.31 leaves only the
transaction log `run-<id>.wandb` (Record.summary = 3; SummaryRecord.update = 1, remove = 2).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from launch_action.core.metrics import METRICS_LIMIT, read_metrics, scalars
from launch_action.core.protobuf import fields
from launch_action.core.transaction_log import apply_item, records


def offline_summary(directory: Path, run_id: str) -> dict[str, Any]:
    """The last summary of run `run_id` below the SDK's `wandb` directory; empty when there is none.

    Keys that begin with `_` are the SDK's own and left out: 0.16 leaves a document with nothing
    else, beside a log that has the rest. A log that ends in the middle, as that of a killed job
    does, gives what was summarised until then.
    """
    for place in sorted(directory.glob(f"*run-*-{run_id}"), reverse=True):
        for read in (_of_document, _of_log):
            found = read(place, run_id)
            if metrics := {key: value for key, value in found.items() if not key.startswith("_")}:
                return metrics
    return {}


def _of_document(place: Path, _: str) -> dict[str, Any]:
    path = place / "files" / "wandb-summary.json"
    if path.is_symlink() or not path.is_file():
        return {}
    with path.open("rb") as file:
        return read_metrics(file.read(METRICS_LIMIT + 1))[0]


def _of_log(place: Path, run_id: str) -> dict[str, Any]:
    path = place / f"run-{run_id}.wandb"
    if path.is_symlink() or not path.is_file():
        return {}
    summary: dict[str, Any] = {}
    with path.open("rb") as file:
        for record in records(file):
            for number, change in _summary_changes(record):
                apply_item(summary, number, change)
    return scalars(summary, [])


def _summary_changes(record: bytes) -> Iterator[tuple[int, bytes]]:
    try:
        for number, value in fields(record):
            if number == 3 and isinstance(value, bytes):
                for change, item in fields(value):
                    if change in (1, 2) and isinstance(item, bytes):
                        yield change, item
    except IndexError:
        return
