"""What GitHub's description says of a request and of an answer, as checks of both."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
from support.github_description import METHODS, description

# What may stand in a path segment; GitHub's tags may hold slashes.
_SEGMENT = {"tag": r".+", "ref": r".+"}
# Lists that GitHub pages as every other, which its description forgets to say.
_PAGED = frozenset({"packages/get-all-package-versions-for-package-owned-by-user"})
_KEEP = frozenset({"example", "examples", "default", "enum", "const"})


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path of the description."""

    name: str
    method: str
    path: str
    about: Mapping[str, Any]
    edition: str

    def wrong_query(self, query: Mapping[str, str]) -> str:
        """What the description has against a query; empty when nothing."""
        known = {one["name"]: one["schema"] for one in self._parameters("query")}
        if self.name in _PAGED:
            known |= {key: {"type": "integer"} for key in ("page", "per_page")}
        for name, text in query.items():
            if name not in known:
                return f"{self.name} has no query parameter {name!r}"
            error = _against(_schema(known[name], self.edition), _typed(text, known[name]))
            if error:
                return f"query parameter {name}: {error}"
        return ""

    def wrong_path(self, values: Mapping[str, str]) -> str:
        """What the description has against the values in the path."""
        for one in self._parameters("path"):
            error = _against(
                _schema(one["schema"], self.edition), _typed(values[one["name"]], one["schema"])
            )
            if error:
                return f"path parameter {one['name']}: {error}"
        return ""

    def wrong_body(self, body: Any) -> str:
        """What the description has against a body, names that it does not know included."""
        asked = self.about.get("requestBody")
        if asked is None:
            return f"{self.name} takes no body" if body is not None else ""
        if body is None:
            return "a body is required" if asked.get("required") else ""
        schema = asked["content"]["application/json"]["schema"]
        unknown = set(body) - _known(schema) if isinstance(body, dict) else set()
        if unknown:
            return f"{self.name} knows no {', '.join(sorted(unknown))}"
        return _against(_schema(schema, self.edition), body)

    def wrong_answer(self, status: int, body: Any) -> str:
        """What the description has against an answer."""
        found = self.about["responses"].get(str(status))
        if found is None:
            # GitHub refuses in ways that are the same everywhere and described only in part.
            found = {"content": {"application/json": {"schema": _ERROR}}} if status >= 400 else None
        if found is None:
            return f"{self.name} never answers {status}"
        found = resolve(found, self.edition)
        content = found.get("content", {}).get("application/json")
        if content is None:
            return "" if body is None or status >= 400 else f"{status} has no body"
        return _against(_schema(content["schema"], self.edition), body)

    def example(self, status: int) -> Any:
        """The example answer of the description, to be changed at will."""
        content = self.about["responses"][str(status)]["content"]["application/json"]
        first = next(iter(content["examples"].values()))
        return copy.deepcopy(resolve(first, self.edition)["value"])

    def _parameters(self, place: str) -> list[Mapping[str, Any]]:
        shared = described(self.edition)["paths"][self.path].get("parameters", [])
        every = [resolve(one, self.edition) for one in (*shared, *self.about.get("parameters", []))]
        return [one for one in every if one["in"] == place]


_ERROR = {"$ref": "#/components/schemas/basic-error"}


@functools.cache
def described(edition: str) -> dict[str, Any]:
    """The description of an edition, read once a process."""
    return description(edition)


@functools.cache
def operations(edition: str) -> Mapping[str, Operation]:
    """Every operation by its name in the description (`issues/create-comment`)."""
    return {
        about["operationId"]: Operation(about["operationId"], method.upper(), path, about, edition)
        for path, methods in described(edition)["paths"].items()
        for method, about in methods.items()
        if method in METHODS
    }


def find(edition: str, method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation of a request with the values of its path."""
    for pattern, operation in _patterns(edition):
        match = pattern.fullmatch(path)
        if match and operation.method == method:
            return operation, match.groupdict()
    return None


@functools.cache
def _patterns(edition: str) -> list[tuple[re.Pattern[str], Operation]]:
    """Paths with fewer placeholders first, so that `tags` is not taken for a release's id."""
    ordered = sorted(operations(edition).values(), key=lambda one: (one.path.count("{"), one.path))
    return [
        (re.compile(re.sub(r"\{(\w+)\}", _group, re.escape(one.path).replace(r"\{", "{")
                           .replace(r"\}", "}"))), one)
        for one in ordered
    ]  # fmt: skip


def _group(match: re.Match[str]) -> str:
    return f"(?P<{match[1]}>{_SEGMENT.get(match[1], '[^/]+')})"


def resolve(found: Mapping[str, Any], edition: str) -> Mapping[str, Any]:
    """What a reference means."""
    while "$ref" in found:
        _, _, kind, name = found["$ref"].split("/")
        found = described(edition)["components"][kind][name]
    return found


def _known(schema: Mapping[str, Any]) -> set[str]:
    """The names that an object may have, its alternatives' included."""
    names = set(schema.get("properties", ()))
    for kind in ("allOf", "anyOf", "oneOf"):
        for one in schema.get(kind, ()):
            names |= _known(one)
    return names


def _typed(text: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") == "integer" and re.fullmatch(r"-?[0-9]+", text):
        return int(text)
    return text == "true" if text in ("true", "false") and schema["type"] == "boolean" else text


def _schema(schema: Mapping[str, Any], edition: str) -> jsonschema_rs.Validator:
    return _compiled(json.dumps(schema, sort_keys=True), edition)


@functools.cache
def _compiled(schema: str, edition: str) -> jsonschema_rs.Validator:
    document = json_schema(json.loads(schema)) | {"components": {"schemas": _components(edition)}}
    return jsonschema_rs.Draft202012Validator(document, validate_formats=True)


@functools.cache
def _components(edition: str) -> Mapping[str, Any]:
    return {
        name: json_schema(one) for name, one in described(edition)["components"]["schemas"].items()
    }


def json_schema(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as JSON Schema: `nullable` is a type there."""
    if isinstance(schema, list):
        return [json_schema(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        name: value
        if name in _KEEP
        else {key: json_schema(one) for key, one in value.items()}
        if name == "properties"
        else json_schema(value)
        for name, value in schema.items()
        # GitHub gives an empty text where it says that an address's default is one.
        if name != "nullable" and (name != "format" or schema.get("default") != "")
    }
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") is True else found


def _against(validator: jsonschema_rs.Validator, value: Any) -> str:
    try:
        validator.validate(value)
    except jsonschema_rs.ValidationError as error:
        where = "/".join(str(one) for one in error.instance_path)
        said = error.message  # which may hold the whole value, and ends with what is wrong
        return f"{where or 'it'}: {said if len(said) < 500 else said[:200] + '...' + said[-200:]}"
    return ""
