"""A queued run as it is followed: what W&B tells of it at one moment, and how long is waited."""

from __future__ import annotations

from launch_action.core.dataclass import dataclass
from launch_action.core.ports import Reporter
from launch_action.core.queue_plan import QueueItem
from launch_action.core.queued_run import Item, LaunchQueues, RunFacts, Stage, item_of, stage_of


@dataclass(frozen=True, slots=True)
class Patience:
    """How often W&B is asked, and how long it may not answer, in seconds.

    `first` grows to `most` between two questions while nothing changes. `fault` is for a server
    that is down or busy, `refusal` for one that answers with an error, such as for the key; `gone`
    for an item, or a run that was preempted, that nobody has put back. `release` is for a run that
    begins while its item is taken off the queue, `hurry` the same when we are told to end. After
    `waits` without an agent, and `begins` without a run, somebody should have a look. What an agent
    keeps of an item that it failed comes after that is known, within `evidence`.
    """

    first: float = 1.0
    most: float = 10.0
    fault: float = 600.0
    refusal: float = 120.0
    gone: float = 90.0
    release: float = 30.0
    hurry: float = 5.0
    waits: float = 600.0
    begins: float = 1800.0
    evidence: float = 15.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What W&B tells of a queued run at one moment."""

    item: Item | None
    run: RunFacts | None

    @property
    def stage(self) -> Stage | None:
        return stage_of(self.item, self.run)


@dataclass(frozen=True, slots=True)
class Followed:
    """A queued run, and what is needed to follow it. `identifier` is its item's, if it is known."""

    queues: LaunchQueues
    item: QueueItem
    identifier: str
    reporter: Reporter
    patience: Patience = Patience()

    @property
    def project(self) -> str:
        return str(self.item.spec["project"])

    @property
    def run_id(self) -> str:
        return self.item.run_id

    def poll(self) -> Seen:
        """Ask W&B: for the run, and while there is none that began for its item."""
        run = self.queues.run(self.project, self.run_id)
        if run and run.state.lower() not in ("pending", "preempted"):
            return Seen(None, run)
        if self.identifier and not run:
            found = self.queues.item(self.item.queue, self.identifier)
        else:
            found = item_of(self.queues.items(self.item.queue), self.run_id)
        return Seen(found, run)
