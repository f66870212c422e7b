"""From inputs to a recorded job version: look, plan, execute, run. The order of the shell."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import replace
from launch_action.core.entrypoint import parse_entrypoint
from launch_action.core.launch import Announce, World, execute, image_digest
from launch_action.core.outputs import Outcome
from launch_action.core.ports import Content, Traffic
from launch_action.jobs.admission import Admission, to_register
from launch_action.jobs.code_archive import store_archive
from launch_action.jobs.registering import registered, wandb_outputs
from launch_action.jobs.stored_jobs import find_job, for_registry, is_at_wandb
from launch_action.launches.building import prepare
from launch_action.launches.claiming import claim_planned
from launch_action.planning.launch_plan import Looked, look
from launch_action.planning.sources import check_commit
from launch_action.planning.workplace import Running, StoredJob, Workplace

if TYPE_CHECKING:
    from launch_action.core.run import RunResult
    from launch_action.jobs.wandb_jobs import ReadJob

Log = Callable[[bytes], None]


def launch(place: Workplace, outcome: Outcome, log: Log, *, run: bool) -> int:
    """Build and record the checkout's job, and run it where asked; the exit code."""
    job = build(place, outcome.announce, run=run)
    if not run:
        outcome.announce({"run_status": "skipped"})
        return 0
    return run_stored(job, place, Running(outcome.announce, log))


def build(place: Workplace, announce: Announce, *, run: bool) -> StoredJob:
    """Build, record and register the source's job; `run` only tells the plan what comes after."""
    check_before(place, run=run)
    admission = Admission(to_register(place), place)
    return registered(record_job(place, announce, admission, run=run), admission, place, announce)


def record_job(
    place: Workplace, announce: Announce, admission: Admission, *, run: bool
) -> StoredJob:
    """Build and record the source's job, in its store alone."""
    if place.inputs.docker_image:
        return _existing_image(place, announce, admission, run=run)
    with look(place, run=run) as looked:
        return carry_out(place, looked, announce, admission)


def build_recorded(reference: str, place: Workplace, outcome: Outcome) -> int:
    """Build a recorded job from its source; its aliases move to the version that is written."""
    # What is from W&B is there already, and goes back in another form only where that is asked for.
    asked = place.inputs.wandb_register or not is_at_wandb(reference, place)
    admission = Admission(to_register(place) if asked else "off", place)
    with _look_again(reference, place) as (there, looked):
        job = carry_out(there, looked, outcome.announce, admission)
    registered(job, admission, place, outcome.announce)
    outcome.announce({"run_status": "skipped"})
    return 0


@contextmanager
def _look_again(reference: str, place: Workplace) -> Iterator[tuple[Workplace, Looked]]:
    """The source of a recorded job, with the plan to build it into the store that it is of."""
    if is_at_wandb(reference, place):
        from launch_action.jobs.wandb_jobs import read_at_wandb

        with read_at_wandb(reference, place) as found, _source_at_wandb(found, place) as there:
            yield there
        return
    place = for_registry(reference, place)
    with _planned_again(find_job(reference, place, writable=True), place) as there:
        yield there


@contextmanager
def _planned_again(job: StoredJob, place: Workplace) -> Iterator[tuple[Workplace, Looked]]:
    from launch_action.jobs.rebuilding import moved_plan, recorded_source

    with recorded_source(job, place) as there, look(there, run=False) as looked:
        yield there, replace(looked, plan=moved_plan(looked.plan, job, place))


@contextmanager
def _source_at_wandb(found: ReadJob, place: Workplace) -> Iterator[tuple[Workplace, Looked]]:
    """The source of a job at W&B, with the plan to build it into the store of the inputs."""
    from launch_action.jobs.wandb_jobs import recorded_here, with_base

    with (
        recorded_here(found, place) as job,
        _planned_again(job, with_base(found, place)) as there,
    ):
        yield there


def carry_out(
    place: Workplace, looked: Looked, announce: Announce, admission: Admission
) -> StoredJob:
    """Build and record what was planned."""
    admission.begin(looked.plan.job_name, looked.plan.aliases)
    content = place.content(looked.plan.store)
    announce({"job_name": looked.plan.job_name, "metadata": source_metadata(looked)})
    effects = replace(world(place, looked, content, announce), admit=admission.check)
    launched = execute(looked.plan, effects)
    tell(place, announce, content.traffic)
    registry = looked.plan.store.kind == "registry"
    return StoredJob(
        content, launched.version, registry, aliases=launched.aliases, held=looked.plan.held
    )


def _existing_image(
    place: Workplace, announce: Announce, admission: Admission, *, run: bool
) -> StoredJob:
    from launch_action.jobs.job_create import record_image

    if run and not place.inputs.queue:
        from launch_action.planning.run_plan import check_run

        check_run(place)
    return record_image(place, announce, admission, run=run)


def run_stored(job: StoredJob, place: Workplace, running: Running) -> int:
    """Run a job version to its end, here or through a queue; the exit code.

    0 where it is started, or sent, and not waited for.

    Raises GateError when the run succeeded and `--fail-if` says that its metrics are not good.
    """
    if job.held is None:
        return _run(job, place, running)
    from launch_action.launches.holding import run_held

    there = replace(job, held=None)
    return run_held(there, job.held, place, running.announce, lambda: _run(there, place, running))


def _run(job: StoredJob, place: Workplace, running: Running) -> int:
    if place.inputs.queue:
        from launch_action.launches.queueing import queue_stored as start
    else:
        from launch_action.launches.running import run_job as start

    result = start(job, place, running)
    tell(place, running.announce, job.content.traffic)
    return _judged(result, place, running)


