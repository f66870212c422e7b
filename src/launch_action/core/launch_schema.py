"""The JSON Schema of launch.yaml, made from the table of inputs: what `core.launch_file` accepts.

What is beyond a schema is said by the program alone: keys that differ in case only, two jobs of one
name, and the values of a container's limits.
"""

from __future__ import annotations

import json
from typing import Any

from launch_action.core.input_table import BY_NAME, Input
from launch_action.core.launch_file import KEY, LONGEST_KEY, MOST_JOBS, NOT_IN_DEFAULTS
from launch_action.core.launch_options import COMMANDS, NAME, NESTED, OPTIONS, PAIRS, PATHS

_SOME = r"[^\x00]*\S[^\x00]*"
_TEXT: dict[str, Any] = {"type": ["string", "number"], "pattern": rf"^{_SOME}$"}
_TEXTS: dict[str, Any] = {"anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": _TEXT}]}
_OUTSIDE = r"(?![\s\S]*(?:^|/)\.\.(?:/|$))(?!/)"
# What a text of these may not be.
_PLACES = {
    "base-image": rf"^(?!oci:){_SOME}$",
    "build-context": rf"^{_OUTSIDE}{_SOME}$",
    "schema": rf"^{_OUTSIDE}{_SOME}$",
}
_DURATION = r"^\s*(?=[^1-9]*[1-9])(?:\d+h)?(?:\d+m)?(?:\d+(?:\.\d+)?s?)?\s*$"
_PATHS_HELP = "Patterns as in .gitignore: a change of what they match is a change of the job."
_TITLE = "The jobs of a repository; also the table [tool.launch-action] of pyproject.toml."
_IMAGE = {**_TEXT, "description": "Repository below which each job has its own, by its key."}
_DEFAULTS = "Options of every job that does not say otherwise."
_LINE = r"^[^\n\r\x00]*$"


def schema() -> dict[str, Any]:
    """The schema (JSON Schema 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://launch-action.dev/launch.schema.json",
        "title": "launch.yaml of launch-action",
        "description": _TITLE,
        "type": "object",
        "required": ["jobs"],
        "additionalProperties": False,
        "properties": {
            "$schema": {"type": "string"},
            "image": _IMAGE,
            "defaults": _options(_DEFAULTS, NOT_IN_DEFAULTS),
            "jobs": {
                "description": "The jobs by their keys.",
                "type": "object",
                "minProperties": 1,
                "maxProperties": MOST_JOBS,
                "propertyNames": {"pattern": f"^{KEY}$", "maxLength": LONGEST_KEY},
                "additionalProperties": _options("A job.", frozenset()),
            },
        },
        "anyOf": [
            {"required": ["defaults"], "properties": {"defaults": {"required": ["entry-point"]}}},
            {"properties": {"jobs": {"additionalProperties": {"required": ["entry-point"]}}}},
        ],
    }


def page() -> str:
    """The text of docs/launch.schema.json."""
    return json.dumps(schema(), indent=2) + "\n"


def _options(description: str, without: frozenset[str]) -> dict[str, Any]:
    names = sorted(OPTIONS - without)
    return {
        "description": description,
        "type": "object",
        "additionalProperties": False,
        "properties": {name: _option(name) for name in names},
    }


def _option(name: str) -> dict[str, Any]:
    if name == PATHS:
        return {"description": _PATHS_HELP, **_TEXTS}
    known = BY_NAME[name]
    return {"description": known.help.replace("`", ""), **_values(known)}


def _values(known: Input) -> dict[str, Any]:
    if known.name == "set":
        return {"type": "object", "propertyNames": {"pattern": f"^{NESTED}$"}}
    if known.name in PAIRS:
        value = {"type": ["string", "number", "boolean"], "pattern": _LINE}
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^{NAME}$"},
            "additionalProperties": value,
        }
    if known.name in COMMANDS:
        return _TEXTS
    if known.name == "resource-args":
        return {"type": "object"}
    match known.kind:
        case "boolean":
            return {"type": "boolean"}
        case "tristate":
            return {"enum": [True, False, "auto"]}
        case "choice":
            return {"enum": list(known.choices)}
        case "duration":
            return {"type": ["string", "number"], "pattern": _DURATION, "exclusiveMinimum": 0}
        case "list" | "lines":
            return _TEXTS
        case _:
            return {**_TEXT, "pattern": _PLACES.get(known.name, _TEXT["pattern"])}


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
