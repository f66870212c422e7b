"""Sends a job to a W&B Launch queue: what is checked before anything is built, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import InputError
from launch_action.core.input_schema import InputSchema, checked_schema, stored_schema
from launch_action.core.job import ImageSource, JobDocument, read_job
from launch_action.core.job_inputs import merged, parse_settings
from launch_action.core.queue_plan import (
    PRIORITIES,
    Queue,
    QueueAsked,
    QueueItem,
    check_document,
    check_queue,
    check_queued,
    run_spec,
)
from launch_action.core.queued_run import LaunchQueues
from launch_action.core.run import RunResult
from launch_action.core.store import JobStore
from launch_action.core.template_variables import template_values, without_value
from launch_action.core.wandb_reference import check_owner
from launch_action.jobs.admission import Admission, to_register
from launch_action.jobs.registering import registered, wandb_outputs
from launch_action.launches.followed_run import Followed
from launch_action.launches.queue_item import find_sent, push
from launch_action.launches.queue_recall import given_up
from launch_action.launches.queue_wait import follow
from launch_action.planning.job_schema import checked_config
from launch_action.planning.run_plan import (
    read_config,
    read_resource_args,
    refuse_detached,
    where_given,
)
from launch_action.planning.workplace import Running, StoredJob, Workplace


@dataclass(frozen=True, slots=True)
class Opened:
    """A queue that was found, what is asked of it, checked, and what to warn of."""

    queues: LaunchQueues
    queue: Queue
    asked: QueueAsked
    variables: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def resource(self) -> str:
        """Where the queue's jobs run."""
        return self.asked.resource or self.queue.resource

    def __str__(self) -> str:
        return f"{self.queue.entity}/{self.queue.name}, {self.resource}"


def check_launch(place: Workplace) -> Opened:
    """Ask W&B whether the queue takes what will be sent, before anything is built or pushed.

    Raises InputError for what it does not take, and ServiceError.
    """
    refuse_detached(place.inputs)
    check_queued(place.inputs)
    with place.reporter.phase("queue"):
        opened = open_queue(place)
    if place.inputs.docker_image:
        _check_image_runs(opened)
    place.reporter.info(f"queue {opened}")
    for warning in opened.warnings:
        place.reporter.warning(warning)
    return opened


def _check_image_runs(opened: Opened) -> None:
    if opened.resource == "local-process":
        raise InputError(
            f"queue {opened.queue.name!r} runs jobs as processes, and the job is an image",
            hint="name a queue of containers",
        )


def open_queue(place: Workplace) -> Opened:
    """The queue that the inputs name, and what they ask of it. Raises InputError, ServiceError."""
    with place.waiting_for_wandb():
        asked = queue_asked(place)
        queues = _connected(asked, place)
        queue = queues.open(asked.queue)
    warnings = check_queue(asked, queue)
    values = template_values(queue.variables, asked.set_var, asked.variables)
    missing = (
        f"template variable {name!r} of queue {queue.name!r} has neither a value nor a default"
        for name in without_value(queue.variables, values)
    )
    return Opened(queues, queue, asked, values, (*warnings, *missing))


def _connected(asked: QueueAsked, place: Workplace) -> LaunchQueues:
    from launch_action.wandb.queues import WandbQueues

    account = place.wandb
    return WandbQueues(account.server(attempts=1), account, asked.entity)


def queue_asked(place: Workplace) -> QueueAsked:
    """What the inputs ask of their queue. Raises InputError."""
    inputs, account = place.inputs, place.wandb
    config = read_config(inputs.config)
    check_document(config.document, where_given(inputs.config, "--config"))
    _check_key(place)
    project = _option(place, "project") or config.project or account.project
    if project:
        check_owner("project", project)
    return QueueAsked(
        queue=inputs.queue,
        entity=_option(place, "entity") or config.entity or account.default_entity(),
        project=project,
        document=config.document,
        run_config=merged(config.run_config, parse_settings(inputs.set)),
        args=(*config.args, *inputs.args),
        entrypoint=config.entrypoint,
        name=inputs.name or config.name,
        resource=inputs.resource or config.resource,
        resource_args=read_resource_args(inputs.resource_args) or config.resource_args,
        set_var=inputs.set_var,
        priority=PRIORITIES.get(inputs.priority),
    )


def _option(place: Workplace, name: str) -> str:
    """An option, and not what the environment says, over which the launch config wins in W&B."""
    given = str(getattr(place.inputs, name))
    return "" if given == place.environment.get(f"WANDB_{name.upper()}") else given


def _check_key(place: Workplace) -> None:
    if not place.wandb.key:
        raise InputError(
            f"queue {place.inputs.queue!r} is at W&B, and there is no key for it",
            hint="set WANDB_API_KEY, or `wandb login`; an event that outsiders can cause has none",
        )


