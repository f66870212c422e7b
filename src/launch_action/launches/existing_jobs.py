"""Jobs that are recorded already, here or at W&B: built again from their source, or run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import replace
from launch_action.core.entrypoint import parse_entrypoint
from launch_action.core.launch import Announce, image_digest
from launch_action.core.outputs import Outcome
from launch_action.jobs.admission import Admission, to_register
from launch_action.jobs.registering import registered, wandb_outputs
from launch_action.jobs.stored_jobs import find_job, for_registry, is_at_wandb
from launch_action.launches.launching import carry_out
from launch_action.launches.preconditions import check_gate, check_queue
from launch_action.launches.stored_runs import Log, judged, run_stored
from launch_action.planning.launch_plan import PlannedLaunch, plan_launch
from launch_action.planning.workplace import Running, StoredJob, Workplace

if TYPE_CHECKING:
    from launch_action.jobs.wandb_jobs import ReadJob


def build_stored(reference: str, place: Workplace, outcome: Outcome) -> int:
    """Build a recorded job from its source; its aliases move to the version that is written."""
    # What is from W&B is there already, and goes back in another form only where that is asked for.
    asked = place.inputs.wandb_register or not is_at_wandb(reference, place)
    admission = Admission(to_register(place) if asked else "off", place)
    with plan_again(reference, place) as (there, planned):
        job = carry_out(there, planned, outcome.announce, admission)
    registered(job, admission, place, outcome.announce)
    outcome.announce({"run_status": "skipped"})
    return 0


def run_existing(reference: str, place: Workplace, outcome: Outcome, log: Log) -> int:
    """Run a job version of a store, or a job at W&B; the exit code."""
    check_gate(place, run=True)
    if place.inputs.queue:
        check_queue(place)
    given = place.inputs.entry_point
    running = Running(outcome.announce, log, parse_entrypoint(given) if given else ())
    if not is_at_wandb(reference, place):
        place = for_registry(reference, place)
        job = find_job(reference, place)
    elif place.inputs.queue:
        from launch_action.launches.queueing import queue_at_wandb

        return judged(queue_at_wandb(reference, place, running), place, running)
    else:
        job = _from_wandb(reference, place, outcome.announce)
    outcome.announce(_known_outputs(job))
    if job.wandb_job:
        outcome.announce(wandb_outputs(job.wandb_job, place))
    return run_stored(job, place, running)


@contextmanager
def plan_again(reference: str, place: Workplace) -> Iterator[tuple[Workplace, PlannedLaunch]]:
    """The source of a recorded job, with the plan to build it into the store that it is of."""
    if is_at_wandb(reference, place):
        from launch_action.jobs.wandb_jobs import read_at_wandb

        with read_at_wandb(reference, place) as found, _source_at_wandb(found, place) as there:
            yield there
        return
    place = for_registry(reference, place)
    with _plan_stored(find_job(reference, place, writable=True), place) as there:
        yield there


@contextmanager
def _plan_stored(job: StoredJob, place: Workplace) -> Iterator[tuple[Workplace, PlannedLaunch]]:
    from launch_action.jobs.rebuilding import moved_plan, restored_source

    with restored_source(job, place) as there, plan_launch(there, run=False) as planned:
        yield there, replace(planned, plan=moved_plan(planned.plan, job, place))


@contextmanager
def _source_at_wandb(found: ReadJob, place: Workplace) -> Iterator[tuple[Workplace, PlannedLaunch]]:
    """The source of a job at W&B, with the plan to build it into the store of the inputs."""
    from launch_action.jobs.wandb_jobs import stored_here, with_base

    with (
        stored_here(found, place) as job,
        _plan_stored(job, with_base(found, place)) as there,
    ):
        yield there


def _from_wandb(reference: str, place: Workplace, announce: Announce) -> StoredJob:
    """What a job at W&B comes to in a store: as it was built before, else built now."""
    from launch_action.core.job import ImageSource
    from launch_action.jobs.wandb_jobs import built_before, read_at_wandb, store_image_job
    from launch_action.planning.run_plan import check_run

    check_run(place)
    # What is to be run in place of the job's own command is none of the job.
    build = replace(place, inputs=replace(place.inputs, entry_point=""))
    with read_at_wandb(reference, build) as found:
        if isinstance(found.job.document.job.source, ImageSource):
            return store_image_job(found, build)
        if before := built_before(found, build):
            place.reporter.info(f"it was built before, as {before.version.digest}")
            return before
        with _source_at_wandb(found, build) as (there, planned):
            made = carry_out(there, planned, announce, Admission("off", there))
            return replace(made, wandb_job=str(found.reference))


def _known_outputs(job: StoredJob) -> dict[str, Any]:
    version, name = job.version, job.content.name
    image = image_digest(version) if version.images else ""
    return {
        "job": f"{name}@{version.digest}",
        "job_name": version.job_name,
        "job_digest": str(version.digest),
        "image": f"{name}@{image}" if image else None,
        "digest": image or None,
        "pushed": job.registry,
        "metadata": {"commit": version.commit, "build_key": version.build_key},
    }
