"""What is wrong with what comes after a build, told before anything is built."""

from __future__ import annotations

from launch_action.planning.workplace import Workplace


def check_before(place: Workplace, *, run: bool) -> str:
    """Raise what is wrong with what comes after a build; the queue that it goes to, or empty."""
    check_gate(place, run=run)
    if not (run and place.inputs.queue):
        return ""
    from launch_action.core.queue_plan import check_pushed
    from launch_action.launches.queueing import check_registered

    check_pushed(place.inputs)
    check_registered(place)
    return check_queue(place)


def check_gate(place: Workplace, *, run: bool) -> None:
    """Raise InputError for a `--fail-if` that cannot be read, or that nobody could hold."""
    if not place.inputs.fail_if:
        return
    from launch_action.core.gate import check_conditions

    check_conditions(place.inputs, run=run)
    if not run:
        # No warning: one workflow is for events that run the job and for others.
        place.reporter.info("fail-if does nothing where the job is not run")


def check_queue(place: Workplace) -> str:
    """What the queue of the inputs is. Raises InputError for what it does not take."""
    # Imported where it is used: few launches have a queue.
    from launch_action.launches.queueing import check_launch

    return str(check_launch(place))
