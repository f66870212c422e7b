"""How far a queued run is, by the words of its item and of its run."""

from __future__ import annotations

import pytest

from launch_action.core.queued_run import (
    Item,
    RunFacts,
    Stage,
    ended,
    item_of,
    sent_before,
    stage_of,
)


def item(state: str, identifier: str = "1", run_id: str = "r") -> Item:
    return Item(identifier=identifier, state=state, run_id=run_id)


@pytest.mark.parametrize(
    ("queue", "run", "stage"),
    [
        ("PENDING", "", "pending"),
        ("LEASED", "", "claimed"),
        ("CLAIMED", "", "claimed"),
        ("CLAIMED", "pending", "claimed"),
        ("FAILED", "", "failed"),
        ("FAILED", "pending", "failed"),
        ("FAILED", "running", "running"),
        ("FINISHED", "", "succeeded"),
        ("CLAIMED", "running", "running"),
        ("CLAIMED", "preempting", "running"),
        ("CLAIMED", "preempted", "preempted"),
        ("CLAIMED", "finished", "succeeded"),
        ("CLAIMED", "crashed", "failed"),
        ("CLAIMED", "failed", "failed"),
        ("CLAIMED", "killed", "cancelled"),
        ("", "", None),
        ("", "running", "running"),
        ("", "pending", "cancelled"),
        ("", "finished", "succeeded"),
    ],
)
def test_a_stage_comes_from_item_and_run(queue: str, run: str, stage: Stage | None) -> None:
    found = stage_of(item(queue) if queue else None, RunFacts(state=run, url="") if run else None)

    assert found == stage


@pytest.mark.parametrize("stage", ["pending", "claimed", "running", "succeeded", "preempted"])
def test_what_goes_on_or_has_succeeded_is_not_sent_again(stage: Stage) -> None:
    assert sent_before(stage)
    assert ended(stage) == ("succeeded" if stage == "succeeded" else None)


@pytest.mark.parametrize("stage", ["failed", "cancelled"])
def test_what_failed_or_was_stopped_is_sent_again(stage: Stage) -> None:
    assert not sent_before(stage)
    assert ended(stage) == stage


def test_of_several_items_of_a_run_the_one_that_goes_on_counts() -> None:
    before, after = item("FAILED", "1"), item("PENDING", "2")
    other = item("PENDING", "3", run_id="other")

    assert item_of((other, before, after), "r") is after
    assert item_of((other, before), "r") is before
    assert item_of((other,), "r") is None
    assert not sent_before(None)
