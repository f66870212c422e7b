"""The rows of a step's legs as a listener: what the summary, the comment and others show."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from launch_action.core.dataclass import replace
from launch_action.core.errors import LaunchError
from launch_action.core.leg_row import Moment, first_row, last_row, next_row
from launch_action.core.legs import Leg, Values
from launch_action.core.ports import Reporter
from launch_action.core.preview_row import Row, read_row

if TYPE_CHECKING:
    from launch_action.step.base_comparison import Comparisons


class LegRows:
    """A Listener (core.legs) that stands before all that show rows, and keeps them.

    `hide` takes what is secret out of a text. Without `comparisons` a row says nothing of a base;
    with `stores` a row says in which registry it is kept as well.
    """

    def __init__(
        self,
        moment: Moment,
        reporter: Reporter,
        hide: Callable[[str], str],
        comparisons: Comparisons | None = None,
        *,
        stores: bool = False,
    ) -> None:
        self._moment = moment
        self._reporter = reporter
        self._hide = hide
        self._comparisons = comparisons
        self._stores = stores
        self._lock = threading.Lock()
        self._rows: dict[str, Row] = {}
        self._started: dict[str, float] = {}

    def rows(self) -> tuple[Row, ...]:
        """The rows as they are now, in the order of the legs."""
        with self._lock:
            return tuple(self._rows.values())

    def row(self, leg: Leg) -> Row:
        """The row of a leg as it is now."""
        with self._lock:
            return self._rows[leg.key]

    def begin(self, legs: Sequence[Leg]) -> None:
        moment = replace(self._moment, at=_now())
        for leg in legs:
            row = first_row(leg, moment)
            self._keep(leg, replace(row, store=leg.inputs.image.lower() if self._stores else ""))

    def start(self, leg: Leg) -> None:
        self._started[leg.key] = time.monotonic()
        row = self.row(leg)
        self._keep(leg, replace(row, state="building", at=max(_now(), row.at + 1)))
        if self._comparisons:
            self._comparisons.begin(leg)

    def known(self, leg: Leg, values: Values) -> None:
        self._keep(leg, next_row(self._timed(leg, values), leg, values, _now()))

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        row = last_row(self._timed(leg, values), leg, values, error, _now())
        if self._comparisons:
            try:
                row = self._comparisons.apply(leg, row, values)
            except LaunchError as failed:
                self._reporter.warning(f"nothing is compared: {failed.message}; {failed.hint}")
        self._keep(leg, row)

    def close(self) -> None:
        """The rows stay for those who show them."""

    def _keep(self, leg: Leg, row: Row) -> None:
        shown = replace(
            row,
            variant=self._hide(row.variant),
            error=self._hide(row.error),
            hint=self._hide(row.hint),
            reproduce=self._hide(row.reproduce),
        )
        with self._lock:
            self._rows[leg.key] = read_row(shown.document()) or shown  # of bounded length

    def _timed(self, leg: Leg, values: Values) -> Row:
        """The row with how long it took until its version was recorded."""
        row = self.row(leg)
        started = self._started.get(leg.key)
        if row.build_seconds is not None or started is None or values["pushed"] is None:
            return row
        return replace(row, build_seconds=round(time.monotonic() - started, 3))


def _now() -> int:
    return time.time_ns() // 1_000_000
