"""The metrics gate: which lines are conditions, and which metrics they let pass."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.errors import InputError
from launch_action.core.gate import judge, missed, read_conditions
from launch_action.core.metrics import read_metrics


def problem(line: str, metrics: dict[str, Any]) -> str:
    """What the gate says of these metrics; empty where they pass."""
    found, _ = read_metrics(json.dumps(metrics).encode())
    error = missed(judge(read_conditions([line]), found))
    return error.message if error else ""


@pytest.mark.parametrize(
    ("line", "metrics"),
    [
        ("accuracy < 0.9", {"accuracy": 0.9}),
        ("accuracy<=0.9", {"accuracy": 0.91}),
        ("loss > 1e-3", {"loss": 0}),
        ("loss >= -1", {"loss": -1.5}),
        ("errors != 0", {"errors": 0}),
        ("epoch == 3", {"epoch": 4}),
        ("eval.loss > 2", {"eval": {"loss": 1.5}}),
        ("eval.loss > 2", {"eval.loss": 1.5}),
        ("eval.loss > 2", {"eval.loss": 1.5, "eval": {"accuracy": 3}}),
        ("a.b.c > 2", {"a": {"b.c": 1}}),
        ("val/acc@5 < .5", {"val/acc@5": 0.5}),
        ('"top 5 < all" < 1', {"top 5 < all": 2}),
        ('eval."a \\"b\\" \\\\".x < 1', {"eval": {'a "b" \\': {"x": 1}}}),
        ("genauigkeit-ä < 1", {"genauigkeit-ä": 1}),
        ("converged == 0", {"converged": True}),
        ("steps < 1_000", {"steps": 10**400}),
    ],
)
def test_metrics_that_are_good_pass(line: str, metrics: dict[str, Any]) -> None:
    assert problem(line, metrics) == ""


@pytest.mark.parametrize(
    ("line", "metrics", "words"),
    [
        ("accuracy < 0.9", {"accuracy": 0.85}, "'accuracy' is 0.85, and must be >= 0.9"),
        (
            "accuracy < 0.9",
            {"accuracy": 0.8999999999},
            "'accuracy' is 0.8999999999, and must be >= 0.9",
        ),
        ("loss >= 2", {"loss": 2}, "'loss' is 2, and must be < 2"),
        ("loss > 2", {"loss": float("nan")}, "'loss' is NaN, and must be <= 2"),
        ("loss < 2", {"loss": float("nan")}, "'loss' is NaN, and must be >= 2"),
        ("loss > 2", {"loss": float("inf")}, "'loss' is Infinity, and must be <= 2"),
        ("errors != 0", {"errors": 3}, "'errors' is 3, and must be == 0"),
        ("accuracy < 0.9", {}, "'accuracy' is not among the metrics"),
        (
            "acuracy < 0.9",
            {"eval": {"loss": 1}, "accuracy": 1},
            "'acuracy' is not among the metrics; the nearest is 'accuracy'",
        ),
        (
            "eval.los > 1",
            {"eval": {"loss": 1}},
            "'eval.los' is not among the metrics; the nearest is 'eval.loss'",
        ),
        ("note < 1", {"note": "x" * 9999}, f"'note' is no number: '{'x' * 79}…"),
        ("n > 1", {"n": 10**999}, f"'n' is 1{'0' * 79}…, and must be <= 1"),
        ("eval < 0.9", {"eval": {"accuracy": 1}}, "'eval' is not among the metrics"),
        ("a.b < 0.9", {"a": 1}, "'a.b' is not among the metrics"),
        ("accuracy < 0.9", {"accuracy": "0.95"}, "'accuracy' is no number: '0.95'"),
        ("accuracy < 0.9", {"accuracy": None}, "'accuracy' is no number: None"),
    ],
)
def test_what_fails_names_metric_value_and_bound(
    line: str, metrics: dict[str, Any], words: str
) -> None:
    assert problem(line, metrics) == f"the metrics gate failed: {words}"


def test_every_condition_that_fails_is_told() -> None:
    conditions = read_conditions(["a < 1", "b < 1", "c < 1"])

    verdicts = judge(conditions, {"a": 0, "b": 1, "c": 0.5})
    error = missed(verdicts)

    assert error
    assert error.exit_code == 1
    assert "'a' is 0" in error.message
    assert "'c' is 0.5" in error.message
    assert "2 of 3 conditions" in error.message
    assert [one.document()["failed"] for one in verdicts] == [True, False, True]


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("accuracy = 0.9", "'=='"),
        ("accuracy =< 0.9", "'<='"),
        ("accuracy => 0.9", "'>='"),
        ("accuracy <> 0.9", "'!='"),
        ("accuracy ≥ 0.9", "'>='"),
        ("accuracy below 0.9", "'<'"),
        ("accuracy lt 0.9", "'<'"),
        ("accuracy ~~ 0.9", "one condition a line"),
        ("0.9 > accuracy", "`accuracy < 0.9`"),
        ("-1 <= loss", "`loss >= -1`"),
        ("0.9", "one condition a line"),
        ("accuracy", "one condition a line"),
        ("< 0.9", "one condition a line"),
        ("accuracy <", "one condition a line"),
        ("accuracy < 90%", "one condition a line"),
        ("accuracy < nan", "one condition a line"),
        ("accuracy < 0.9 and loss > 1", "one condition a line"),
        ("accuracy < loss", "one condition a line"),
        ("top 5 < 1", "quote"),
        ('"open < 1', "one condition a line"),
        (".a < 1", "one condition a line"),
        ("a..b < 1", "one condition a line"),
        ("__import__('os').system('true') < 1", "one condition a line"),
        ("", "one condition a line"),
    ],
)
def test_what_is_no_condition_is_an_input_error_with_the_line_in_it(line: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        read_conditions([line])

    assert repr(line) in caught.value.message
    assert hint in caught.value.hint


@given(st.text(max_size=40))
def test_any_line_is_a_condition_or_an_input_error(line: str) -> None:
    try:
        conditions = read_conditions([line])
    except InputError:
        return
    judge(conditions, {"a": 1})


@given(st.floats(allow_nan=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_metric_fails_exactly_where_the_line_says_so(value: float, bound: float) -> None:
    line = f"m < {bound!r}"

    assert bool(problem(line, {"m": value})) == (value < bound)
