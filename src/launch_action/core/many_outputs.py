"""The outputs of several jobs as one: what a step, or `--json`, says of a whole launch file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import LaunchError
from launch_action.core.legs import Values
from launch_action.core.outputs import described

# One of each job, in the order of the file, so that the lines of all of them belong together.
_EACH = (
    "job", "job_name", "job_digest", "image", "digest", "wandb_job", "wandb_job_url", "run_id",
    "run_url",
)  # fmt: skip
# From the best to the worst: all of them together are as good as the worst.
_STATUSES = ("skipped", "succeeded", "running", "cancelled", "timeout", "failed")


@dataclass(frozen=True, slots=True)
class JobResult:
    """What is known of a job of the file, and the error that it ended by."""

    key: str
    values: Values
    error: LaunchError | None = None

    def document(self) -> dict[str, Any]:
        """The document of a run with this job alone, and its key."""
        found = {"key": self.key, **self.values}
        return {**found, "error": described(self.error)} if self.error else found


def combined(file: str, results: Sequence[JobResult]) -> dict[str, Any]:
    """The outputs of all jobs. Of one job alone they are its own.

    Else what each has is a list, None for what is not known of one, in the order of the file; the
    status is the worst, the exit code the first that is not 0, the metrics are by key. `metadata`
    always holds the document of each job.
    """
    documents = {"file": file, "jobs": [one.document() for one in results]}
    if len(results) == 1:
        values = results[0].values
        return {**values, "metadata": {**(values["metadata"] or {}), **documents}}
    all_values = [one.values for one in results]
    codes = [v["run_exit_code"] for v in all_values if v["run_exit_code"] is not None]
    return {
        **{name: _each(name, all_values) for name in _EACH},
        "tags": _united(all_values),
        "pushed": _every("pushed", all_values),
        "cache_hit": _every("cache_hit", all_values),
        "run_status": _worst(v["run_status"] for v in all_values),
        "run_exit_code": next((code for code in codes if code), 0 if codes else None),
        "metrics": {one.key: one.values["metrics"] for one in results if one.values["metrics"]}
        or None,
        "metadata": documents,
    }


def _each(name: str, all_values: Sequence[Values]) -> list[Any] | None:
    found = [values[name] for values in all_values]
    return None if all(one is None for one in found) else found


def _united(all_values: Sequence[Values]) -> list[str] | None:
    found = dict.fromkeys(tag for values in all_values for tag in values["tags"] or ())
    return list(found) or None


def _every(name: str, all_values: Sequence[Values]) -> bool | None:
    known = [values[name] for values in all_values]
    return None if all(one is None for one in known) else all(known)


def _worst(found: Iterable[str | None]) -> str | None:
    known = [one for one in found if one]
    return max(known, key=_STATUSES.index) if known else None
