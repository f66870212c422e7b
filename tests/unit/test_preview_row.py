from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.rows import FULL

from launch_action.core.comparison import Change
from launch_action.core.preview_row import Metric, Row, compared, dumped, flat, newest, read_row

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def test_a_row_is_read_back_as_it_was() -> None:
    assert [read_row(one) for one in json.loads(dumped([FULL]))] == [FULL]


@pytest.mark.parametrize("changes", [None, ()])
def test_no_changes_are_something_else_than_unknown_ones(changes: Any) -> None:
    row = replace(FULL, changes=changes)

    assert read_row(json.loads(json.dumps(row.document()))) == row


@given(
    st.dictionaries(st.sampled_from(list(Row.__annotations__)), json_values),
    st.booleans(),
)
def test_nothing_that_is_stored_breaks_the_reading(found: dict[str, Any], whole: bool) -> None:
    row = read_row({**FULL.document(), **found} if whole else found)

    assert row is None or read_row(json.loads(dumped([row]))[0]) == row


@pytest.mark.parametrize("found", [None, [], {}, {"key": ""}, {"key": "x"}, {"key": 1, "run": 1}])
def test_what_is_nobody_s_row_is_none(found: Any) -> None:
    assert read_row(found) is None


def test_long_texts_and_lists_are_cut() -> None:
    hostile = {
        **FULL.document(),
        "error": "x" * 100_000,
        "metrics": [["m" * 9999, "v" * 9999, None]] * 5000,
        "changes": [["n" * 9999, "", "1"]] * 5000,
        "tags": ["t"] * 5000,
    }

    row = read_row(hostile)

    assert row is not None
    assert len(dumped([row])) < 300_000


def test_of_a_leg_the_latest_row_is_the_true_one() -> None:
    first = replace(FULL, run=7, attempt=1, at=99)
    again = replace(FULL, run=7, attempt=2, at=5)
    later = replace(FULL, run=8, attempt=1, at=1)
    other = replace(FULL, key="2", title="another")

    assert newest([again, later, other, first]) == (other, later)
    assert newest([later, again]) == newest([again, later]) == (later,)


def test_a_leg_with_an_input_of_the_commit_takes_the_place_of_its_earlier_self() -> None:
    earlier, now = replace(FULL, key="a", run=6), replace(FULL, key="b", run=7)
    another = replace(FULL, key="c", run=7)

    assert newest([now, earlier, another]) == (now, another)


def test_of_a_row_and_its_short_form_the_full_one_stays() -> None:
    assert newest([FULL.brief(), FULL]) == newest([FULL, FULL.brief()]) == (FULL,)


def test_the_short_form_counts_no_changes_that_it_does_not_have() -> None:
    many = tuple(Change(f"p{n}", "1", "2") for n in range(4))

    assert replace(FULL, changes=many).brief().changes is None
    assert FULL.brief().changes == FULL.changes


def test_metrics_are_compared_by_their_dotted_names() -> None:
    found = compared({"a": 1, "b": {"c": 2.5}, "t": "x", "n": None}, {"a": 3, "b": {"c": 2.0}})

    assert found == (
        Metric("a", 1, 3),
        Metric("b.c", 2.5, 2.0),
        Metric("t", "x"),
        Metric("n", None),
    )
    assert [one.change for one in found] == [-2, 0.5, None, None]


@pytest.mark.parametrize(
    ("value", "before"),
    [(True, False), ("1", "2"), (1, "1"), (float("nan"), 1.0), (float("inf"), 1.0), (10**400, 1)],
)
def test_what_is_no_pair_of_numbers_has_no_change(value: Any, before: Any) -> None:
    (found,) = compared({"m": value}, {"m": before})

    assert found.change is None
    assert json.loads(dumped([replace(FULL, metrics=(found,))]))


def test_a_metric_that_is_a_list_is_left_out() -> None:
    assert flat({"a": [1], "b": {"c": {}}}) == {}
