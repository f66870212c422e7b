from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from launch_action.core.errors import LaunchError, ServiceError
from launch_action.core.inputs import Inputs
from launch_action.core.legs import Leg, Listener, Listeners, Values, succeeded
from launch_action.core.outputs import Outcome

LEG = Leg("train", Inputs())


@dataclass
class Told:
    """A listener that keeps what it was told, and fails at one of the calls."""

    fails_at: str = ""
    error: Exception = field(default_factory=lambda: ServiceError("403", hint="permissions: x"))
    calls: list[str] = field(default_factory=list)

    def begin(self, legs: Sequence[Leg]) -> None:
        self._called(f"begin {len(legs)}")

    def start(self, leg: Leg) -> None:
        self._called(f"start {leg.key}")

    def known(self, leg: Leg, values: Values) -> None:
        self._called(f"known {leg.key} {values['job_name']}")

    def end(self, leg: Leg, values: Values, error: LaunchError | None) -> None:
        self._called(f"end {leg.key} {error or ''}".strip())

    def close(self) -> None:
        self._called("close")

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if call.split()[0] == self.fails_at:
            raise self.error


@dataclass
class Warnings:
    said: list[str] = field(default_factory=list)

    def info(self, text: str) -> None: ...

    def warning(self, text: str, *, file: str = "", line: int = 0) -> None:
        self.said.append(text)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        yield

    @contextmanager
    def transfer(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        yield lambda _: None

    @property
    def timings(self) -> dict[str, float]:
        return {}


def everything(told: Listener) -> None:
    outcome = Outcome()
    outcome.announce({"job_name": "job-a"})
    told.begin([LEG])
    told.start(LEG)
    told.known(LEG, outcome.values)
    told.end(LEG, outcome.values, None)
    told.close()


def test_every_listener_is_told_of_everything_in_order() -> None:
    one, two = Told(), Told()

    everything(Listeners([one, two], Warnings()))

    assert one.calls == ["begin 1", "start train", "known train job-a", "end train", "close"]
    assert two.calls == one.calls


@pytest.mark.parametrize("call", ["begin", "start", "known", "end", "close"])
def test_a_report_that_cannot_be_made_is_one_warning_and_the_others_go_on(call: str) -> None:
    broken, good, warnings = Told(call), Told(), Warnings()

    everything(Listeners([broken, good], warnings))

    assert warnings.said == ["403; permissions: x"]
    assert broken.calls[-1].startswith(call)
    assert len(good.calls) == 5


def test_a_defect_of_a_listener_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        everything(Listeners([Told("known", KeyError("x"))], Warnings()))


def test_a_leg_has_not_succeeded_when_its_run_failed() -> None:
    outcome = Outcome()
    outcome.announce({"run_status": "failed"})

    assert not succeeded(outcome.values, None)
    assert succeeded(Outcome().values, None)
    assert not succeeded(Outcome().values, ServiceError("x", hint="y"))
