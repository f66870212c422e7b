"""The schema of a job's inputs: which are refused, what values break it, and W&B's types of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from launch_action.core.errors import InputError, StoreError
from launch_action.core.input_schema import (
    LIMIT,
    check_values,
    checked_schema,
    parse_schema,
    stored_schema,
    wandb_notice,
)
from launch_action.core.schema_types import typed, typed_settings, types_of_schema

NUMBER = {"wb_type": "number"}
STRING = {"wb_type": "string"}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "lr": {"type": "number", "minimum": 0, "required": True},
        "epochs": {"type": "integer"},
        "key": {"type": "string", "format": "secret", "maxLength": 4},
        "model": {"type": "object", "properties": {"depth": {"type": ["integer", "null"]}}},
        "optimizer": {"enum": ["adam", "sgd"]},
    },
    "additionalProperties": False,
}


def fault(values: dict[str, Any]) -> InputError:
    with pytest.raises(InputError) as caught:
        check_values(checked_schema(SCHEMA, "schema.json"), values)
    return caught.value


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": "abc"}, "lr: 'abc' is not a number (schema: properties.lr.type)"),
        ({"lr": -1}, "lr: -1 is less than the minimum of 0 (schema: properties.lr.minimum)"),
        (
            {"lr": 1, "epochs": 1.5},
            "epochs: 1.5 is not an integer (schema: properties.epochs.type)",
        ),
        ({}, 'the inputs: "lr" is a required property (schema: required)'),
        (
            {"lr": 1, "model": {"depth": "x"}},
            "model.depth: 'x' is not null or an integer "
            "(schema: properties.model.properties.depth.type)",
        ),
        (
            {"lr": 1, "optimizer": "lion"},
            'optimizer: "lion" is not one of "adam" or "sgd" (schema: properties.optimizer.enum)',
        ),
        (
            {"lr": 1, "lrr": 2},
            "the inputs: Additional properties are not allowed ('lrr' was unexpected) "
            "(schema: additionalProperties)",
        ),
    ],
)
def test_a_value_that_breaks_the_schema_is_told_with_its_place(
    values: dict[str, Any], message: str
) -> None:
    assert fault(values).message == message


@pytest.mark.parametrize("value", ["hunter22", 12345678])
def test_what_is_a_secret_is_not_shown(value: Any) -> None:
    told = fault({"lr": 1, "key": value})

    assert told.message.startswith("key: the value ")
    assert str(value) not in told.message + told.hint + told.context


def test_the_other_faults_are_told_too() -> None:
    told = fault({"lr": "x", "epochs": "y"})

    assert told.message.startswith("lr: ") or told.message.startswith("epochs: ")
    assert len(told.context.splitlines()) == 1


def test_defaults_are_not_filled_in_and_satisfy_nothing() -> None:
    schema = {"properties": {"lr": {"default": 0.1}}, "required": ["lr"]}

    with pytest.raises(InputError, match="required property"):
        check_values(checked_schema(schema, "x.json"), {})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"type": "nope"}, "at type: "),
        ({"properties": {"lr": {"minimum": "x"}}}, 'at properties.lr.minimum: "x" is not of type'),
        ({"type": "array"}, "at type: the inputs of a job are an object, not 'array'"),
        ({"$ref": "http://127.0.0.1:9/x"}, "nothing is fetched"),
        ({"$ref": "file:///etc/hostname"}, "nothing is fetched"),
        ({"properties": {"a": {"pattern": "("}}}, "at properties.a.pattern: "),
        ({"$schema": "https://example.com/mine"}, "Unknown meta-schema"),
    ],
)
def test_a_schema_that_is_not_valid_is_refused_with_its_place(
    document: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        checked_schema(document, "s.yaml")

    assert caught.value.message.startswith("schema 's.yaml' is no valid JSON Schema")
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [
        (b"{", "s.json", "is not JSON"),
        (b"[]", "s.json", "it is not an object"),
        (b"a: [", "s.yml", "neither JSON nor YAML"),
        (b"- a", "s.yaml", "is not an object"),
        (b"\xff", "s.yaml", "is not UTF-8"),
        (b"{}", "s.toml", "is none of .json, .yaml, .yml"),
        (b" " * (LIMIT + 1), "s.json", "bytes"),
        (b'{"properties":' * 4000, "s.json", "is not JSON"),
    ],
)
def test_what_is_no_schema_is_refused(data: bytes, where: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_schema(data, where)


@pytest.mark.parametrize("where", ["s.yaml", "s.yml", "s.json"])
def test_json_yaml_and_yml_are_read_and_recorded_alike(where: str) -> None:
    text = json.dumps(SCHEMA) if where == "s.json" else "type: object\nproperties:\n  lr: {}\n"
    schema = parse_schema(text.encode(), where)

    assert stored_schema(schema.render()) == schema


def test_a_recorded_schema_that_cannot_be_read_is_the_stores_fault() -> None:
    for data in (b"{", b"[]", b'{"type": "nope"}'):
        with pytest.raises(StoreError, match=r"input-schema\.json"):
            stored_schema(data)


def test_keywords_that_wandb_does_not_read_are_told_and_hold() -> None:
    schema = checked_schema({"properties": {"a": {"pattern": "^x"}}, "required": ["a"]}, "s.json")

    assert wandb_notice(schema, "s.json") == (
        "schema 's.json': W&B does not read properties.a.pattern, required; launch-action does"
    )
    with pytest.raises(InputError, match=r"properties\.a\.pattern"):
        check_values(schema, {"a": "y"})


def test_wandbs_own_schema_is_accepted_without_a_word() -> None:
    """The keywords of `launch/inputs/schema.py` of the SDK 0.31, each used once."""
    number = {"type": "number", "minimum": 0, "exclusiveMaximum": 1, "label": "l", "required": True}
    integer = {"type": "integer", "maximum": 9, "exclusiveMinimum": 0, "placeholder": "p"}
    tags = {"items": {"type": "string", "enum": ["a"]}, "uniqueItems": True, "maxItems": 2}
    document = {
        "type": "object", "title": "t", "description": "d",
        "properties": {
            "lr": number, "n": integer, "tags": {"type": "array", "minItems": 0, **tags},
            "deep": {"allOf": [{"type": "object", "properties": {"key": {"format": "secret"}}}]},
        },
    }  # fmt: skip
    schema = checked_schema(document, "s.json")

    assert wandb_notice(schema, "s.json") == ""
    check_values(schema, {"lr": 0.5, "tags": ["a"]})
    assert schema.document == document  # recorded as W&B reads it
    assert schema.standard["required"] == ["lr"]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer"}, NUMBER),
        ({"type": ["string", "null"]}, {"none", "string"}),
        ({"enum": ["a", 1]}, {"number", "string"}),
        ({"const": True}, {"wb_type": "boolean"}),
        ({"anyOf": [{"type": "number"}, {"type": "string"}]}, {"number", "string"}),
        ({"$ref": "#/$defs/text"}, STRING),
        ({"$ref": "https://example.com/x"}, {"wb_type": "any"}),
        ({"allOf": [{"$ref": "#/$defs/text"}]}, STRING),
        (True, {"wb_type": "any"}),
        (
            {"type": "array", "items": {"type": "number"}},
            {"wb_type": "list", "params": {"element_type": NUMBER, "length": None}},
        ),
    ],
)
def test_a_schema_has_wandbs_type(schema: Any, expected: Any) -> None:
    document = {
        "properties": {"x": schema}, "required": ["x"], "$defs": {"text": {"type": "string"}}
    }  # fmt: skip
    found = types_of_schema(document)["params"]["type_map"]["x"]
    if isinstance(expected, set):
        assert {one["wb_type"] for one in found["params"]["allowed_types"]} == expected
    else:
        assert found == expected


def test_what_may_be_absent_is_a_union_with_none() -> None:
    found = types_of_schema({"properties": {"x": {"type": "number"}}})["params"]["type_map"]

    assert found["x"] == {
        "wb_type": "union", "params": {"allowed_types": [{"wb_type": "none"}, NUMBER]}
    }  # fmt: skip


def test_references_that_go_round_or_multiply_come_to_an_end() -> None:
    round_about = {
        "properties": {"x": {"$ref": "#/$defs/a"}},
        "$defs": {"a": {"$ref": "#/$defs/a"}},
    }
    many = {
        f"d{at}": {"properties": {key: {"$ref": f"#/$defs/d{at + 1}"} for key in "abc"}}
        for at in range(30)
    }
    doubling = {"properties": {"x": {"$ref": "#/$defs/d0"}}, "$defs": many}

    assert types_of_schema(round_about)
    assert len(json.dumps(types_of_schema(doubling))) < 1_000_000


def test_what_the_schema_calls_a_text_stays_one() -> None:
    text = {"type": "string"}
    schema = {
        "properties": {
            "version": text, "many": {"items": text}, "deep": {"$ref": "#/$defs/deep"},
            "either": {"type": ["string", "number"]},
        },
        "$defs": {"deep": {"properties": {"id": text}}},
    }  # fmt: skip
    lines = ("version=1.0", "many=[1e3, null, yes]", "deep.id=007", "either=2", "lr=1e-3")

    assert typed_settings(lines, schema) == {
        "version": "1.0", "many": ["1e3", "null", "yes"], "deep": {"id": "007"},
        "either": 2, "lr": 0.001,
    }  # fmt: skip
    assert typed({"version": 1.0}, {}, schema) == {"version": 1.0}
