"""What the jobs of a step have in common: where they run, who is told, and how one is built."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.launch import Announce
from launch_action.core.legs import Leg, Listeners
from launch_action.core.mode import Decision
from launch_action.github.commands import WorkflowCommands
from launch_action.github.environment import GitHubContext
from launch_action.launches.launching import build
from launch_action.planning.workplace import StoredJob, Workplace
from launch_action.report import result_lines


@dataclass(frozen=True, slots=True)
class StepContext:
    """What the legs of a step have in common.

    `place` has the step's inputs as far as the event allows them, those of a leg take their place.
    """

    place: Workplace
    event: GitHubContext
    decision: Decision
    commands: WorkflowCommands
    listeners: Listeners


def build_leg(
    step: StepContext, leg: Leg, place: Workplace, announce: Announce, *, run: bool
) -> StoredJob:
    """The leg's job version, built, or of a release found and promoted.

    Of several jobs each is recorded in a process of its own: what it has to tell goes through the
    reporter of `place` and through `announce` alone.
    """
    if step.decision.mode == "release":
        from launch_action.launches.releasing import release

        return release(place, announce, step.event.tag, key=leg.key, run=run)
    return build(place, announce, run=run)


def say_result(step: StepContext, values: Mapping[str, Any]) -> None:
    """Have the log end with what came of a leg: what there is, by its names."""
    if not values["job"]:
        return
    for line in result_lines(values, timings=False):
        step.place.reporter.info(line)
    if values["pushed"] is False:
        step.place.reporter.info("pushed   no: it is in the store of this machine alone")
