"""What the shell reads of the environment before anything is put together."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from launch_action.core.inputs import Inputs
from launch_action.planning.workplace import Workplace, in_actions, is_untrusted, take_environment
from launch_action.report import PlainSink, Report


def test_no_child_gets_an_input_of_a_container_action_or_a_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = ("INPUT_SECRET", "INPUT_ENTRY-POINT", "LAUNCH_ACTION_REGISTRY_PASSWORD")
    for name in names:
        monkeypatch.setenv(name, "told to us alone")

    found = take_environment()

    assert {found[name] for name in names} == {"told to us alone"}
    assert not set(names) & set(os.environ)


def test_only_a_step_of_a_workflow_is_in_actions() -> None:
    assert in_actions({"GITHUB_ACTIONS": "true"})
    assert not in_actions({"CI": "true"})


@pytest.mark.parametrize(
    ("variables", "untrusted"),
    [
        ({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "dependabot[bot]"}, True),
        ({"GITHUB_ACTIONS": "true", "GITHUB_ACTOR": "somebody"}, False),
        ({"CI": "true", "GITHUB_ACTOR": "dependabot[bot]"}, False),
    ],
)
def test_the_event_tells_whether_an_outsider_caused_the_run(
    tmp_path: Path, variables: dict[str, str], untrusted: bool
) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({}))

    assert is_untrusted({**variables, "GITHUB_EVENT_PATH": str(event)}) is untrusted


@pytest.mark.parametrize(
    ("inputs", "environment", "place"),
    [
        (Inputs(store="/s"), {"XDG_DATA_HOME": "/x"}, "/s"),
        (Inputs(), {"XDG_DATA_HOME": "/x", "HOME": "/h"}, "/x/launch-action/store"),
        (Inputs(), {"XDG_DATA_HOME": "x", "HOME": "/h"}, "/h/.local/share/launch-action/store"),
        (Inputs(), {"XDG_DATA_HOME": "", "HOME": "/h"}, "/h/.local/share/launch-action/store"),
    ],
)
def test_the_store_is_where_it_was_asked_for_else_in_the_users_data(
    inputs: Inputs, environment: dict[str, str], place: str
) -> None:
    workplace = Workplace(inputs, environment, Report(PlainSink(sys.stderr)), 0)

    assert workplace.store_directory == Path(place)
