from __future__ import annotations

import pytest

from launch_action.core.outputs import Outcome
from launch_action.report import printable, result_lines


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\x1b[31m", "\x85", "\x00"])
def test_what_would_hide_or_turn_a_line_is_seen(mark: str) -> None:
    assert printable(f"branch {mark}main") == "branch \N{REPLACEMENT CHARACTER}main"


def test_the_words_of_a_job_are_one_line_of_a_length_that_is_read() -> None:
    metrics = {"note": "y" * 100_000, "two\n::error::x": "a\nb"}
    lines = list(result_lines({**Outcome().values, "metrics": metrics}))

    assert len(lines[0]) < 400
    assert lines[0].endswith("y…")
    assert lines[1] == "metric   two ::error::x = a b"
