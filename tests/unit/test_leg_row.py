from __future__ import annotations

from typing import Any

import pytest

from launch_action.core.errors import BuildError, Interrupted, LaunchError
from launch_action.core.gate import GateError
from launch_action.core.inputs import Inputs
from launch_action.core.leg_row import Moment, first_row, last_row, next_row
from launch_action.core.legs import Leg
from launch_action.core.outputs import Outcome
from launch_action.core.preview_row import Row

MOMENT = Moment(run=7, attempt=2, at=1000, job="preview")


def values(**found: Any) -> dict[str, Any]:
    return {**Outcome().values, **found}


def row(**inputs: Any) -> Row:
    return first_row(Leg("", Inputs(**inputs)), MOMENT)


def test_a_leg_waits_first_and_is_named_by_its_script() -> None:
    found = row(entry_point="python jobs/train.py --fast")

    assert (found.state, found.title) == ("pending", "jobs/train.py")
    assert found.moment == (7, 2, 1000)


@pytest.mark.parametrize(
    ("leg", "title"),
    [
        (Leg("train", Inputs(entry_point="python x.py")), "train"),
        (Leg("", Inputs(job_name="n", entry_point="python x.py")), "n"),
        (Leg("", Inputs(docker_image="acme/x:v1")), "acme/x:v1"),
        (Leg("", Inputs(entry_point="'")), "job"),
    ],
)
def test_what_a_leg_is_called(leg: Leg, title: str) -> None:
    assert first_row(leg, MOMENT).title == title


@pytest.mark.parametrize(
    "other",
    [
        {"set": ("lr=1",)}, {"python": "3.12"}, {"image": "ghcr.io/acme/y"}, {"args": ("--x",)},
        {"entry_point": "python y.py"}, {"platform": ("linux/arm64",)},
    ],
)  # fmt: skip
def test_legs_of_a_matrix_have_rows_of_their_own(other: dict[str, Any]) -> None:
    common: dict[str, Any] = {"entry_point": "python x.py", "set": ("lr=0.1",)}

    assert row(**common).key != row(**{**common, **other}).key


def test_a_key_tells_nothing_of_a_secret_and_is_the_same_every_time() -> None:
    common = {"entry_point": "python x.py"}

    for other in ({"github_token": "a"}, {"env": ("A=b",)}, {"registry_password": "c"}):
        assert row(**common).key == row(**common, **other).key


@pytest.mark.parametrize(
    ("status", "state"),
    [(None, "building"), ("skipped", "building"), ("running", "running"), ("failed", "running")],
)
def test_a_leg_at_work(status: str | None, state: str) -> None:
    found = next_row(row(), Leg("", Inputs()), values(run_status=status), 2000)

    assert found.state == state


@pytest.mark.parametrize(
    ("status", "error", "state", "told"),
    [
        ("succeeded", None, "done", ""),
        ("skipped", None, "done", ""),
        ("failed", None, "failed", ""),
        ("timeout", None, "timeout", ""),
        ("cancelled", Interrupted(), "cancelled", ""),
        (None, Interrupted(), "cancelled", ""),
        (None, BuildError("no x", hint="add x"), "failed", "no x"),
        ("succeeded", GateError("accuracy", hint="h"), "failed", "accuracy"),
    ],
)
def test_how_a_leg_ends(
    status: str | None, error: LaunchError | None, state: str, told: str
) -> None:
    found = last_row(row(), Leg("", Inputs()), values(run_status=status), error, 2000)

    assert (found.state, found.error) == (state, told)


def test_what_is_said_later_is_later_whatever_the_clock_says() -> None:
    first = row()
    second = next_row(first, Leg("", Inputs()), values(), 5)

    assert second.moment > first.moment


def test_the_metrics_that_the_gate_looks_at_come_first() -> None:
    leg = Leg("", Inputs(entry_point="python x.py", fail_if=("eval.loss > 0.1", "accuracy < 0.9")))
    metrics = {"a": 1, "b": 2, "c": 3, "accuracy": 0.8, "eval": {"loss": 0.2}}

    found = next_row(first_row(leg, MOMENT), leg, values(metrics=metrics), 2000)

    assert [one.name for one in found.metrics] == ["eval.loss", "accuracy", "a", "b", "c"]
