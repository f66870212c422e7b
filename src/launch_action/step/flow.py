"""The legs of a step from begin to end: each is recorded and perhaps run, and told of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import Interrupted, LaunchError
from launch_action.core.launch import Announce
from launch_action.core.legs import Leg, Listeners
from launch_action.core.mode import Decision
from launch_action.core.outputs import Outcome, output_text
from launch_action.github.commands import WorkflowCommands
from launch_action.github.environment import GitHubContext
from launch_action.launches.launching import build
from launch_action.launches.stored_runs import run_stored
from launch_action.planning.workplace import Running, StoredJob, Workplace
from launch_action.report import result_lines


@dataclass(frozen=True, slots=True)
class Flow:
    """What the legs of a step have in common.

    `place` has the step's inputs as far as the event allows them, those of a leg take their place.
    """

    place: Workplace
    event: GitHubContext
    decision: Decision
    commands: WorkflowCommands
    listeners: Listeners


@dataclass(frozen=True, slots=True)
class Ended:
    """How a leg ended: the step's exit code for it, or the error that it ended by."""

    code: int
    error: LaunchError | None = None


def run_legs(flow: Flow, legs: Sequence[Leg]) -> int:
    """Work on every leg; the exit code is that of the first that did not go well, in their order.

    Raises the LaunchError of that leg where it has one, after all listeners were told of all.
    """
    flow.listeners.begin(legs)
    try:
        ended = [run_leg(flow, leg) for leg in legs]
    finally:
        flow.listeners.close()
    for one in ended:
        if one.error:
            raise one.error
        if one.code:
            return one.code
    return 0


def run_leg(flow: Flow, leg: Leg) -> Ended:
    """Work on one leg. What is not expected goes on upwards, after the listeners were told."""
    progress = _Progress(flow, leg, Outcome())
    flow.listeners.start(leg)
    # What the listeners are told where the end is neither a result nor an expected failure.
    ended = Ended(Interrupted.exit_code, Interrupted())
    try:
        ended = Ended(_work(flow, leg, progress))
    except LaunchError as error:
        ended = Ended(error.exit_code, error)
    except Exception as error:
        # Imported where it is used: nothing of the kind is expected.
        from launch_action.core.unexpected import unexpected

        fault = unexpected(error)
        fault.context = ""  # the traceback, which is printed at the end
        ended = Ended(fault.exit_code, fault)
        raise
    finally:
        say_result(flow, progress.outcome.values)
        flow.listeners.end(leg, progress.outcome.values, ended.error)
    return ended


def say_result(flow: Flow, values: Mapping[str, Any]) -> None:
    """Have the log end with what came of a leg: what there is, by its names."""
    if not values["job"]:
        return
    for line in result_lines(values, timings=False):
        flow.place.reporter.info(line)
    if values["pushed"] is False:
        flow.place.reporter.info("pushed   no: it is in the store of this machine alone")


@dataclass(frozen=True, slots=True)
class _Progress:
    """What becomes known of a leg: set as outputs at once, so that a later failure keeps them."""

    flow: Flow
    leg: Leg
    outcome: Outcome

    def announce(self, found: Mapping[str, Any]) -> None:
        self.outcome.announce(found)
        values, commands = self.outcome.values, self.flow.commands
        for name in found:
            commands.set_output(name.replace("_", "-"), output_text(values[name]))
        if found.get("pushed") and values["image"]:
            commands.add_artifact(values["image"])
        self.flow.listeners.known(self.leg, values)


def _work(flow: Flow, leg: Leg, progress: _Progress) -> int:
    place = replace(flow.place, inputs=leg.inputs)
    run = flow.decision.run
    job = recorded(flow, leg, place, progress.announce, run=run)
    if not run:
        progress.announce({"run_status": "skipped"})
        return 0
    from launch_action.step.job_log import job_log, write

    with job_log(flow.commands, place) as silent:
        return run_stored(job, silent, Running(progress.announce, write))


def recorded(flow: Flow, leg: Leg, place: Workplace, announce: Announce, *, run: bool) -> StoredJob:
    """The leg's job version, built, or of a release found and promoted.

    Of several jobs each is recorded in a process of its own: what it has to tell goes through the
    reporter of `place` and through `announce` alone.
    """
    if flow.decision.mode == "release":
        from launch_action.launches.releasing import release

        return release(place, announce, flow.event.tag, key=leg.key, run=run)
    return build(place, announce, run=run)
