"""The directory a job leaves its results in, and what is read of it afterwards."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from launch_action.core.errors import RunError
from launch_action.core.metrics import METRICS_LIMIT, read_metrics
from launch_action.core.ports import Reporter
from launch_action.runners.offline_summary import offline_summary

LOG = "log.txt"
METRICS = "metrics.json"


@contextmanager
def output_directory(directory: str) -> Iterator[Path]:
    """A run's output directory, new or empty, by its absolute path. Raises RunError.

    When the block ends in an error before anything is in it, it is removed again.
    """
    place = Path(directory).absolute()
    try:
        place.mkdir(parents=True, exist_ok=True)
        taken = any(place.iterdir())
    except OSError as error:
        raise RunError(
            f"cannot make the output directory {str(place)!r}: {error.strerror}",
            hint="name one that you may write to with --output, or run from another directory",
        ) from error
    if taken:
        raise RunError(
            f"the output directory {str(place)!r} is not empty",
            hint="every run has its own directory; remove it or take another run id",
        )
    try:
        yield place
    except BaseException:
        with suppress(OSError):
            place.rmdir()
        raise


def collect_metrics(outputs: Path, run_id: str, reporter: Reporter) -> dict[str, Any]:
    """The job's metrics: of metrics.json where there is one, else of W&B's offline summary.

    What cannot be read is a warning; a run never fails for its metrics.
    """
    data = _read_regular(outputs / METRICS)
    if data is None:
        if os.path.lexists(outputs / METRICS):
            reporter.warning(f"{METRICS} is no regular file, or cannot be read: it was not")
        return offline_summary(outputs / "wandb", run_id)
    metrics, complaint = read_metrics(data)
    if complaint:
        reporter.warning(complaint)
    return metrics


def _read_regular(path: Path) -> bytes | None:
    """A file the job wrote, at most one byte over the limit; no link, pipe or device is opened."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        with open(handle, "rb", closefd=False) as file:
            return file.read(METRICS_LIMIT + 1)
    finally:
        os.close(handle)
