"""Values of a queue's template variables: checked as the queue's own schema says.

Source: W&B SDK 0.31, `sdk/launch/utils.py` (`fetch_and_validate_template_variables`), which knows
names, `integer` and `number`; `enum`, `minimum` and `maximum` are what W&B's queues declare.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError, ServiceError
from launch_action.core.spelling import nearest

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class TemplateVariable:
    """A variable of a queue, with the schema of its values.

    `used` is whether the queue's configuration has it in it.
    """

    name: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    used: bool = False

    @property
    def has_default(self) -> bool:
        return self.schema.get("default") is not None


def read_variable(
    name: str, schema: str | Mapping[str, Any], configuration: str = ""
) -> TemplateVariable:
    """A variable as W&B tells it: its schema is JSON text. Raises ServiceError.

    The queue's `configuration` is JSON text too, with `{{name}}` where a variable goes.
    """
    try:
        found = json.loads(schema) if isinstance(schema, str) else schema
    except (ValueError, RecursionError) as error:
        raise ServiceError(
            f"W&B's schema of template variable {name!r} is not JSON: {schema!r}",
            hint="set the variable again in the queue's configuration",
        ) from error
    used = bool(re.search(r"\{\{\s*" + re.escape(name) + r"\s*\}\}", configuration))
    return TemplateVariable(name, found if isinstance(found, Mapping) else {}, used)


def template_values(
    variables: Sequence[TemplateVariable], lines: Sequence[str], given: Mapping[str, Any]
) -> dict[str, Any]:
    """What a queue's variables get: `--set-var NAME=VALUE` over `given`, the launch config's.

    Raises InputError for a name that the queue does not have, and a value that it does not take.
    """
    known = {one.name: one for one in variables}
    values = {**given, **dict(map(_pair, lines))}
    return {name: _value(name, value, known) for name, value in values.items()}


def without_value(
    variables: Sequence[TemplateVariable], values: Mapping[str, Any]
) -> tuple[str, ...]:
    """The variables that have neither a value nor a default, and that nothing is lacking without.

    Raises InputError for those that the queue's configuration has in it.
    """
    found = [one for one in variables if one.name not in values and not one.has_default]
    lacking = [one.name for one in found if one.used]
    if lacking:
        raise InputError(
            f"the queue's configuration wants a value of {', '.join(map(repr, lacking))}, "
            "and there is neither one nor a default",
            hint=f"give it with --set-var {lacking[0]}=...",
        )
    return tuple(one.name for one in found)


def _pair(line: str) -> tuple[str, str]:
    name, equals, value = line.partition("=")
    if not equals or not name.strip():
        raise InputError(f"not NAME=VALUE: {line!r}", hint="write --set-var gpus=2")
    return name.strip(), value


def _value(name: str, value: Any, known: Mapping[str, TemplateVariable]) -> Any:
    if name not in known:
        raise InputError(
            f"the queue has no template variable {name!r}", hint=_names(name, sorted(known))
        )
    schema = known[name].schema
    read = _typed(name, value, schema.get("type"))
    allowed = schema.get("enum")
    if isinstance(allowed, list) and read not in allowed:
        raise InputError(
            f"template variable {name!r} cannot be {value!r}",
            hint=f"allowed: {', '.join(map(str, allowed[:_SHOWN]))}",
        )
    _check_bounds(name, read, schema)
    return read


def _names(name: str, known: Sequence[str]) -> str:
    if not known:
        return "its configuration has none; leave --set-var away"
    near = nearest(name, known)
    guess = f"did you mean {near[0]!r}? " if near else ""
    return f"{guess}it has: {', '.join(known[:_SHOWN])}"


def _typed(name: str, value: Any, kind: Any) -> Any:
    """The value as the type that the schema names; a text is read as one."""
    try:
        match kind:
            case "integer":
                return _integer(value)
            case "number":
                return _number(value)
            case "boolean":
                return _boolean(value)
            case "string":
                return value if isinstance(value, str) else json.dumps(value)
            case _:
                return value
    except ValueError:
        raise InputError(
            f"template variable {name!r} is of type {kind}, not {value!r}",
            hint=f"give a value of type {kind}",
        ) from None


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    found = float(value)
    if not math.isfinite(found):  # JSON has none of these
        raise ValueError
    return found


def _boolean(value: Any) -> bool:
    found = {"true": True, "false": False}.get(str(value).lower())
    if found is None:
        raise ValueError
    return found


def _check_bounds(name: str, value: Any, schema: Mapping[str, Any]) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    low, high = schema.get("minimum"), schema.get("maximum")
    below = isinstance(low, int | float) and value < low
    above = isinstance(high, int | float) and value > high
    if below or above:
        bounds = {"at least": low, "at most": high}
        hint = " and ".join(f"{word} {one}" for word, one in bounds.items() if one is not None)
        raise InputError(f"template variable {name!r} cannot be {value!r}", hint=hint)
