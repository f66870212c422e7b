"""The comment of a preview as a listener: it shows the step's rows as they go on."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from launch_action.core.concurrency import BackgroundCall
from launch_action.core.errors import LaunchError, ServiceError
from launch_action.core.legs import Leg, Values
from launch_action.step.comment_rendering import Keeping, Rendering
from launch_action.step.leg_rows import LegRows

# Seconds: what a comment may take at the end of a step, and where the step was interrupted.
_PATIENCE = 90.0
_HURRY = 5.0
_PAUSE = 3.0  # between two renderings of what goes on


class PreviewComment:
    """A Listener (core.legs) that keeps the comment up to date, from a thread of its own.

    `rows` is told before it.
    """

    def __init__(self, rows: LegRows, rendering: Rendering, keeping: Keeping) -> None:
        self._rows = rows
        self._rendering = rendering
        self._keeping = keeping
        self._changed = threading.Event()
        self._closing = threading.Event()
        self._interrupted = self._settled = False
        self._shown: tuple[object, ...] = ()
        self._working: BackgroundCall[None] | None = None

    def begin(self, legs: Sequence[Leg]) -> None:  # noqa: ARG002  # a listener's
        self._changed.set()
        self._working = BackgroundCall(self._work, abandoned=True, name="comment")

    def start(self, leg: Leg) -> None:  # noqa: ARG002  # a listener's
        self._changed.set()

    def known(self, leg: Leg, values: Values) -> None:  # noqa: ARG002  # a listener's
        self._changed.set()

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:  # noqa: ARG002  # a listener's
        self._interrupted = self._interrupted or self._rows.row(leg).state == "cancelled"
        self._changed.set()

    def close(self) -> None:
        """Wait until the comment has the rows. Raises ServiceError where it cannot get them."""
        self._closing.set()
        self._changed.set()
        if self._interrupted:
            self._rendering.hurry()
        if self._working:
            self._working.ended(self._patience + 1)
        if not self._settled:
            raise ServiceError(
                f"the comment did not take this job's row within {self._patience:.0f} seconds",
                hint="the step's summary has it",
            )

    @property
    def _patience(self) -> float:
        return _HURRY if self._interrupted else _PATIENCE

    def _work(self) -> None:
        while not self._closing.is_set():
            self._changed.wait()
            self._changed.clear()
            self._show()
            self._closing.wait(_PAUSE)
        self._keep()
        self._settled = self._rendering.settle(self._rows.rows(), self._patience)

    def _show(self) -> None:
        rows = self._rows.rows()
        told = tuple((row.state, row.title, row.commit, row.image) for row in rows)
        if told != self._shown and not self._closing.is_set():
            self._keep()
            self._rendering.try_to_show(rows)
            self._shown = told

    def _keep(self) -> None:
        for row in self._rows.rows():
            self._keeping.keep(row)
