"""Follows a queued run to its end: tells how far it is, outlasts faults, and takes it back."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import LaunchError, ServiceError, UnansweredError
from launch_action.core.launch import Announce
from launch_action.core.metrics import scalars
from launch_action.core.ports import Reporter
from launch_action.core.queue_plan import QueueItem
from launch_action.core.queued_run import (
    Ended,
    Item,
    LaunchQueues,
    RunFacts,
    Stage,
    ended,
    item_of,
    stage_of,
)
from launch_action.core.run import RunResult, RunStatus

# Lines of the log of a run that failed.
_LINES = 40
# The most signals that come while we are about to end.
_SIGNALS = 3


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

    def look(self) -> Seen:
        """Ask W&B: for the run, and while there is none that began for its item."""
        run = self.queues.run(self.project, self.run_id)
        if run and run.state.lower() not in ("pending", "preempted"):
            return Seen(None, run)
        if self.identifier and not run:
            found = self.queues.item(self.item.queue, self.identifier)
        else:
            found = item_of(self.queues.items(self.item.queue), self.run_id)
        return Seen(found, run)


def follow(
    followed: Followed,
    timeout: float | None,
    announce: Announce,
    log: Callable[[bytes], None],
) -> RunResult:
    """Wait for the run's end, or take it back after `timeout` seconds.

    Raises ServiceError when W&B does not answer for longer than patience allows: the run goes on.
    """
    began = time.monotonic()
    seen = _until_ended(followed, None if timeout is None else began + timeout)
    status: RunStatus
    if seen is None:
        followed.reporter.warning(f"run {followed.run_id} has not ended in {timeout:g} s")
        take_back(followed, followed.patience.release)
        status, metrics = "timeout", {}
    else:
        status, metrics = _end_of(seen), _metrics(seen.run)
        if status != "succeeded":
            _tell_failure(followed, seen, log)
    announce({"run_status": status, "metrics": metrics})
    return RunResult(
        run_id=followed.run_id,
        status=status,
        exit_code=0 if status == "succeeded" else 1,  # W&B does not tell it
        seconds=time.monotonic() - began,
        metrics=metrics,
        output_directory="",
    )


def take_back(followed: Followed, seconds: float) -> None:
    """Take the item off its queue, or stop its run; a run that begins meanwhile is stopped too.

    What W&B refuses is a warning: this is the end of a run that is given up.
    """
    try:
        _take_back(followed, time.monotonic() + seconds)
    except LaunchError as error:
        url = followed.queues.run_url(followed.project, followed.run_id)
        followed.reporter.warning(f"the queued run could not be stopped: {error.message}: {url}")


def _take_back(followed: Followed, until: float) -> None:
    reporter, queue = followed.reporter, followed.item.queue
    seen = followed.look()
    while not (followed.identifier or seen.item or seen.run) and time.monotonic() < until:
        # Interrupted while it was sent: W&B may still be taking it.
        time.sleep(min(1.0, followed.patience.first))
        seen = followed.look()
    if _stopped(followed, seen.run):
        return
    if seen.item is None:
        return
    followed.queues.remove(queue, seen.item.identifier)
    reporter.info(f"item {seen.item.identifier} was taken off queue {queue.name!r}")
    if seen.stage == "pending" and followed.queues.item(queue, seen.item.identifier) is None:
        return
    # An agent has it already, and starts what nobody can call back but its run.
    while time.monotonic() < until:
        if _stopped(followed, followed.queues.run(followed.project, followed.run_id)):
            return
        time.sleep(min(1.0, followed.patience.first))
    url = followed.queues.run_url(followed.project, followed.run_id)
    reporter.warning(f"an agent had taken the item: its run may begin, stop it there: {url}")


def _stopped(followed: Followed, run: RunFacts | None) -> bool:
    """Whether there is a run, which is asked to stop unless it has ended."""
    if run is None:
        return False
    stage = stage_of(None, run)
    if stage is not None and ended(stage) and run.state.lower() != "pending":
        return True
    followed.queues.stop(followed.project, followed.run_id)
    if run.state.lower() == "pending":
        return False
    followed.reporter.info(f"run {followed.run_id} was asked to stop")
    return True


def _until_ended(followed: Followed, deadline: float | None) -> Seen | None:
    """What was seen last of a run that has ended; None when the time is over."""
    told: Stage | None = None
    since = time.monotonic()
    lost = None
    for _ in _ticks(followed.patience, deadline):
        seen = _patiently(followed, deadline)
        if seen is None:
            return None
        stage = seen.stage
        if stage is None or stage == "preempted":
            lost = lost or time.monotonic()
            if time.monotonic() - lost > followed.patience.gone:
                return seen
            continue
        lost = None
        if stage != told:
            _tell(followed, stage, seen)
            told, since = stage, time.monotonic()
        if ended(stage):
            return seen
        if _wonder(followed, stage, time.monotonic() - since):
            since = math.inf
    return None


def _wonder(followed: Followed, stage: Stage, seconds: float) -> bool:
    """Whether it has stayed where it is for so long that this was told."""
    patience, queue = followed.patience, followed.item.queue.name
    match stage:
        case "pending" if seconds > patience.waits:
            text = f"no agent has taken it yet: is one at work for queue {queue!r}?"
        case "claimed" if seconds > patience.begins:
            text = "no run has begun since an agent took it: is that agent still there?"
        case _:
            return False
    followed.reporter.warning(f"run {followed.run_id}: {text}")
    return True


def _ticks(patience: Patience, deadline: float | None) -> Iterator[None]:
    """Once now, then ever more seldom, until the deadline."""
    pause = patience.first
    while deadline is None or time.monotonic() < deadline:
        yield
        left = pause if deadline is None else min(pause, deadline - time.monotonic())
        time.sleep(max(left, 0.0))
        pause = min(pause * 1.3, patience.most)


def _patiently(followed: Followed, deadline: float | None) -> Seen | None:
    """What W&B tells, asked again where it does not answer; None when the time is over."""
    began, said = time.monotonic(), False
    while True:
        try:
            seen = followed.look()
        except ServiceError as error:
            silent = isinstance(error, UnansweredError)
            bound = followed.patience.fault if silent else followed.patience.refusal
            if time.monotonic() - began >= bound:
                raise ServiceError(
                    f"W&B was asked for run {followed.run_id} in vain for {bound:g} s: "
                    f"{error.message}",
                    hint="the run goes on; the same command follows it again",
                ) from error
            if not said:
                followed.reporter.warning(f"W&B does not tell how far the run is: {error.message}")
            said = True
        else:
            if said:
                followed.reporter.info("W&B answers again")
            return seen
        if deadline is not None and time.monotonic() >= deadline:
            return None
        time.sleep(min(followed.patience.most, max(followed.patience.first, 0.05)))


def _tell(followed: Followed, stage: Stage, seen: Seen) -> None:
    name = seen.run.name if seen.run and seen.run.name else followed.run_id
    match stage:
        case "pending":
            text = f"waits in queue {followed.item.queue.name!r}"
        case "claimed":
            text = "was taken by an agent"
        case "running":
            text = f"is running as {name!r}"
        case _:
            text = stage
    followed.reporter.info(f"run {followed.run_id} {text}")
    for warning in seen.item.warnings if seen.item else ():
        followed.reporter.warning(f"the agent says: {warning}")


def _end_of(seen: Seen) -> Ended:
    """How it ended; what is gone from the queue without a run was taken off it."""
    stage = seen.stage
    if stage == "preempted":
        return "failed"
    return (ended(stage) if stage else None) or "cancelled"


def _metrics(run: RunFacts | None) -> dict[str, object]:
    found = run.summary if run else {}
    return scalars({k: v for k, v in found.items() if not k.startswith("_")}, [])


def _tell_failure(followed: Followed, seen: Seen, log: Callable[[bytes], None]) -> None:
    """Why it failed, as far as W&B knows: what the agent says, and the last lines of the log."""
    reporter = followed.reporter
    if seen.run is None and seen.item is None:
        reporter.warning(f"the item of run {followed.run_id} was taken off the queue by somebody")
        return
    if seen.item and seen.item.error:
        reporter.warning(f"the agent says ({seen.item.stage or 'agent'}): {seen.item.error}")
    with suppress(ServiceError):  # evidence, for a failure that is known
        for line in _last_lines(followed, seen):
            log(f"{line}\n".encode("utf-8", "replace"))


def _last_lines(followed: Followed, seen: Seen) -> tuple[str, ...]:
    if seen.run:
        return followed.queues.last_lines(followed.project, followed.run_id, _LINES)
    if seen.item is None or not seen.item.files:
        return ()
    until = time.monotonic() + followed.patience.evidence
    while not (found := followed.queues.evidence(seen.item, _LINES)):
        if time.monotonic() >= until:
            break
        time.sleep(followed.patience.first)
    return found


@contextmanager
def given_up(followed: Followed, announce: Announce, *, stop: bool) -> Iterator[None]:
    """Where the block is left by an interruption: stop the run, or say where it goes on.

    A further signal ends neither: the runner of a workflow kills us after 10 seconds anyway.
    """
    # Not imported when it is needed: a second signal would come meanwhile.
    from launch_action.runners.supervise import interruption

    try:
        yield
    except Exception:
        raise
    except BaseException:
        _shielded(lambda: _give_up(followed, announce, stop=stop), interruption)
        raise


def _shielded(work: Callable[[], None], interruption: Callable[[], Any]) -> None:
    """Do it although further signals come: also where one comes before they are kept back."""
    for _ in range(_SIGNALS):
        try:
            with interruption():
                work()
                return
        except Exception:
            raise
        except BaseException:  # noqa: S112  # a signal, which is what is kept back
            continue


def _give_up(followed: Followed, announce: Announce, *, stop: bool) -> None:
    url = followed.queues.run_url(followed.project, followed.run_id)
    if stop:
        announce({"run_status": "cancelled"})
        take_back(followed, followed.patience.hurry)
    else:
        followed.reporter.info(f"run {followed.run_id} goes on: {url}")
