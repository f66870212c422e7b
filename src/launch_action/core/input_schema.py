"""The JSON Schema of a job's inputs: read, checked, and held against the values of a run.

JSON Schema 2020-12, or the draft that `$schema` names. W&B reads a part of it and adds `required`
with a boolean (W&B SDK 0.31, `sdk/launch/inputs/schema.py`). Nothing is fetched for a `$ref`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, StoreError
from launch_action.core.job_inputs import read_object
from launch_action.core.version import SCHEMA_TITLE

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

# Bytes of a schema's file.
LIMIT = 1024 * 1024
_TOLD = 5
_LONG = 200
_SUFFIXES = (".json", ".yaml", ".yml")
_WANDB_KEYWORDS = frozenset({
    "type", "title", "description", "label", "placeholder", "required", "format", "enum",
    "properties", "allOf", "items", "uniqueItems", "minItems", "maxItems", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum",
})  # fmt: skip
_TYPES = {
    "number": "a number", "integer": "an integer", "string": "a text", "boolean": "true or false",
    "object": "an object", "array": "a list", "null": "null",
}  # fmt: skip
# Of a keyword: schemas by name, a list of schemas, or one.
_BY_NAME = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_ONE = ("items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames")


@dataclass(frozen=True, slots=True)
class InputSchema:
    """A checked schema. `document` is as it was given; `standard` is what JSON Schema reads."""

    document: Mapping[str, Any]
    standard: Mapping[str, Any]

    def render(self) -> bytes:
        """The schema as it is recorded."""
        return (json.dumps(self.document, indent=2) + "\n").encode("ascii")


def parse_schema(data: bytes, where: str) -> InputSchema:
    """Read and check the schema in a `.json`, `.yaml` or `.yml` file. Raises InputError."""
    if not where.endswith(_SUFFIXES):
        raise InputError(
            f"schema {where!r} is none of {', '.join(_SUFFIXES)}", hint="name a JSON or YAML file"
        )
    if len(data) > LIMIT:
        raise InputError(
            f"schema {where!r} has {len(data)} bytes", hint=f"a schema has {LIMIT} at most"
        )
    return checked_schema(_read(data, where), where)


def checked_schema(document: Mapping[str, Any], where: str) -> InputSchema:
    """The schema of this document. Raises InputError for one that is not valid, with its place."""
    try:
        standard = _standard(document)
    except RecursionError:
        _refuse(where, "", "it is nested too deeply")
    if "object" not in (types := document.get("type", "object")):
        _refuse(where, "type", f"the inputs of a job are an object, not {types!r}")
    schema = InputSchema(document, standard)
    _validator(schema, where)
    return schema


def stored_schema(data: bytes) -> InputSchema:
    """The schema of a recorded version. Raises StoreError for what is none, or not valid."""
    try:
        return checked_schema(json.loads(data), SCHEMA_TITLE)
    except (ValueError, RecursionError, AttributeError, InputError) as error:
        raise StoreError(
            f"the recorded {SCHEMA_TITLE} cannot be read: {error}",
            hint="record the job again with another --schema",
        ) from error


def wandb_notice(schema: InputSchema, where: str) -> str:
    """What to warn of: keywords that hold here, and that W&B does not read; empty for none."""
    found = dict.fromkeys(_beyond_wandb(schema.document, ()))
    if not found:
        return ""
    shown = ", ".join(list(found)[:_TOLD]) + (" ..." if len(found) > _TOLD else "")
    return f"schema {where!r}: W&B does not read {shown}; launch-action does"


def check_values(schema: InputSchema, values: Mapping[str, Any]) -> None:
    """Raise InputError naming the first value that is not as the schema says, and where.

    Defaults are not filled in: in JSON Schema `default` says something and does nothing.
    """
    errors = list(_validator(schema, "of the job").iter_errors(dict(values)))
    if not errors:
        return
    first, *more = (_told(schema, error) for error in errors[: _TOLD + 1])
    raise InputError(
        first,
        hint="give it with --set KEY=VALUE; `launch-action job describe` shows the job's inputs",
        context="\n".join(more),
    )


def _read(data: bytes, where: str) -> Mapping[str, Any]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"schema {where!r} is not UTF-8: {error}", hint="save it as UTF-8"
        ) from error
    if not where.endswith(".json"):
        return read_object(text, f"schema {where!r}")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"schema {where!r} is not JSON: {error}", hint="check the file") from error
    if not isinstance(found, dict):
        _refuse(where, "", "it is not an object")
    return found


def _standard(schema: Any) -> Any:
    """With W&B's `required: true` of a property in its object's own list, as JSON Schema has it."""
    if not isinstance(schema, Mapping):
        return schema
    found = {key: _inner(key, value) for key, value in schema.items()}
    if isinstance(found.get("required"), bool):
        del found["required"]
    properties = schema.get("properties")
    if isinstance(properties, Mapping):
        marked = [
            n for n, p in properties.items() if isinstance(p, Mapping) and p.get("required") is True
        ]
        own = found.get("required", [])
        if marked and isinstance(own, list):
            found["required"] = list(dict.fromkeys([*own, *marked]))
    return found


def _inner(keyword: str, value: Any) -> Any:
    if keyword in _BY_NAME and isinstance(value, Mapping):
        return {name: _standard(one) for name, one in value.items()}
    if keyword in _LISTS and isinstance(value, list):
        return [_standard(one) for one in value]
    return _standard(value) if keyword in _ONE else value


def _beyond_wandb(schema: Any, path: tuple[str, ...]) -> Iterator[str]:
    """The keywords, with their places, that W&B's form does not know."""
    if not isinstance(schema, Mapping):
        return
    for keyword, value in schema.items():
        place = (*path, keyword)
        if keyword not in _WANDB_KEYWORDS or (keyword == "required" and isinstance(value, list)):
            yield ".".join(place)
        elif keyword == "properties" and isinstance(value, Mapping):
            for name, one in value.items():
                yield from _beyond_wandb(one, (*place, name))
        elif keyword == "allOf" and isinstance(value, list):
            for at, one in enumerate(value):
                yield from _beyond_wandb(one, (*place, str(at)))
        elif keyword == "items":
            yield from _beyond_wandb(value, place)


