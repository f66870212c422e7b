"""How far a queued run is: read of its item in the queue, and of its run, which W&B tells apart.

An item is PENDING, LEASED (an agent took it), CLAIMED (the agent has begun, which it remains as a
rule), FAILED or FINISHED; a run is pending, running, finished, failed, crashed, killed, preempting
or preempted. Source: W&B SDK 0.31, `apis/public/jobs.py` and `apis/public/runs.py` (`Run.state`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from launch_action.core.dataclass import dataclass, field
from launch_action.core.queue_plan import Queue, QueueItem

Stage = Literal["pending", "claimed", "running", "succeeded", "failed", "cancelled", "preempted"]
Ended = Literal["succeeded", "failed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item of a queue.

    `run_id` is the id of its run: the one that the agent gave it, else that of its run spec; empty
    where neither is told. `error` is what the agent says of a failure, with the `stage` it failed
    in, and `files` its evidence in the agent's own run.
    """

    identifier: str
    state: str
    run_id: str = ""
    created: str = ""
    error: str = ""
    stage: str = ""
    files: tuple[str, ...] = ()
    agent: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run at W&B; `summary` are its metrics."""

    state: str
    url: str
    name: str = ""
    summary: Mapping[str, Any] = field(default_factory=dict)


class LaunchQueues(Protocol):
    """An entity's queues at W&B, and the runs that come of their items.

    Every method asks W&B once, `items` once a page, and raises ServiceError where it does not
    answer, or refuses.
    """

    def open(self, name: str) -> Queue:
        """The queue. Raises InputError, with the nearest names, where there is none."""
        ...

    def items(self, queue: Queue) -> tuple[Item, ...]:
        """The items of a queue, as many as W&B tells, in its order."""
        ...

    def item(self, queue: Queue, identifier: str) -> Item | None: ...

    def push(self, item: QueueItem) -> str:
        """Put it into the queue, once or, where an answer is lost, more often; the item's id."""
        ...

    def remove(self, queue: Queue, identifier: str) -> None:
        """Take an item off the queue; nothing happens where it is gone."""
        ...

    def run(self, project: str, run_id: str) -> RunFacts | None: ...

    def stop(self, project: str, run_id: str) -> None:
        """Ask a run to end, as the button in W&B's app does."""
        ...

    def run_url(self, project: str, run_id: str) -> str:
        """The page that the run has, or will have."""
        ...

    def last_lines(self, project: str, run_id: str, count: int) -> tuple[str, ...]:
        """The end of a run's log."""
        ...

    def evidence(self, item: Item, count: int) -> tuple[str, ...]:
        """The end of what an agent kept of an item that it failed."""
        ...


def stage_of(item: Item | None, run: RunFacts | None) -> Stage | None:
    """How far it is; None when there is neither an item nor a run.

    >>> stage_of(Item(identifier="1", state="CLAIMED"), RunFacts(state="finished", url=""))
    'succeeded'
    """
    state = run.state.lower() if run else ""
    match state:
        case "finished":
            return "succeeded"
        case "failed" | "crashed":
            return "failed"
        case "killed":
            return "cancelled"
        case "preempted":
            return "preempted"
        case "" | "pending":
            return _stage_of_item(item, pending=bool(state))
        case _:
            return "running"


def _stage_of_item(item: Item | None, *, pending: bool) -> Stage | None:
    if item is None:
        # A run that was only announced, and whose item somebody has taken off the queue.
        return "cancelled" if pending else None
    match item.state.upper():
        case "PENDING":
            return "pending"
        case "FAILED":
            return "failed"
        case "FINISHED":
            return "succeeded"
        case _:
            return "claimed"


def ended(stage: Stage) -> Ended | None:
    """How it ended, or None while it goes on."""
    match stage:
        case "succeeded" | "failed" | "cancelled":
            return stage
        case _:
            return None


def sent_before(stage: Stage | None) -> bool:
    """Whether this is followed instead of being sent again.

    What failed, and what somebody stopped, is sent again: there is no result to follow, and who
    runs a workflow again wants one.
    """
    return stage not in (None, "failed", "cancelled")


def item_of(items: tuple[Item, ...], run_id: str) -> Item | None:
    """The item of a run: of several, as after a preemption, one that goes on."""
    found = [item for item in items if item.run_id == run_id]
    live = [item for item in found if item.state.upper() not in ("FAILED", "FINISHED")]
    return next(iter(live or found), None)


def surplus(items: tuple[Item, ...], run_id: str) -> tuple[Item, ...]:
    """What of several items of one run is too many: all that wait but the first that was sent.

    Whoever sent one of them comes to the same answer.
    """
    same = [item for item in items if item.run_id == run_id]
    same = [item for item in same if item.state.upper() not in ("FAILED", "FINISHED")]
    order = sorted(same, key=lambda item: (item.state.upper() == "PENDING", _age(item)))
    return tuple(item for item in order[1:] if item.state.upper() == "PENDING")


def _age(item: Item) -> tuple[str, int, str]:
    return item.created, len(item.identifier), item.identifier
