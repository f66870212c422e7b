"""The step's summary as a listener: what became of every leg, in the runner's summary file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import LaunchError
from launch_action.core.legs import Leg, Values
from launch_action.github.commands import WorkflowCommands
from launch_action.github.environment import GitHubContext
from launch_action.github.summary import Summary, render


@dataclass(frozen=True, slots=True)
class StepSummary:
    """A Listener (core.legs) that appends a part to the summary whenever a leg has ended.

    Each part is appended as a whole, so that an interruption leaves those of the legs before it.
    """

    commands: WorkflowCommands
    event: GitHubContext

    def begin(self, legs: Sequence[Leg]) -> None:
        """Nothing is known yet."""

    def start(self, leg: Leg) -> None:
        """A summary is read when the step has ended."""

    def known(self, leg: Leg, values: Values) -> None:
        """A summary is read when the step has ended."""

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        self.commands.add_summary(render(self._summary(leg, values, error)))

    def close(self) -> None:
        """Every leg has its part already."""

    def _summary(self, leg: Leg, values: Values, error: LaunchError | None) -> Summary:
        metadata: dict[str, Any] = values["metadata"] or {}
        base = metadata.get("base") or []
        commit = metadata.get("commit") or ""
        return Summary(
            job_name=values["job_name"] or leg.job_name or leg.key,
            job=values["job"] or "",
            image=values["image"] or "",
            tags=tuple(values["tags"] or ()),
            commit=commit,
            commit_url=self.event.commit_url(commit),
            builder=metadata.get("builder", ""),
            reason=metadata.get("reason", ""),
            base=", ".join(f"{one['name']} {one['identity']}" for one in base),
            cache_hit=values["cache_hit"],
            pushed=values["pushed"],
            run_status=values["run_status"] or "",
            run_exit_code=values["run_exit_code"],
            run_url=values["run_url"] or "",
            timings=metadata.get("timings") or {},
            sent=metadata.get("bytes_sent"),
            received=metadata.get("bytes_received"),
            requests=metadata.get("requests"),
            metrics=values["metrics"] or {},
            reproduce=reproduce(values),
            error=error.message if error else "",
            hint=error.hint if error else "",
        )


def reproduce(values: Values) -> str:
    """The command that runs the very job anywhere, where it is pushed."""
    return f"launch-action run {values['job']}" if values["job"] and values["pushed"] else ""