def _validator(schema: InputSchema, where: str) -> Any:
    # Imported where it is used: most jobs have no schema.
    import jsonschema_rs

    try:
        return jsonschema_rs.validator_for(dict(schema.standard), retriever=_fetch_nothing)
    except jsonschema_rs.ValidationError as error:
        _refuse(where, _place(error.instance_path), error.message)
    except ValueError as error:
        _refuse(where, "", str(error).partition("\n")[0])


def _fetch_nothing(_: str) -> NoReturn:
    message = "a schema is complete in itself: nothing is fetched"
    raise ValueError(message)


def _refuse(where: str, place: str, what: str) -> NoReturn:
    at = f" at {place}" if place else ""
    raise InputError(
        f"schema {where!r} is no valid JSON Schema{at}: {what.partition(chr(10))[0]}",
        hint="see https://json-schema.org/understanding-json-schema",
    )


def _told(schema: InputSchema, error: ValidationError) -> str:
    """`lr: 'abc' is not a number (schema: properties.lr.type)`."""
    place, rule = _place(error.instance_path), _place(error.schema_path)
    value = "the value" if _is_secret(schema.standard, error.instance_path) else None
    kind = error.kind.name
    if kind == "type":
        text = f"{value or _shown(error.instance)} is not {_type(error.kind.as_dict())}"
    else:
        text = f"{value} breaks it" if value else _cut(error.message.partition("\n")[0])
    return f"{place or 'the inputs'}: {text} (schema: {rule})"


def _type(kind: Mapping[str, Any]) -> str:
    types: Iterable[str] = kind.get("types") or [kind.get("type", "")]
    return " or ".join(_TYPES.get(one, one) for one in types)


def _shown(value: Any) -> str:
    return _cut(repr(value))


def _cut(text: str) -> str:
    return text if len(text) <= _LONG else f"{text[:_LONG]}..."


def _place(path: Sequence[str | int]) -> str:
    return ".".join(map(str, path))


def _is_secret(schema: Any, path: Sequence[str | int]) -> bool:
    """Whether W&B's form hides what is typed here."""
    for step in (*path, None):
        if not isinstance(schema, Mapping):
            return False
        if schema.get("format") == "secret":
            return True
        if isinstance(step, str):
            properties = schema.get("properties")
            schema = properties.get(step) if isinstance(properties, Mapping) else None
        else:
            schema = schema.get("items")
    return False
