"""W&B's types of job inputs, `{"wb_type": ...}`: of values, and of a JSON Schema.

Source: W&B SDK 0.31, `sdk/data_types/_dtypes.py`; which types a list has, as wandb-core writes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

Type = dict[str, Any]

ANY: Type = {"wb_type": "any"}
NONE: Type = {"wb_type": "none"}
UNKNOWN: Type = {"wb_type": "unknown"}
_ARTIFACT = {"wb_type": "artifactVersion"}
_DEPTH = 32
# A union of more says nothing any more.
_MOST = 16


def type_of(value: Any, depth: int = _DEPTH) -> Type:
    """The type of a JSON value.

    >>> type_of({"lr": 0.1})
    {'wb_type': 'typedDict', 'params': {'type_map': {'lr': {'wb_type': 'number'}}}}
    """
    match value:
        case None:
            return NONE
        case bool():
            return {"wb_type": "boolean"}
        case float() if math.isnan(value):
            return NONE
        case int() | float():
            return {"wb_type": "number"}
        case str():
            return _ARTIFACT if _is_artifact(value) else {"wb_type": "string"}
        case list() if depth:
            elements = union(type_of(one, depth - 1) for one in value)
            return list_type(elements if value else UNKNOWN, len(value))
        case dict() if depth:
            return dict_type({key: type_of(one, depth - 1) for key, one in value.items()})
        case _:
            return ANY


def dict_type(types: Mapping[str, Type]) -> Type:
    """An object with these keys; without keys, any object."""
    return {"wb_type": "typedDict", "params": {"type_map": dict(types)}}


def list_type(elements: Type, length: int | None = None) -> Type:
    """A list of one type of elements."""
    return {"wb_type": "list", "params": {"element_type": elements, "length": length}}


def union(types: Iterable[Type]) -> Type:
    """One of these types; any, where they are too many to say."""
    found: dict[str, Type] = {}
    for one in types:
        inner = one["params"]["allowed_types"] if one["wb_type"] == "union" else [one]
        found |= {json.dumps(each, sort_keys=True): each for each in inner}
        if len(found) > _MOST:
            return ANY
    if len(found) == 1:
        return next(iter(found.values()))
    if not found or ANY in found.values():
        return ANY
    return {"wb_type": "union", "params": {"allowed_types": [found[key] for key in sorted(found)]}}


def optional(one: Type) -> Type:
    """This type, or nothing."""
    return one if one == ANY else union((one, NONE))


def _is_artifact(text: str) -> bool:
    return text.startswith(("wandb-artifact://", "wandb-client-artifact://"))
