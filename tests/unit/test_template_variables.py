"""Values of a queue's template variables: names, types, choices and bounds."""

from __future__ import annotations

import pytest

from launch_action.core.errors import InputError, ServiceError
from launch_action.core.template_variables import (
    TemplateVariable,
    read_variable,
    template_values,
    without_value,
)

VARIABLES = (
    read_variable("gpus", '{"type": "integer", "minimum": 1, "maximum": 8, "default": 1}'),
    read_variable("memory", '{"type": "number", "minimum": 0.5}'),
    read_variable("tier", '{"type": "string", "enum": ["spot", "on-demand"]}'),
    TemplateVariable("note", {"type": "string"}),
)


def test_values_have_the_types_of_the_schema() -> None:
    lines = ("gpus=2", "memory=4", "tier=spot", "note=a=b")

    found = template_values(VARIABLES, lines, {})

    assert found == {"gpus": 2, "memory": 4.0, "tier": "spot", "note": "a=b"}
    assert isinstance(found["memory"], float)


def test_an_option_wins_over_the_launch_config() -> None:
    assert template_values(VARIABLES, ("gpus=2",), {"gpus": 4, "memory": 1}) == {
        "gpus": 2,
        "memory": 1.0,
    }


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        ("gpu=2", "no template variable 'gpu'", "did you mean 'gpus'?"),
        ("gpus=two", "of type integer, not 'two'", "type integer"),
        ("gpus=1.5", "of type integer, not '1.5'", "type integer"),
        ("gpus=0", "'gpus' cannot be 0", "at least 1 and at most 8"),
        ("gpus=9", "'gpus' cannot be 9", "at least 1 and at most 8"),
        ("memory=nan", "of type number, not 'nan'", "type number"),
        ("memory=0.1", "'memory' cannot be 0.1", "at least 0.5"),
        ("tier=free", "'tier' cannot be 'free'", "allowed: spot, on-demand"),
        ("gpus", "not NAME=VALUE: 'gpus'", "--set-var"),
        ("=1", "not NAME=VALUE: '=1'", "--set-var"),
    ],
)
def test_what_the_queue_does_not_take_is_refused(line: str, said: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        template_values(VARIABLES, (line,), {})

    assert said in caught.value.message
    assert hint in caught.value.hint


def test_a_queue_without_variables_says_so() -> None:
    with pytest.raises(InputError) as caught:
        template_values((), ("gpus=2",), {})

    assert "leave --set-var away" in caught.value.hint


@pytest.mark.parametrize("value", [True, None, [1], {"a": 1}])
def test_a_launch_config_cannot_bring_other_types(value: object) -> None:
    with pytest.raises(InputError, match="of type integer"):
        template_values(VARIABLES, (), {"gpus": value})


def test_what_has_neither_value_nor_default_is_named() -> None:
    assert without_value(VARIABLES, {"tier": "spot"}) == ("memory", "note")


def test_what_the_configuration_has_in_it_wants_a_value() -> None:
    configuration = '{"memory": "{{ memory }}", "note": "{{notes}}"}'
    schemas = {"memory": '{"type": "number"}', "note": '{"type": "string"}'}
    known = [read_variable(name, text, configuration) for name, text in schemas.items()]

    assert without_value(known, {"memory": 1.0}) == ("note",)
    with pytest.raises(InputError, match="wants a value of 'memory'") as caught:
        without_value(known, {})
    assert "--set-var memory=" in caught.value.hint


def test_a_schema_that_is_not_json_is_the_servers_fault() -> None:
    with pytest.raises(ServiceError, match="'gpus' is not JSON"):
        read_variable("gpus", "{")
