"""The step's summary as a listener: what became of every leg, in the runner's summary file."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.errors import LaunchError
from launch_action.core.legs import Leg, Values
from launch_action.core.outputs import Outcome
from launch_action.core.preview_table import Page
from launch_action.github.commands import WorkflowCommands
from launch_action.github.summary import Entry, Subject, render
from launch_action.step.leg_rows import LegRows


class StepSummary:
    """A Listener (core.legs) that writes the summary anew whenever a leg has ended.

    So that an interruption leaves what is known of the legs by then. `rows` is told before it.
    """

    def __init__(
        self, commands: WorkflowCommands, rows: LegRows, page: Page, subject: Subject
    ) -> None:
        self._commands = commands
        self._rows = rows
        self._page = page
        self._subject = subject
        self._lock = threading.Lock()
        self._before = 0
        self._values: dict[str, Mapping[str, Any]] = {}
        self._legs: tuple[Leg, ...] = ()

    def begin(self, legs: Sequence[Leg]) -> None:
        self._legs = tuple(legs)
        self._before = self._commands.summary_size()

    def start(self, leg: Leg) -> None:
        """A summary is read when the step has ended."""

    def known(self, leg: Leg, values: Values) -> None:
        """A summary is read when the step has ended."""

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:  # noqa: ARG002  # a listener's
        with self._lock:
            self._values[leg.key] = dict(values)
            nothing = Outcome().values
            entries = [
                Entry(self._rows.row(one), self._values.get(one.key, nothing)) for one in self._legs
            ]
            self._commands.add_summary(render(entries, self._page, self._subject), self._before)

    def close(self) -> None:
        """Every leg is in it already."""
