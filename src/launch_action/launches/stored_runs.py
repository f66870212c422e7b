"""What is stored, run to its end here or through a queue; a launch is a build and such a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from launch_action.core.dataclass import replace
from launch_action.core.outputs import Outcome
from launch_action.launches.launching import build, tell
from launch_action.planning.workplace import Running, StoredJob, Workplace

if TYPE_CHECKING:
    from launch_action.core.run import RunResult

Log = Callable[[bytes], None]


def launch(place: Workplace, outcome: Outcome, log: Log, *, run: bool) -> int:
    """Build and record the checkout's job, and run it where asked; the exit code."""
    job = build(place, outcome.announce, run=run)
    if not run:
        outcome.announce({"run_status": "skipped"})
        return 0
    return run_stored(job, place, Running(outcome.announce, log))


def run_stored(job: StoredJob, place: Workplace, running: Running) -> int:
    """Run a job version to its end, here or through a queue; the exit code.

    0 where it is started, or sent, and not waited for.

    Raises GateError when the run succeeded and `--fail-if` says that its metrics are not good.
    """
    if job.held is None:
        return _run(job, place, running)
    from launch_action.launches.holding import run_held

    there = replace(job, held=None)
    return run_held(there, job.held, place, running.announce, lambda: _run(there, place, running))


def _run(job: StoredJob, place: Workplace, running: Running) -> int:
    if place.inputs.queue:
        from launch_action.launches.queueing import queue_stored as start
    else:
        from launch_action.launches.running import run_job as start

    result = start(job, place, running)
    tell(place, running.announce, job.content.traffic)
    return judged(result, place, running)


def judged(result: RunResult | None, place: Workplace, running: Running) -> int:
    """The exit code of a run, whose metrics are held against `--fail-if`."""
    if result and result.status == "succeeded" and place.inputs.fail_if:
        from launch_action.core.gate import hold

        hold(place.inputs.fail_if, result.metrics, running.announce)
    return exit_code(result) if result else 0


def exit_code(result: RunResult) -> int:
    """1 for a job that ran and failed or timed out; 128 + the signal that interrupted us."""
    if result.cancelled_by:
        return 128 + result.cancelled_by
    return 0 if result.status == "succeeded" else 1
