"""A step with one job, from begin to end: it is built and perhaps run, and told of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import Interrupted, LaunchError
from launch_action.core.legs import Leg
from launch_action.core.outputs import Outcome, output_text
from launch_action.launches.stored_runs import run_stored
from launch_action.planning.workplace import Running
from launch_action.step.step_context import StepContext, build_leg, say_result


def run_job(step: StepContext, leg: Leg) -> int:
    """Build the leg's job, run it where that is asked for, and tell the listeners; the exit code.

    Raises the LaunchError that it ends by, and what is not expected, after they were told.
    """
    step.listeners.begin((leg,))
    try:
        return _run(step, leg)
    finally:
        step.listeners.close()


def _run(step: StepContext, leg: Leg) -> int:
    progress = _Progress(step, leg, Outcome())
    step.listeners.start(leg)
    # What the listeners are told where the end is neither a result nor an expected failure.
    error: LaunchError | None = Interrupted()
    try:
        code = _work(step, leg, progress)
        error = None
    except LaunchError as expected:
        error = expected
        raise
    except Exception as fault:
        # Imported where it is used: nothing of the kind is expected.
        from launch_action.core.unexpected import unexpected

        error = unexpected(fault)
        error.context = ""  # the traceback, which is printed at the end
        raise
    finally:
        say_result(step, progress.outcome.values)
        step.listeners.end(leg, progress.outcome.values, error)
    return code


@dataclass(frozen=True, slots=True)
class _Progress:
    """What becomes known of a leg: set as outputs at once, so that a later failure keeps them."""

    step: StepContext
    leg: Leg
    outcome: Outcome

    def announce(self, found: Mapping[str, Any]) -> None:
        self.outcome.announce(found)
        values, commands = self.outcome.values, self.step.commands
        for name in found:
            commands.set_output(name.replace("_", "-"), output_text(values[name]))
        if found.get("pushed") and values["image"]:
            commands.add_artifact(values["image"])
        self.step.listeners.known(self.leg, values)


def _work(step: StepContext, leg: Leg, progress: _Progress) -> int:
    place = replace(step.place, inputs=leg.inputs)
    run = step.decision.run
    job = build_leg(step, leg, place, progress.announce, run=run)
    if not run:
        progress.announce({"run_status": "skipped"})
        return 0
    from launch_action.step.job_log import job_log, write

    with job_log(step.commands, place) as silent:
        return run_stored(job, silent, Running(progress.announce, write))
