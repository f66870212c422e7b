"""The jobs of one step as they go on: its legs, and who is told of them.

A step has one leg per job. What reports on them (the step's summary, a pull request's comment, a
deployment, a release's page) is a listener: it is told of every leg from its beginning to its end,
and decides nothing of what the legs do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import LaunchError
from launch_action.core.inputs import Inputs
from launch_action.core.ports import Reporter

# What is known of a job, by the names of core.outputs; None for what is not known yet.
Values = Mapping[str, Any]
_FAILED = ("failed", "timeout", "cancelled")


@dataclass(frozen=True, slots=True)
class Leg:
    """One job of the step.

    `key` is its name in launch.yaml, empty for the only job of a step without one; `inputs` are
    those that it is built and run with. `job_name` is the job's name where the inputs give one:
    otherwise it is in the values, once it is planned.
    """

    key: str
    inputs: Inputs = field(repr=False)
    job_name: str = ""


class Listener(Protocol):
    """Who is told of the legs.

    The order: `begin` once, before any leg; for each leg `start`, `known` any number of times, and
    `end` exactly once, also when it failed or was interrupted, and also without `start` when it was
    never begun; `close` once, when all have ended. Calls about one leg come one after another.
    Calls about several legs overlap, from several threads: a listener guards what it shares.

    `values` are all outputs of the leg that are known at that time, not only the new ones; they
    belong to the step and are not to be kept unread: copy what is needed later.

    A LaunchError that a listener raises becomes one warning, and it is not called again: no report
    that cannot be made ends a step (ServiceError with the `permissions:` line as its hint, where
    that is what is missing). Anything else that it raises is a defect.

    After an interruption, ten seconds are left for all listeners together, in the order in which
    they stand; what is quick and near stands first.
    """

    def begin(self, legs: Sequence[Leg]) -> None:
        """These legs will be worked on; all of them are waiting."""
        ...

    def start(self, leg: Leg) -> None:
        """Work on the leg begins."""
        ...

    def known(self, leg: Leg, values: Values) -> None:
        """More of the leg's outputs are known."""
        ...

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        """The leg has ended: well, by a failed run (see `values`), or by an error."""
        ...

    def close(self) -> None:
        """All legs have ended."""
        ...


def succeeded(values: Values, error: LaunchError | None) -> bool:
    """Whether a leg that has ended did all that was asked of it."""
    return error is None and values["run_status"] not in _FAILED


@dataclass(slots=True)
class Listeners:
    """Several listeners as one, in their order; one that fails is left out from then on."""

    members: list[Listener]
    reporter: Reporter

    def begin(self, legs: Sequence[Leg]) -> None:
        self._tell(lambda one: one.begin(legs))

    def start(self, leg: Leg) -> None:
        self._tell(lambda one: one.start(leg))

    def known(self, leg: Leg, values: Values) -> None:
        self._tell(lambda one: one.known(leg, values))

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        self._tell(lambda one: one.end(leg, values, error))

    def close(self) -> None:
        self._tell(lambda one: one.close())

    def _tell(self, call: Callable[[Listener], None]) -> None:
        for one in tuple(self.members):
            try:
                call(one)
            except LaunchError as error:
                if one in self.members:  # two legs may fail at it at the same time
                    self.members.remove(one)
                    self.reporter.warning(f"{error.message}; {error.hint}")
