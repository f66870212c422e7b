"""The inputs of a step: from the runner's variables, masked before anything else is done."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from launch_action.core.errors import InputError
from launch_action.core.input_table import INPUTS, NOT_IN_ACTION
from launch_action.core.input_values import read_inputs, secret_texts, with_build_options
from launch_action.core.inputs import Inputs
from launch_action.github.commands import WorkflowCommands

_ACTION_INPUTS = {
    row.name: row for row in INPUTS if "action" in row.commands and row.name not in NOT_IN_ACTION
}


Given = Mapping[str, str | Sequence[str]]


def read_action_inputs(
    commands: WorkflowCommands, environment: Mapping[str, str]
) -> tuple[Inputs, Given]:
    """The inputs of the step, and what of them was given, as it was.

    Raises InputError; no error shows a secret that is not masked yet.
    """
    values = action_values(environment)
    _mask(commands, values)
    given = with_build_options(values)
    more = {name: text for name, text in given.items() if name not in values}
    _mask(commands, {name: text for name, text in more.items() if isinstance(text, str)})
    inputs = read_inputs(given, environment)
    _mask(commands, _from_environment(inputs, given, environment))
    return inputs, {name: text for name, text in given.items() if text}


def _from_environment(
    inputs: Inputs, given: Given, environment: Mapping[str, str]
) -> dict[str, str]:
    """The secrets that variables of the step give: GitHub knows those of its own alone."""
    key = {"wandb-api-key": environment.get("WANDB_API_KEY", "")}
    rows = (row for row in INPUTS if row.secret and not given.get(row.name))
    found = ((row.name, getattr(inputs, row.field)) for row in rows)
    return key | {name: value for name, value in found if value and isinstance(value, str)}


def _mask(commands: WorkflowCommands, values: Mapping[str, str]) -> None:
    for row in INPUTS:
        if row.secret:
            for text in secret_texts(row, values.get(row.name, "")):
                commands.mask(text)


def action_values(environment: Mapping[str, str]) -> dict[str, str]:
    """The inputs by name: of `LAUNCH_INPUTS` (composite action), else of `INPUT_*` (container).

    Raises InputError for a name that is no input, and for a document that is not an object.
    """
    text = environment.get("LAUNCH_INPUTS", "")
    if text:
        return _from_json(text)
    found = {}
    for row in _ACTION_INPUTS.values():
        # A shell between drops names with a hyphen, so that the other spelling is read too.
        for spelling in (row.name.upper(), row.field.upper()):
            value = environment.get(f"INPUT_{spelling}", "")
            if value:
                found[row.name] = value
    return found


def _from_json(text: str) -> dict[str, str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"LAUNCH_INPUTS is not JSON: {error}", hint="it is set by action.yml: toJSON(inputs)"
        ) from error
    if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
        raise InputError(
            "LAUNCH_INPUTS is not an object of texts",
            hint="it is set by action.yml: toJSON(inputs)",
        )
    try:
        "".join((*document, *document.values())).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"LAUNCH_INPUTS holds what is no character: {error.object[error.start]!r}",
            hint="leave it out",
        ) from error
    return {name.lower(): value for name, value in document.items()}
