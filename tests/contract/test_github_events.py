"""The events of the tests are of GitHub's shape: each payload against GitHub's published schema."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import webhook_schema
from support.github_events import EVERY, Event
from support.github_payloads import Commits

pytestmark = pytest.mark.usefixtures("github_webhooks")


@pytest.mark.parametrize("make", EVERY, ids=lambda make: make.__name__)
def test_the_payload_is_as_github_publishes_it(make: Callable[[Commits], Event]) -> None:
    event = make(Commits("c" * 40))
    if not event.schema:
        assert event.name in ("schedule", "workflow_call"), "only these are no webhooks"
        return

    assert webhook_schema.faults(event.payload, event.schema) == []


def test_a_payload_of_another_shape_is_found() -> None:
    event = EVERY[0](Commits("c" * 40))
    broken = {**event.payload, "number": "12"}

    assert webhook_schema.faults(broken, event.schema)