def check_registered(place: Workplace) -> None:
    """Raise InputError where W&B does not get the job that is launched: a queue knows no other."""
    _check_key(place)
    if not place.wandb.project:
        raise InputError(
            f"queue {place.inputs.queue!r} knows jobs of W&B alone, and no project is known for it",
            hint="give --project, or set WANDB_PROJECT",
        )
    if to_register(place) == "off":
        raise InputError(
            f"queue {place.inputs.queue!r} knows jobs of W&B alone, and the job is not registered",
            hint="leave --wandb-register off away, and WANDB_MODE unset",
        )


def queue_stored(job: StoredJob, place: Workplace, running: Running) -> RunResult | None:
    """Send a job version of a store to the queue of the inputs: see `run_queued`.

    It is registered in W&B, unless it is there already. Raises InputError where no agent could pull
    its image, and what `run_queued` raises.
    """
    files = JobStore(job.content).files(job.version)
    document = read_job(files.document, f"{job.content.name}@{job.version.digest}")
    if not (job.registry or isinstance(document.source, ImageSource)):
        raise InputError(
            f"the agents of queue {place.inputs.queue!r} pull the image, and that of "
            f"{job.version.job_name!r} is in a directory of this machine",
            hint="`launch-action job promote` copies it to a registry",
        )
    if isinstance(document.source, ImageSource):
        _check_image_runs(open_queue(place))
    if not job.wandb_job:
        job = _registered(job, document, place, running)
    schema = stored_schema(files.schema) if files.schema else None
    return run_queued((job.wandb_job, job.wandb_image), job.version.commit, schema, place, running)


def _registered(
    job: StoredJob, document: JobDocument, place: Workplace, running: Running
) -> StoredJob:
    """An existing version, registered in W&B now."""
    known = place.inputs
    if isinstance(document.source, ImageSource):
        known = replace(known, docker_image=document.source.image)
    else:
        known = replace(known, image=job.content.name)
    there = replace(place, inputs=known)
    check_registered(there)
    return registered(job, Admission(to_register(there), there), there, running.announce)


def queue_at_wandb(reference: str, place: Workplace, running: Running) -> RunResult | None:
    """Send a job that is at W&B to the queue of the inputs: see `run_queued`."""
    from launch_action.jobs.wandb_jobs import read_at_wandb

    with read_at_wandb(reference, place) as found:
        known = found.job.schema
    name = str(found.reference)
    running.announce({"job_name": found.reference.name, "metadata": {"wandb_job": name}})
    schema = checked_schema(known, f"job {name}") if isinstance(known, Mapping) else None
    return run_queued((name, ""), "", schema, place, running)


def run_queued(
    jobs: tuple[str, str],
    commit: str,
    schema: InputSchema | None,
    place: Workplace,
    running: Running,
) -> RunResult | None:
    """Send a job to its queue and follow it to its end; None where it is not waited for.

    `jobs` are `entity/project/name:version` of W&B: the job, and that of its image alone where
    there is one, which needs no builder. What this run of the workflow has sent before is followed
    instead, unless it failed. Raises InputError and ServiceError.
    """
    opened = open_queue(place)
    job = _fitting(jobs, opened)
    running.announce(wandb_outputs(job, place))
    asked = _completed(opened.asked, job, schema, place, running)
    for warning in check_queue(asked, opened.queue):
        if warning not in opened.warnings:  # of the entry point, which is known by now
            place.reporter.warning(warning)
    item = QueueItem(
        queue=opened.queue,
        spec=run_spec(asked, job),
        variables=opened.variables,
        priority=asked.priority,
    )
    with place.waiting_for_wandb():
        followed, before = find_sent(opened.queues, item, commit, place)
    with given_up(followed, running.announce, stop=place.inputs.on_cancel == "stop"):
        if before:
            place.reporter.info(
                f"run {followed.run_id} was sent before, and is {before}: it is not sent again "
                "(--force sends another)"
            )
        else:
            with place.waiting_for_wandb():
                followed = replace(followed, identifier=push(followed))
            place.reporter.info(f"item {followed.identifier} was put into queue {opened}")
        _announce(followed, place, running)
        if place.inputs.detach:
            return None
        return follow(followed, place.inputs.timeout, running.announce, running.log)


def _completed(
    asked: QueueAsked, job: str, schema: InputSchema | None, place: Workplace, running: Running
) -> QueueAsked:
    """What is asked, with what the job itself says: its project, and the types of its inputs."""
    config = checked_config(place, schema) if schema else asked.run_config
    return replace(
        asked,
        project=asked.project or job.split("/")[1],
        run_config=config,
        entrypoint=running.entrypoint or asked.entrypoint,
    )


def _fitting(jobs: tuple[str, str], opened: Opened) -> str:
    """The form of a job that the queue's agents can start: processes are no images."""
    blueprint, image = jobs
    return blueprint if opened.resource == "local-process" or not image else image


def _announce(followed: Followed, place: Workplace, running: Running) -> None:
    queue = followed.item.queue
    url = followed.queues.run_url(followed.project, followed.run_id)
    place.reporter.info(f"run {followed.run_id}: {url}")
    running.announce(
        {
            "run_id": followed.run_id,
            "run_url": url,
            "run_status": "running",
            "metadata": {
                "queue": f"{queue.entity}/{queue.name}",
                "queue_item": followed.identifier or None,
            },
        }
    )
