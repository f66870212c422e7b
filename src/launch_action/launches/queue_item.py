"""The item of a request: found where it was sent before, else put into its queue, once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from launch_action.core.dataclass import replace
from launch_action.core.errors import ServiceError, UnansweredError
from launch_action.core.queue_plan import QueueItem, run_ids, workflow_run
from launch_action.core.queued_run import (
    Item,
    LaunchQueues,
    Stage,
    item_of,
    sent_before,
    stage_of,
    surplus,
)
from launch_action.core.run import new_run_id
from launch_action.launches.followed_run import Followed
from launch_action.planning.workplace import Workplace

# How often one request is sent anew after a failure before something else must be wrong.
_ATTEMPTS = 50
# Seconds before what W&B did not answer is sent once more.
_PAUSES = (1.0, 5.0, 15.0)


def find_sent(
    queues: LaunchQueues, item: QueueItem, commit: str, place: Workplace
) -> tuple[Followed, Stage | None]:
    """The run of a request, and how far it is; None for one that is still to be sent.

    `item` has no run id yet, unless the launch config gives one. Raises ServiceError.
    """
    items: tuple[Item, ...] | None = None
    for run_id in islice(_ids(item, commit, place), _ATTEMPTS):
        named = replace(item, spec={**item.spec, "run_id": run_id})
        followed = Followed(queues, named, "", place.reporter)
        if place.inputs.force:
            return followed, None
        run = queues.run(followed.project, run_id)
        if run is None and items is None:
            items = queues.items(item.queue)
        found = item_of(items or (), run_id)
        stage = stage_of(found, run)
        if sent_before(stage):
            return replace(followed, identifier=found.identifier if found else ""), stage
        if stage is None or item.spec.get("run_id"):
            return followed, None
        place.reporter.info(f"run {run_id} of the same request is {stage}: it is sent again")
    raise ServiceError(
        f"the same request was sent {_ATTEMPTS} times, and every run of it has failed",
        hint="send it once more with --force, or change it",
    )


def _ids(item: QueueItem, commit: str, place: Workplace) -> Iterator[str]:
    if item.spec.get("run_id"):
        return iter((str(item.spec["run_id"]),))
    if place.inputs.force:
        return iter((new_run_id(secrets.choice),))
    return run_ids(item, commit=commit, workflow=workflow_run(place.environment))


def push(followed: Followed) -> str:
    """Put the item into its queue, once; its id. Raises ServiceError where W&B refuses it.

    An answer that is lost does not tell whether the item is there: its run id finds it.
    """
    identifier = _pushed(followed)
    with suppress(ServiceError):  # of the one that is there, nothing is wrong
        return _alone(followed, identifier)
    return identifier


def _pushed(followed: Followed) -> str:
    for pause in _PAUSES:
        try:
            return followed.queues.push(followed.item)
        except UnansweredError as error:
            followed.reporter.warning(f"{error.message}; once more in {pause:g} s")
            time.sleep(pause)
            if there := _there(followed, error):
                return there.identifier
    return followed.queues.push(followed.item)


def _there(followed: Followed, error: UnansweredError) -> Item | None:
    """The item of a push that was not answered. Raises the error where nobody can tell."""
    try:
        items = followed.queues.items(followed.item.queue)
    except UnansweredError:
        return None
    found = item_of(items, followed.run_id)
    if found is None and any(not item.run_id for item in items):
        # A server that does not tell the run of an item which waits: it may be ours.
        raise error
    return found


def _alone(followed: Followed, identifier: str) -> str:
    """The id of the one item of the run, after those were removed that are too many."""
    queues, queue = followed.queues, followed.item.queue
    items = queues.items(queue)
    extra = surplus(items, followed.run_id)
    for item in extra:
        queues.remove(queue, item.identifier)
    kept = item_of(tuple(item for item in items if item not in extra), followed.run_id)
    return kept.identifier if kept else identifier
