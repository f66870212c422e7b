"""Keeps what a run came to beside its version, as a listener: previews are compared with it."""

from __future__ import annotations

from collections.abc import Sequence

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import LaunchError
from launch_action.core.legs import Leg, Values
from launch_action.planning.workplace import Workplace


@dataclass(frozen=True, slots=True)
class RunNotes:
    """A Listener (core.legs); only for events that are trusted."""

    place: Workplace

    def begin(self, legs: Sequence[Leg]) -> None:
        """Nothing has run yet."""

    def start(self, leg: Leg) -> None:
        """Nothing has run yet."""

    def known(self, leg: Leg, values: Values) -> None:
        """Only what has ended is kept."""

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        if error or not (values["pushed"] and values["metrics"]):
            return
        from launch_action.core.reference import Digest
        from launch_action.core.run_note import keep_metrics
        from launch_action.step.base_comparison import content_of

        content = content_of(replace(self.place, inputs=leg.inputs), values)
        keep_metrics(content, Digest(values["job_digest"]), values)

    def close(self) -> None:
        """The note of every run that has ended is written."""
