from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.github_runner import resolve_inputs

from launch_action.core.input_table import INPUTS, NOT_IN_ACTION
from launch_action.core.input_values import read_inputs
from launch_action.core.inputs import Inputs
from launch_action.core.outputs import OUTPUTS

TABLE = [one for one in INPUTS if "action" in one.commands and one.name not in NOT_IN_ACTION]
ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))


def test_the_inputs_are_those_of_the_table_in_its_order() -> None:
    wanted = [one.name for one in TABLE]

    assert list(ACTION["inputs"]) == wanted


def test_there_are_at_most_thirty_inputs() -> None:
    assert len(ACTION["inputs"]) <= 30


@pytest.mark.parametrize("one", TABLE, ids=str)
def test_description_and_default_of_an_input_are_those_of_the_table(one: Any) -> None:
    declared = ACTION["inputs"][one.name]

    assert declared["description"] == one.help
    default = "${{ github.token }}" if one.name == "github-token" else one.default
    assert declared["default"] == default


def test_the_defaults_mean_the_same_as_nothing_given() -> None:
    values, _ = resolve_inputs(ACTION, {}, {"github": {"token": ""}})

    assert read_inputs(values, {}) == Inputs()


def test_every_output_is_of_the_table_and_comes_from_the_only_step() -> None:
    (step,) = ACTION["runs"]["steps"]

    assert list(ACTION["outputs"]) == [one.action_name for one in OUTPUTS]
    for one in OUTPUTS:
        about = ACTION["outputs"][one.action_name]
        assert about["value"] == f"${{{{ steps.{step['id']}.outputs.{one.action_name} }}}}"
        assert about["description"] == one.help


def test_no_expression_stands_in_the_script() -> None:
    (step,) = ACTION["runs"]["steps"]

    assert "${{" not in step["run"]


def test_the_script_hands_signals_on_and_keeps_the_workspace_off_the_path() -> None:
    (step,) = ACTION["runs"]["steps"]

    last = step["run"].strip().splitlines()[-1]
    assert last == 'exec python3 -I -u -X utf8 "$GITHUB_ACTION_PATH/bootstrap.py"'