def _judged(result: RunResult | None, place: Workplace, running: Running) -> int:
    """The exit code of a run, whose metrics are held against `--fail-if`."""
    if result and result.status == "succeeded" and place.inputs.fail_if:
        from launch_action.core.gate import hold

        hold(place.inputs.fail_if, result.metrics, running.announce)
    return exit_code(result) if result else 0


def check_gate(place: Workplace, *, run: bool) -> None:
    """Raise InputError for a `--fail-if` that cannot be read, or that nobody could hold."""
    if not place.inputs.fail_if:
        return
    from launch_action.core.gate import check_conditions

    check_conditions(place.inputs, run=run)
    if not run:
        # No warning: one workflow is for events that run the job and for others.
        place.reporter.info("fail-if does nothing where the job is not run")


def check_before(place: Workplace, *, run: bool) -> str:
    """Raise what is wrong with what comes after a build; the queue that it goes to, or empty."""
    check_gate(place, run=run)
    if not (run and place.inputs.queue):
        return ""
    from launch_action.core.queue_plan import check_pushed
    from launch_action.launches.queueing import check_registered

    check_pushed(place.inputs)
    check_registered(place)
    return _check_queue(place)


def _check_queue(place: Workplace) -> str:
    """What the queue of the inputs is. Raises InputError for what it does not take."""
    # Imported where it is used: few launches have a queue.
    from launch_action.launches.queueing import check_launch

    return str(check_launch(place))


def run_existing(reference: str, place: Workplace, outcome: Outcome, log: Log) -> int:
    """Run a job version of a store, or a job at W&B; the exit code."""
    check_gate(place, run=True)
    if place.inputs.queue:
        _check_queue(place)
    given = place.inputs.entry_point
    running = Running(outcome.announce, log, parse_entrypoint(given) if given else ())
    if not is_at_wandb(reference, place):
        place = for_registry(reference, place)
        job = find_job(reference, place)
    elif place.inputs.queue:
        from launch_action.launches.queueing import queue_at_wandb

        return _judged(queue_at_wandb(reference, place, running), place, running)
    else:
        job = _from_wandb(reference, place, outcome.announce)
    outcome.announce(_known_outputs(job))
    if job.wandb_job:
        outcome.announce(wandb_outputs(job.wandb_job, place))
    return run_stored(job, place, running)


def _from_wandb(reference: str, place: Workplace, announce: Announce) -> StoredJob:
    """What a job at W&B comes to in a store: as it was built before, else built now."""
    from launch_action.core.job import ImageSource
    from launch_action.jobs.wandb_jobs import built_before, read_at_wandb, record_image_job
    from launch_action.planning.run_plan import check_run

    check_run(place)
    # What is to be run in place of the job's own command is none of the job.
    build = replace(place, inputs=replace(place.inputs, entry_point=""))
    with read_at_wandb(reference, build) as found:
        if isinstance(found.job.document.job.source, ImageSource):
            return record_image_job(found, build)
        if before := built_before(found, build):
            place.reporter.info(f"it was built before, as {before.version.digest}")
            return before
        with _source_at_wandb(found, build) as (there, looked):
            made = carry_out(there, looked, announce, Admission("off", there))
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
        with _look_again(recorded, place) as (_, looked):
            return _plan_document(looked, outcome)
    with look(place, run=run) as looked:
        told = replace(looked, plan=replace(looked.plan, queue=queue))
        return _plan_document(told, outcome)


def _plan_document(looked: Looked, outcome: Outcome) -> dict[str, Any]:
    outcome.announce({"job_name": looked.plan.job_name, "tags": list(looked.plan.aliases)})
    outcome.announce({"metadata": source_metadata(looked)})
    from launch_action.core.plan_steps import describe

    return {**outcome.document(), "plan": describe(looked.plan)}


def exit_code(result: RunResult) -> int:
    """1 for a job that ran and failed or timed out; 128 + the signal that interrupted us."""
    if result.cancelled_by:
        return 128 + result.cancelled_by
    return 0 if result.status == "succeeded" else 1


def world(place: Workplace, looked: Looked, content: Content, announce: Announce) -> World:
    """The effects that executing a plan needs."""
    checkout, code = looked.checkout, looked.code
    return World(
        prepare(place, looked),
        content,
        place.reporter,
        announce,
        check_source=partial(check_commit, place, checkout) if checkout else lambda _: None,
        archive=partial(store_archive, code, content, place) if code else None,
        point=partial(claim_planned, place, checkout),
    )


def source_metadata(looked: Looked) -> Mapping[str, Any]:
    """What `metadata` says of the source and the build, before anything is built."""
    decided = looked.plan
    return {
        "remote": decided.remote or None,
        "commit": decided.commit or None,
        "build_context": decided.source.build_context,
        "script": decided.script,
        "entrypoint": list(decided.build.entrypoint),
        "builder": decided.build.builder,
        "reason": decided.build.reason,
        "python": decided.build.python.version,
        "cutoff": decided.build.cutoff,
        "store": decided.store.name,
    }


def tell(place: Workplace, announce: Announce, traffic: Traffic) -> None:
    """Announce how long it took and what was exchanged."""
    announce(
        {
            "metadata": {
                "timings": dict(place.reporter.timings),
                "requests": traffic.requests,
                "bytes_sent": traffic.sent,
                "bytes_received": traffic.received,
            }
        }
    )
