from __future__ import annotations

import io
import re
import threading

import pytest

from launch_action.core.outputs import Outcome
from launch_action.report import PlainSink, Report, printable, result_lines, waiting


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\x1b[31m", "\x85", "\x00"])
def test_what_would_hide_or_turn_a_line_is_seen(mark: str) -> None:
    assert printable(f"branch {mark}main") == "branch \N{REPLACEMENT CHARACTER}main"


def test_the_words_of_a_job_are_one_line_of_a_length_that_is_read() -> None:
    metrics = {"note": "y" * 100_000, "two\n::error::x": "a\nb"}
    lines = list(result_lines({**Outcome().values, "metrics": metrics}))

    assert len(lines[0]) < 400
    assert lines[0].endswith("y…")
    assert lines[1] == "metric   two ::error::x = a b"


class Lines(io.StringIO):
    """A stream that tells when so many lines were written."""

    def __init__(self, wanted: int) -> None:
        super().__init__()
        self._wanted = wanted
        self.there = threading.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if self.getvalue().count("\n") >= self._wanted:
            self.there.set()
        return written


def test_what_takes_long_is_told_again_and_again_and_no_more_afterwards() -> None:
    stream = Lines(3)
    with waiting(Report(PlainSink(stream)), "W&B at api.example.com", silence=0.001):
        assert stream.there.wait(30)
    told = stream.getvalue().splitlines()
    assert all(re.fullmatch(r"waiting for W&B at api.example.com: \d+ s so far", x) for x in told)


def test_what_takes_no_time_is_not_told_of() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError, match="of the block"), waiting(Report(PlainSink(stream)), "X"):
        raise ValueError("of the block")
    assert stream.getvalue() == ""


def test_metrics_are_told_by_the_names_and_words_that_a_gate_and_json_have() -> None:
    metrics = {"eval": {"loss": 0.5, "at": {"k": 1}}, "ok": True, "none": None, "nan": "NaN"}

    assert list(result_lines({**Outcome().values, "metrics": metrics})) == [
        "metric   eval.loss = 0.5",
        "metric   eval.at.k = 1",
        "metric   ok = true",
        "metric   none = null",
        "metric   nan = NaN",
    ]
