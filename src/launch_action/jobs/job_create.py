"""Records jobs without building them: `job create`, and image jobs of `launch`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from launch_action.core.aliases import asked_alias
from launch_action.core.base import RegistryBase, parse_base
from launch_action.core.claims import Claims, parted, waits
from launch_action.core.create_plan import (
    CreatePlan,
    create,
    steps,
    unbuilt,
    with_base,
    with_schema,
)
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import InputError
from launch_action.core.git_address import is_git_address
from launch_action.core.job import ImageSource
from launch_action.core.launch import Announce
from launch_action.jobs.admission import Admission, to_register
from launch_action.jobs.registering import registered
from launch_action.planning.launch_plan import PlannedLaunch, place_situation, plan_launch
from launch_action.planning.sources import check_commit
from launch_action.planning.workplace import StoredJob, Workplace

if TYPE_CHECKING:
    from launch_action.core.image import Descriptor

KINDS = ("git", "code", "image", "run")


def create_job(kind: str, path: str, place: Workplace, announce: Announce) -> StoredJob:
    """Record the job of a git repository, a directory, an image or a run; nothing is built.

    `path` is, by kind: an address or a checkout; a directory; an image's reference; a W&B run, for
    the latest empty. Raises InputError and what the source, the registry and the store raise.
    """
    admission = Admission(to_register(place, pushed=kind == "image"), place)
    with ExitStack() as stack:
        plan, archive = _planned(kind, path, place, stack)
        job = _create(plan, place, _Telling(announce, admission), archive)
    return registered(job, admission, place, announce)


def job_steps(kind: str, path: str, place: Workplace, announce: Announce) -> list[dict[str, str]]:
    """What creating a job would do, as `create_job` takes it; nothing is stored or registered."""
    what = to_register(place, pushed=kind == "image")
    with ExitStack() as stack:
        plan, _ = _planned(kind, path, place, stack)
    announce({"job_name": plan.job_name, "tags": list(plan.aliases)})
    told = [{"step": "register", "detail": what}] if what != "off" else []
    return [*steps(plan), *told]


def create_image_job(
    place: Workplace, announce: Announce, admission: Admission, *, run: bool
) -> StoredJob:
    """Record the image job of `--docker-image`; with `run`, its aliases may wait for its run."""
    plan, found = _image(place), place_situation(place)
    pull_request = found.pull_request is not None
    wait = waits(place.inputs, pull_request=pull_request, tag=found.event_tag, run=run)
    claims = Claims(found.turn, frozenset(map(asked_alias, place.inputs.alias)))
    now, held = parted(plan.aliases, claims, wait=wait)
    telling = _Telling(announce, admission)
    return replace(_create(replace(plan, aliases=now), place, telling, None), held=held)


@dataclass(frozen=True, slots=True)
class _Telling:
    """Who is told of a job that is created, and who has to let it be."""

    announce: Announce
    admission: Admission


def image_steps(place: Workplace, announce: Announce) -> list[dict[str, str]]:
    """What creating the job of the image of `--docker-image` would do."""
    plan = _image(place)
    announce({"job_name": plan.job_name, "tags": list(plan.aliases)})
    return steps(plan)


def _planned(
    kind: str, path: str, place: Workplace, stack: ExitStack
) -> tuple[CreatePlan, Callable[..., Descriptor] | None]:
    match kind:
        case "image":
            return _image(replace(place, inputs=replace(place.inputs, docker_image=path))), None
        case "run":
            from launch_action.jobs.run_jobs import plan_run_job

            plan, archive = plan_run_job(path, place, stack)
            return _described(plan, place), archive
        case "git" if not is_git_address(path):
            inputs = replace(place.inputs, working_directory=path)
        case "code" if is_git_address(path):
            raise InputError(
                f"a code job is of a directory: {path!r}",
                hint="record a repository with `launch-action job create git`",
            )
        case _:
            inputs = replace(place.inputs, uri=path)
    planned = stack.enter_context(plan_launch(replace(place, inputs=inputs), run=False))
    if planned.checkout:
        check_commit(replace(place, inputs=inputs), planned.checkout)
    if planned.code is None:
        return _based(unbuilt(planned.plan), place), None
    from launch_action.jobs.code_archive import store_archive

    archive = partial(store_archive, planned.code, place=place)
    return _based(unbuilt(planned.plan, _declared(planned)), place), archive


def _based(plan: CreatePlan, place: Workplace) -> CreatePlan:
    """The plan with the base image that is asked for. Raises InputError for what is none."""
    given = place.inputs.base_image
    if not given:
        return plan
    base = parse_base(given)
    if isinstance(base, RegistryBase):
        return with_base(plan, base)
    place.reporter.warning(f"base image {given!r} is of no registry, and is not recorded")
    return plan


def _declared(planned: PlannedLaunch) -> bytes:
    """The lines of a directory's requirements.txt, as W&B records them."""
    build = planned.plan.build
    main = build.dependencies.main
    return (planned.context.read(main) or b"") if main == "requirements.txt" else b""


def _image(place: Workplace) -> CreatePlan:
    from launch_action.jobs.image_jobs import plan_image_job

    return _described(plan_image_job(place), place)


def _described(plan: CreatePlan, place: Workplace) -> CreatePlan:
    """The plan of a job without files, with the schema that is asked for; its warnings are told."""
    for warning in plan.warnings:
        place.reporter.warning(warning)
    if not place.inputs.schema:
        return plan
    from launch_action.planning.job_schema import read_schema

    schema = read_schema(place)
    return with_schema(plan, schema.render()) if schema else plan


def _create(
    plan: CreatePlan,
    place: Workplace,
    telling: _Telling,
    archive: Callable[..., Descriptor] | None,
) -> StoredJob:
    announce, admission = telling.announce, telling.admission
    content = place.content(plan.store)
    announce({"job_name": plan.job_name})
    is_image = isinstance(plan.source, ImageSource)
    admission.begin(plan.job_name, plan.aliases, is_image=is_image)
    admission.check()
    with place.reporter.phase("record"):
        version = create(plan, content, partial(archive, content=content) if archive else None)
    registry = plan.store.kind == "registry"
    outputs: dict[str, Any] = {
        "job": f"{content.name}@{version.digest}",
        "job_digest": str(version.digest),
        "tags": list(plan.aliases),
        "pushed": registry,
        "metadata": {"commit": version.commit or None, "remote": version.remote or None},
    }
    announce(outputs)
    return StoredJob(content, version, registry, aliases=plan.aliases)
