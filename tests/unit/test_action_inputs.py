from __future__ import annotations

import json
from typing import Any

import pytest
from support.github_runner import container_inputs
from support.runner_commands import read_log

from launch_action.core.errors import InputError
from launch_action.core.input_table import INPUTS, NOT_IN_ACTION
from launch_action.core.inputs import Inputs
from launch_action.core.mode import EventFacts, decide
from launch_action.github.commands import WorkflowCommands
from launch_action.step.action import allowed
from launch_action.step.action_inputs import action_values, read_action_inputs

NAMES = [one.name for one in INPUTS if "action" in one.commands and one.name not in NOT_IN_ACTION]


@pytest.mark.parametrize("name", NAMES)
def test_every_input_arrives_in_a_composite_and_in_a_container_action(name: str) -> None:
    given = {name: "some text"}

    assert action_values({"LAUNCH_INPUTS": json.dumps(given)}) == given
    assert action_values(container_inputs(given)) == given
    assert action_values({f"INPUT_{name.upper().replace('-', '_')}": "some text"}) == given


def test_the_runner_s_spelling_of_a_name_is_of_no_matter() -> None:
    assert action_values({"LAUNCH_INPUTS": '{"Entry-Point": "x"}'}) == {"entry-point": "x"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "LAUNCH_INPUTS is not JSON"),
        ('{"mode": 1}', "LAUNCH_INPUTS is not an object of texts"),
        ('{"image": "\\ud800"}', r"no character: '\\ud800'"),
        ('{"\\udfff": ""}', r"no character: '\\udfff'"),
    ],
)
def test_what_is_no_document_of_texts_is_our_error(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        action_values({"LAUNCH_INPUTS": text})


def test_a_secret_that_a_variable_gives_is_masked_too(capsys: pytest.CaptureFixture[str]) -> None:
    variables = {
        "GIT_TOKEN": "tok-1", "LAUNCH_ACTION_REGISTRY_PASSWORD": "pass-2", "WANDB_API_KEY": "key-3",
        "LAUNCH_ACTION_SSH_KEY": "BEGIN\nline-4",
    }  # fmt: skip

    read_action_inputs(WorkflowCommands(), {"LAUNCH_INPUTS": "{}", **variables})

    masked = read_log(capsys.readouterr().out).of("add-mask")
    assert {"tok-1", "pass-2", "key-3", "line-4"} <= set(masked)


def test_an_empty_input_is_none_in_either() -> None:
    empty = dict.fromkeys(NAMES, "")

    composite = {"LAUNCH_INPUTS": json.dumps(empty)}
    for environment in (composite, container_inputs(empty)):
        assert read_action_inputs(WorkflowCommands(), environment) == (Inputs(), {})


def test_options_that_are_no_inputs_are_not_taken_from_variables() -> None:
    assert action_values({"INPUT_BASE-IMAGE": "x", "INPUT_GIT_TOKEN": "y"}) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"run": true}', '{"run": null}', "[" * 100_000, "3"])
def test_a_document_that_is_no_object_of_texts_is_an_error(text: str) -> None:
    with pytest.raises(InputError, match="LAUNCH_INPUTS is not"):
        action_values({"LAUNCH_INPUTS": text})


def test_a_secret_is_masked_before_its_input_is_found_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {
        "registry-password": "hunter2-hunter2",
        "build-options": "git-token=token-of-git\nssh-key=key-of-ssh",
        "push": "perhaps",
    }
    with pytest.raises(InputError, match="'perhaps'"):
        read_action_inputs(WorkflowCommands(), {"LAUNCH_INPUTS": json.dumps(given)})

    masked = read_log(capsys.readouterr().out).of("add-mask")
    assert masked == ["hunter2-hunter2", "token-of-git", "key-of-ssh"]


SECRETS: dict[str, Any] = {
    "registry_username": "bot",
    "registry_password": "x",
    "secret": ("a=b",),
    "ssh": ("default",),
    "ssh_key": "k",
    "env": ("TOKEN",),
    "wandb_api_key": "w",
    "queue": "gpu",
    "deployment": True,
}


def test_an_event_without_trust_gets_no_secret_and_tells_nobody() -> None:
    inputs = Inputs(image="ghcr.io/acme/train", run=True, push=True, **SECRETS)
    fork = EventFacts(name="pull_request", pull_request=7, fork=True)

    found = allowed(inputs, decide(fork, inputs))

    assert found == Inputs(
        image="ghcr.io/acme/train", push=False, run=False, comment=False, wandb_register="off"
    )


def test_every_secret_input_is_among_those_that_are_withheld() -> None:
    """The token of the workflow stays, and that for the source, which nothing built can see."""
    kept = {"github_token", "git_token"}

    assert {one.field for one in INPUTS if one.secret} - kept <= set(SECRETS)


def test_an_event_with_trust_keeps_everything() -> None:
    inputs = Inputs(image="ghcr.io/acme/train", **SECRETS)
    push = EventFacts(name="push", branch="main")

    assert allowed(inputs, decide(push, inputs)) == Inputs(
        image="ghcr.io/acme/train", run=True, **SECRETS
    )  # it names a queue, through which an update is run
