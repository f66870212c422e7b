"""Sends a job to a W&B Launch queue: what is checked before anything is built, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import InputError
from launch_action.core.input_schema import InputSchema, checked_schema, recorded_schema
from launch_action.core.job import ImageSource, read_job
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
from launch_action.job_schema import checked_config
from launch_action.queue_item import find_sent, push
from launch_action.queue_wait import Followed, follow, given_up
from launch_action.run_plan import read_config, read_resource_args, refuse_detached, where_given
from launch_action.wiring import Running, StoredJob, Workplace


@dataclass(frozen=True, slots=True)
class Opened:
    """A queue that was found, what is asked of it, checked, and what to warn of."""

    queues: LaunchQueues
    queue: Queue
    asked: QueueAsked
    variables: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        resource = self.asked.resource or self.queue.resource
        return f"{self.queue.entity}/{self.queue.name}, {resource}"


def check_launch(place: Workplace) -> Opened:
    """Ask W&B whether the queue takes what will be sent, before anything is built or pushed.

    Raises InputError for what it does not take, and ServiceError.
    """
    refuse_detached(place.inputs)
    check_queued(place.inputs)
    with place.reporter.phase("queue"):
        opened = open_queue(place)
    place.reporter.info(f"queue {opened}")
    for warning in opened.warnings:
        place.reporter.warning(warning)
    return opened


def open_queue(place: Workplace) -> Opened:
    """The queue that the inputs name, and what they ask of it. Raises InputError, ServiceError."""
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
    from launch_action.wandb.server import Server

    account = place.wandb
    server = Server(account.base_url, account.key, account.environment, attempts=1)
    return WandbQueues(server, account, asked.entity)


def queue_asked(place: Workplace) -> QueueAsked:
    """What the inputs ask of their queue. Raises InputError."""
    inputs, account = place.inputs, place.wandb
    config = read_config(inputs.config)
    check_document(config.document, where_given(inputs.config, "--config"))
    if not account.key:
        raise InputError(
            f"queue {inputs.queue!r} is at W&B, and there is no key for it",
            hint="set WANDB_API_KEY, or `wandb login`; an event of outsiders has none",
        )
    entity = inputs.entity or config.entity or account.default_entity()
    return QueueAsked(
        queue=inputs.queue,
        entity=entity,
        project=inputs.project or config.project or account.project,
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


def queue_stored(job: StoredJob, place: Workplace, running: Running) -> RunResult | None:
    """Send a job version of a store to the queue of the inputs: see `run_queued`."""
    where = f"{job.content.name}@{job.version.digest}"
    files = JobStore(job.content).files(job.version)
    document = read_job(files.document, where)
    if not (job.registry or isinstance(document.source, ImageSource)):
        raise InputError(
            f"the agents of queue {place.inputs.queue!r} pull the image, and that of "
            f"{job.version.job_name!r} is in a directory of this machine",
            hint="push it: launch-action job promote to a registry, or build it with --image",
        )
    schema = recorded_schema(files.schema) if files.schema else None
    return run_queued(_at_wandb(job, place), job.version.commit, schema, place, running)


def queue_at_wandb(reference: str, place: Workplace, running: Running) -> RunResult | None:
    """Send a job that is at W&B to the queue of the inputs: see `run_queued`."""
    from launch_action.wandb_jobs import read_at_wandb

    with read_at_wandb(reference, place) as found:
        known = found.job.schema
    name = str(found.reference)
    running.announce({"job_name": found.reference.name, "metadata": {"wandb_job": name}})
    schema = checked_schema(known, f"job {name}") if isinstance(known, Mapping) else None
    return run_queued(name, "", schema, place, running)


def run_queued(
    job: str, commit: str, schema: InputSchema | None, place: Workplace, running: Running
) -> RunResult | None:
    """Send a job to its queue and follow it to its end; None where it is not waited for.

    `job` is `entity/project/name:version` of W&B. What this run of the workflow has sent before is
    followed instead, unless it failed. Raises InputError and ServiceError.
    """
    opened = open_queue(place)
    asked = _completed(opened.asked, job, schema, place, running)
    item = QueueItem(
        queue=opened.queue,
        spec=run_spec(asked, job),
        variables=opened.variables,
        priority=asked.priority,
    )
    followed, before = find_sent(opened.queues, item, commit, place)
    with given_up(followed, running.announce, stop=place.inputs.on_cancel == "stop"):
        if before:
            place.reporter.info(
                f"run {followed.run_id} was sent before, and is {before}: it is not sent again "
                "(--force sends another)"
            )
        else:
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


def _at_wandb(job: StoredJob, place: Workplace) -> str:
    """The job of W&B that a stored version is. Raises InputError where there is none."""
    if not job.wandb_job:
        raise InputError(
            f"job {job.version.job_name!r} is not at W&B, and a queue knows jobs of W&B alone: "
            f"{place.inputs.queue!r}",
            hint="name a job at W&B, as wandb:entity/project/name:alias",
        )
    return job.wandb_job


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
