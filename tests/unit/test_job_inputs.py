"""Job inputs: `--set` lines and W&B's launch config, whose values are those of JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.errors import InputError
from launch_action.core.job_inputs import parse_config, parse_settings


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("2.5E+4", 25000.0),
        (".5", 0.5),
        ("-7", -7),
        ("0x1F", 31),
        ("010", 10),
        ("true", True),
        ("null", None),
        ("[1, 1e-3]", [1, 0.001]),
        ("{a: 1}", {"a": 1}),
        ('"1"', "1"),
        ("", None),
        ("# a", "# a"),
    ],
)
def test_a_value_is_what_yaml_1_2_reads(text: str, value: object) -> None:
    assert parse_settings([f"x={text}"]) == {"x": value}


@pytest.mark.parametrize(
    "text", ["on", "no", "12:30", "1_000", "2026-01-01", "a: b: c", "[1", "adam", "@x", "<<"]
)
def test_what_only_yaml_1_1_reads_as_something_else_stays_a_text(text: str) -> None:
    assert parse_settings([f"x={text}"]) == {"x": text}


@pytest.mark.parametrize(
    "text", ["&a [*a]", "!!binary aGk=", "!!set {a}", "!!timestamp 2026-01-01"]
)
def test_a_value_that_json_has_not_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError, match="JSON"):
        parse_settings([f"x={text}"])


@given(st.text())
def test_any_text_is_a_value_or_an_input_error(text: str) -> None:
    try:
        found = parse_settings([f"x={text}"])
    except InputError:
        return
    json.dumps(found)


def test_a_date_in_a_launch_config_is_the_text_that_was_written() -> None:
    config = parse_config(
        "overrides:\n  run_config:\n    day: 2026-01-01\n    lr: 1e-3\n", "c.yaml"
    )
    assert config.run_config == {"day": "2026-01-01", "lr": 0.001}


def test_a_launch_config_that_holds_itself_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"c\.yaml"):
        parse_config("overrides: &a\n  run_config: *a\n", "c.yaml")


@pytest.mark.parametrize("name", ["project", "entity", "name", "resource", "run_id"])
def test_a_name_in_a_launch_config_that_is_no_text_is_an_input_error(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}' of --config is no text"):
        parse_config(f'{{"{name}": ["x"]}}', "--config")


@pytest.mark.parametrize("depth", [101, 400, 3000])
def test_what_is_nested_too_deeply_is_an_input_error(depth: int) -> None:
    nested = '{"a": ' * depth + "1" + "}" * depth
    with pytest.raises(InputError, match="more than 100 deep"):
        parse_config(f'{{"overrides": {{"run_config": {nested}}}}}', "--config")
    with pytest.raises(InputError, match="more than 100 deep"):
        parse_settings([".".join("a" * depth) + "=1"])
    with pytest.raises(InputError, match="more than 100 deep"):
        parse_settings([f"a={nested}"])


def test_json_is_read_as_json() -> None:
    """In YAML a tab indents nothing, and an escape is a character, of which a pair is none."""
    text = '{\n\t"overrides": {"run_config": {"face": "\\ud83d\\ude00", "none": "NaN"}}\n}'

    found = parse_config(text, "c.json")
    assert found.run_config == {"face": "\N{GRINNING FACE}", "none": "NaN"}


@pytest.mark.parametrize("number", [".nan", "-.inf", "1e999"])
def test_a_number_that_json_does_not_have_is_refused(number: str) -> None:
    """A queue would get a document that nobody reads."""
    with pytest.raises(InputError, match="what JSON cannot"):
        parse_config(f"{{overrides: {{run_config: {{lr: {number}}}}}}}", "c.yaml")
    with pytest.raises(InputError, match="not a value that JSON has"):
        parse_settings([f"lr={number}"])


def test_a_hundred_levels_are_read_and_written() -> None:
    found = parse_settings([".".join("a" * 100) + "=1"])
    assert json.loads(json.dumps(found)) == found


def test_anchors_that_multiply_are_an_input_error() -> None:
    lines = [f"    a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    text = "\n".join(("overrides:", "  run_config:", "    a0: &a0 [x]", *lines))

    with pytest.raises(InputError, match="more than 1000000 values"):
        parse_config(text, "c.yaml")


@pytest.mark.parametrize(
    "text",
    [
        '{"overrides": []}',
        '{"resource_args": ""}',
        '{"overrides": {"run_config": []}}',
        '{"overrides": {"files": 0}}',
        '{"overrides": {"artifacts": false}}',
    ],
)
def test_an_empty_value_that_is_no_object_is_not_passed_over(text: str) -> None:
    with pytest.raises(InputError, match="of --config is not an object"):
        parse_config(text, "--config")
    assert parse_config(text.partition(":")[0] + ": null}", "--config").run_config == {}
