"""The plan of a launch as a document: what `--dry-run --json` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import replace
from launch_action.core.outputs import Outcome
from launch_action.launches.existing_jobs import plan_again
from launch_action.launches.launching import source_metadata
from launch_action.launches.preconditions import check_before
from launch_action.planning.launch_plan import PlannedLaunch, plan_launch
from launch_action.planning.workplace import Workplace

if TYPE_CHECKING:
    pass


def show_plan(
    place: Workplace, outcome: Outcome, recorded: str | None = None, *, run: bool
) -> dict[str, Any]:
    """The plan as a document: the outputs that are known, and the list of steps.

    It is that of building a recorded job again, where one is named.
    """
    queue = check_before(place, run=run)
    if place.inputs.docker_image:
        from launch_action.jobs.job_create import image_steps

        found = image_steps(place, outcome.announce)
        found += [{"step": "queue", "detail": queue}] if queue else []
        return {**outcome.document(), "plan": found}
    if recorded is not None:
        with plan_again(recorded, place) as (_, planned):
            return _plan_document(planned, outcome)
    with plan_launch(place, run=run) as planned:
        told = replace(planned, plan=replace(planned.plan, queue=queue))
        return _plan_document(told, outcome)


def _plan_document(planned: PlannedLaunch, outcome: Outcome) -> dict[str, Any]:
    outcome.announce({"job_name": planned.plan.job_name, "tags": list(planned.plan.aliases)})
    outcome.announce({"metadata": source_metadata(planned)})
    from launch_action.core.plan_steps import describe

    return {**outcome.document(), "plan": describe(planned.plan)}
