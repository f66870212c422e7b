"""Follows a queued run to its end: tells how far it is, and outlasts faults."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from launch_action.core.errors import ServiceError, UnansweredError
from launch_action.core.launch import Announce
from launch_action.core.metrics import scalars
from launch_action.core.queued_run import Ended, RunFacts, Stage, ended
from launch_action.core.run import RunResult, RunStatus
from launch_action.launches.followed_run import Followed, Patience, Seen
from launch_action.launches.queue_recall import take_back

# Lines of the log of a run that failed.
_LINES = 40


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
            seen = followed.poll()
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
