"""Inputs: one table, empty means default, a typo gets the valid values and the nearest."""

from __future__ import annotations

from dataclasses import fields

import pytest

from launch_action.core.errors import InputError
from launch_action.core.input_table import INPUTS, NOT_IN_ACTION
from launch_action.core.input_values import read_inputs, with_build_options
from launch_action.core.inputs import Inputs


def test_every_row_has_its_attribute_with_the_same_default() -> None:
    assert [row.field for row in INPUTS] == [field.name for field in fields(Inputs)]
    defaults = {row.name: row.default for row in INPUTS if row.default}

    assert read_inputs(defaults, {}) == Inputs() == read_inputs({}, {})


def test_the_action_has_at_most_thirty_inputs() -> None:
    names = {row.name for row in INPUTS if "action" in row.commands}

    assert names >= NOT_IN_ACTION
    assert len(names - NOT_IN_ACTION) <= 30


def test_empty_means_default() -> None:
    assert read_inputs({row.name: "" for row in INPUTS}, {}) == Inputs()


def test_lists_split_at_commas_and_lines_and_options_repeat() -> None:
    found = read_inputs({"alias": "a, b\n\nc", "set": ["x=1,2", "y=3"]}, {})

    assert found.alias == ("a", "b", "c")
    assert found.set == ("x=1,2", "y=3")


@pytest.mark.parametrize(
    ("text", "push"), [("auto", None), ("true", True), ("False", False), ("", None)]
)
def test_push_has_three_values(text: str, push: bool | None) -> None:
    assert read_inputs({"push": text}, {}).push is push


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1h30m", 5400), ("0.5s", 0.5)]
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert read_inputs({"timeout": text}, {}).timeout == seconds


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("require-clean", "ture", "did you mean 'true'?"),
        ("push", "yes", "auto, false, true"),
        ("builder", "layer", "did you mean 'layers'?"),
        ("timeout", "soon", "90s"),
        ("timeout", "0", "90s"),
        ("bulder", "layers", "did you mean 'builder'?"),
    ],
)
def test_a_mistake_gets_the_valid_values_and_the_nearest(name: str, value: str, hint: str) -> None:
    with pytest.raises(InputError) as refused:
        read_inputs({name: value}, {})

    assert hint in refused.value.hint
    assert repr(value) in refused.value.message or repr(name) in refused.value.message


def test_wandbs_variables_fill_what_was_not_given_and_empty_ones_are_unset() -> None:
    environment = {"WANDB_JOB_NAME": "from-env", "WANDB_PROJECT": ""}

    assert read_inputs({}, environment).job_name == "from-env"
    assert read_inputs({"job-name": "given"}, environment).job_name == "given"
    assert read_inputs({}, environment).project == ""


def test_a_secret_is_never_shown() -> None:
    found = read_inputs({"registry-password": "hunter2", "image": "a/b"}, {})

    assert "hunter2" not in repr(found)
    assert found.shown() == (("image", "a/b"), ("registry-password", "***"))


def test_what_is_shown_of_the_inputs_holds_no_credential() -> None:
    inputs = read_inputs(
        {
            "registry-password": "one",
            "env": "API_KEY=two\nOTHER",
            "registry-mirror": "https://me:three@mirror",
            "alias": "a,b",
        },
        {},
    )

    assert dict(inputs.shown()) == {
        "registry-password": "***",
        "env": "API_KEY=***, OTHER",
        "registry-mirror": "https://mirror",
        "alias": "a, b",
    }
    assert not {"one", "two", "three"} & set(repr(inputs).replace("=", " ").split())


def test_build_options_are_the_options_that_are_no_inputs_of_the_action() -> None:
    text = "extras=gpu, viz\n\n extras=dev\nrequire-clean\nresolve-date=2024-05-01\n"

    found = read_inputs(with_build_options({"image": "a/b", "build-options": text}), {})

    assert found == Inputs(
        image="a/b", extras=("gpu", "viz", "dev"), require_clean=True, resolve_date="2024-05-01"
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("extra=gpu", "unknown build option: 'extra'", "did you mean 'extras'?"),
        ("image=a/b", "'image' in 'build-options' is an input of its own", "`image: ...`"),
        ("resolve-date", "'resolve-date' needs a value", "resolve-date=VALUE"),
        ("resolve-date=latest\nresolve-date=latest", "takes one value", "once"),
        ("build-options=x", "'build-options' in 'build-options'", "build-options"),
        ("=x", "unknown build option: ''", "valid: "),
    ],
)
def test_a_mistake_in_build_options_is_told(text: str, message: str, hint: str) -> None:
    with pytest.raises(InputError) as refused:
        read_inputs(with_build_options({"build-options": text}), {})

    assert message in refused.value.message
    assert hint in refused.value.hint


@pytest.mark.parametrize("value", ["caf\udce9", "\ud83d"])
def test_a_description_that_is_no_text_is_refused_before_anything_is_done(value: str) -> None:
    with pytest.raises(InputError, match="'description' is not UTF-8 text"):
        read_inputs({"description": value}, {})
    # A path may be any bytes.
    assert read_inputs({"build-context": value}, {}).build_context == value


@pytest.mark.parametrize("value", ["a\0b", ("a", "b\0")])
def test_a_nul_character_is_refused(value: str | tuple[str, ...]) -> None:
    with pytest.raises(InputError, match="'build-context' holds a NUL"):
        read_inputs({"build-context": value}, {})
