"""Which of two versions of one content stays, and which was made by whom."""

from __future__ import annotations

from dataclasses import replace

from launch_action.wandb.artifact_list import ListedVersion
from launch_action.wandb.duplicates import find_double

LOGGED = ListedVersion("c", 7, "same", 10_000.0, "run", "mine", ours=True)
OTHER = replace(LOGGED, identifier="a", number=6, run_name="theirs", created=9_000.0)


def found(*others: ListedVersion, logged: ListedVersion = LOGGED) -> tuple[int, bool] | None:
    double = find_double([logged, *others], "c", run_id="mine")
    return (double.earliest.number, double.is_own) if double else None


def test_the_first_that_was_committed_stays() -> None:
    first = replace(OTHER, identifier="b", number=4)
    assert found() is found(replace(OTHER, digest="another")) is None
    assert found(OTHER, first) == found(first, OTHER) == (4, True)
    # Begun after ours, and committed before.
    assert found(replace(OTHER, created=11_000.0)) == (6, True)
    assert found(replace(OTHER, number=8)) is None
    # Of long ago, when W&B would have given it to us if it gave such.
    assert found(replace(OTHER, created=1_000.0)) is None
    assert found(replace(OTHER, created=float("inf"))) is None


def test_what_another_has_made_is_another_s() -> None:
    assert found(OTHER, logged=replace(LOGGED, run_name="")) == (6, False)
    assert find_double([OTHER], "c", run_id="mine") is None
