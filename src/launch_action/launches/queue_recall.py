"""Gives a queued run up: its item is taken off the queue, or its run asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from launch_action.core.errors import LaunchError
from launch_action.core.launch import Announce
from launch_action.core.queued_run import RunFacts, ended, stage_of
from launch_action.launches.followed_run import Followed

# The most signals that come while we are about to end.
_SIGNALS = 3


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
    seen = followed.poll()
    while not (followed.identifier or seen.item or seen.run) and time.monotonic() < until:
        # Interrupted while it was sent: W&B may still be taking it.
        time.sleep(min(1.0, followed.patience.first))
        seen = followed.poll()
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
