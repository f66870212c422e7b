"""From inputs to a recorded job version: plan, build, record. The order of the shell."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import replace
from launch_action.core.launch import Announce, World, execute
from launch_action.core.ports import Content, Traffic
from launch_action.jobs.admission import Admission, to_register
from launch_action.jobs.registering import registered
from launch_action.launches.building import prepare
from launch_action.launches.claiming import claim_planned
from launch_action.launches.preconditions import check_before
from launch_action.planning.launch_plan import PlannedLaunch, plan_launch
from launch_action.planning.sources import check_commit
from launch_action.planning.workplace import StoredJob, Workplace

if TYPE_CHECKING:
    from launch_action.core.context import Context
    from launch_action.core.image import Descriptor


def build(place: Workplace, announce: Announce, *, run: bool) -> StoredJob:
    """Build, record and register the source's job; `run` only tells the plan what comes after."""
    check_before(place, run=run)
    admission = Admission(to_register(place), place)
    job = build_unregistered(place, announce, admission, run=run)
    return registered(job, admission, place, announce)


def build_unregistered(
    place: Workplace, announce: Announce, admission: Admission, *, run: bool
) -> StoredJob:
    """Build and record the source's job: it is in its store alone, and not at W&B."""
    if place.inputs.docker_image:
        return _existing_image(place, announce, admission, run=run)
    with plan_launch(place, run=run) as planned:
        return carry_out(place, planned, announce, admission)


def carry_out(
    place: Workplace, planned: PlannedLaunch, announce: Announce, admission: Admission
) -> StoredJob:
    """Build and record what was planned."""
    admission.begin(planned.plan.job_name, planned.plan.aliases)
    content = place.content(planned.plan.store)
    announce({"job_name": planned.plan.job_name, "metadata": source_metadata(planned)})
    effects = replace(world(place, planned, content, announce), admit=admission.check)
    launched = execute(planned.plan, effects)
    tell(place, announce, content.traffic)
    registry = planned.plan.store.kind == "registry"
    return StoredJob(
        content, launched.version, registry, aliases=launched.aliases, held=planned.plan.held
    )


def _existing_image(
    place: Workplace, announce: Announce, admission: Admission, *, run: bool
) -> StoredJob:
    from launch_action.jobs.job_create import create_image_job

    if run and not place.inputs.queue:
        from launch_action.planning.run_plan import check_run

        check_run(place)
    return create_image_job(place, announce, admission, run=run)


def world(place: Workplace, planned: PlannedLaunch, content: Content, announce: Announce) -> World:
    """The effects that executing a plan needs."""
    checkout, code = planned.checkout, planned.code
    return World(
        prepare(place, planned),
        content,
        place.reporter,
        announce,
        check_source=partial(check_commit, place, checkout) if checkout else lambda _: None,
        archive=_archive(place, code, content) if code else None,
        point=partial(claim_planned, place, checkout),
    )


def _archive(place: Workplace, code: Context, content: Content) -> Callable[[], Descriptor]:
    # Imported where it is used: most jobs are of a commit.
    from launch_action.jobs.code_archive import store_archive

    return partial(store_archive, code, content, place)


def source_metadata(planned: PlannedLaunch) -> Mapping[str, Any]:
    """What `metadata` says of the source and the build, before anything is built."""
    decided = planned.plan
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
