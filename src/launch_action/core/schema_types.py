"""W&B's types of the inputs that a JSON Schema describes, and values read by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from launch_action.core.job_inputs import parse_settings
from launch_action.core.wandb_types import (
    ANY,
    NONE,
    Type,
    dict_type,
    list_type,
    optional,
    type_of,
    union,
)

_DEPTH = 32
_MOST = 1000
_NAMES: Mapping[str, Type] = {
    "number": {"wb_type": "number"},
    "integer": {"wb_type": "number"},
    "string": {"wb_type": "string"},
    "boolean": {"wb_type": "boolean"},
    "null": NONE,
}


def types_of_schema(schema: Mapping[str, Any]) -> Type:
    """W&B's type of what is valid by a schema; `any` where it has no type for it.

    A property that is not required may be absent, which W&B writes as a union with none.

    >>> types_of_schema({"type": "object", "properties": {"lr": {"type": "number"}}})["wb_type"]
    'typedDict'
    """
    return _Types(schema).of({"type": "object", **schema})


def typed_settings(lines: tuple[str, ...], schema: Mapping[str, Any]) -> dict[str, Any]:
    """`--set KEY=VALUE` lines: what the schema calls a text stays one, whatever it looks like.

    >>> typed_settings(("version=1.0", "lr=1.0"), {"properties": {"version": {"type": "string"}}})
    {'version': '1.0', 'lr': 1.0}
    """
    values, texts = parse_settings(lines), parse_settings(lines, texts=True)
    found = typed(values, texts, schema)
    return found if isinstance(found, dict) else values


def typed(value: Any, text: Any, schema: Any, root: Any = None, depth: int = _DEPTH) -> Any:
    """A value, or the text that it was written as, where the schema wants a text there."""
    root = schema if root is None else root
    schema = _resolved(schema, root)
    if not isinstance(schema, Mapping) or not depth:
        return value
    if isinstance(value, dict) and isinstance(text, dict):
        return {
            key: typed(one, text.get(key), _property(schema, key, root), root, depth - 1)
            for key, one in value.items()
        }
    if isinstance(value, list) and isinstance(text, list):
        items = schema.get("items")
        return [typed(v, t, items, root, depth - 1) for v, t in zip(value, text, strict=True)]
    wants_text = schema.get("type") == "string"
    return text if wants_text and isinstance(text, str) else value


def _property(schema: Mapping[str, Any], key: str, root: Any) -> Any:
    """The schema of a property, in the object's own list or in one of its `allOf`."""
    for one in _parts(schema, root):
        if key in one["properties"]:
            return one["properties"][key]
    return {}


class _Types:
    """W&B's types of the parts of one schema."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        # What refers to others may come to more than anybody reads: the rest is any.
        self._left = _MOST

    def of(self, schema: Any, above: tuple[str, ...] = ()) -> Type:
        """The type of a part; `above` are the references that it stands in."""
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        self._left -= 1
        if (reference and reference in above) or len(above) > _DEPTH or self._left < 0:
            return ANY
        above = (*above, str(reference or ""))
        schema = _resolved(schema, self._root)
        if not isinstance(schema, Mapping):
            return ANY
        for keyword in ("anyOf", "oneOf"):
            if isinstance(schema.get(keyword), list):
                return union(self.of(one, above) for one in schema[keyword])
        if "const" in schema:
            return type_of(schema["const"])
        names = schema.get("type")
        if names is None:
            return self._untyped(schema, above)
        named = names if isinstance(names, list) else [names]
        return union(self._named(name, schema, above) for name in named)

    def _untyped(self, schema: Mapping[str, Any], above: tuple[str, ...]) -> Type:
        values, parts = schema.get("enum"), schema.get("allOf")
        if isinstance(values, list):
            return union(type_of(one) for one in values)
        if "properties" in schema:
            return self._object(schema, above)
        if isinstance(parts, list) and len(parts) == 1:
            return self.of(parts[0], above)
        return ANY

    def _named(self, name: Any, schema: Mapping[str, Any], above: tuple[str, ...]) -> Type:
        match name:
            case "object":
                return self._object(schema, above)
            case "array":
                return list_type(self.of(schema.get("items"), above))
            case str() if name in _NAMES:
                return _NAMES[name]
            case _:
                return ANY

    def _object(self, schema: Mapping[str, Any], above: tuple[str, ...]) -> Type:
        """The properties of an object and of the objects it is `allOf`."""
        types: dict[str, Type] = {}
        for one in _parts(schema, self._root):
            required = one.get("required")
            for name, inner in one["properties"].items():
                known = self.of(inner, above)
                needed = isinstance(required, list) and name in required
                types[name] = known if needed else optional(known)
        return dict_type(types)


def _parts(schema: Mapping[str, Any], root: Any) -> Iterator[Mapping[str, Any]]:
    """The schema and what it is `allOf`, as far as they have properties."""
    more = schema.get("allOf")
    for one in (schema, *(more if isinstance(more, list) else ())):
        found = _resolved(one, root)
        if isinstance(found, Mapping) and isinstance(found.get("properties"), Mapping):
            yield found


def _resolved(schema: Any, root: Any) -> Any:
    """What a `$ref` into the schema itself means, a few steps far; a foreign one means anything."""
    for _ in range(_DEPTH):
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(reference, str):
            return schema
        if not reference.startswith("#"):
            return {}
        schema = root
        for step in filter(None, reference.removeprefix("#").split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            schema = schema.get(name) if isinstance(schema, Mapping) else None
    return {}
