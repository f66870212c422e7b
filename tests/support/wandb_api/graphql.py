"""GraphQL as far as W&B's clients speak it: a document is read, and answered from nested nodes.

A node is a mapping of its fields; a field that is a function is called with the arguments of the
query. A field that a node has not is refused in the words that W&B's clients look for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    parse,
)
from graphql.utilities import value_from_ast_untyped

Node = Mapping[str, Any]
# Types that exist under an interface; a fragment on any other type matches every node.
_CONCRETE = {"ArtifactSequence", "ArtifactPortfolio", "Run", "User"}


class Refused(Exception):
    """An answer with an error of GraphQL, and W&B's HTTP status for it."""

    def __init__(self, message: str, status: int = 400, code: str = "") -> None:
        super().__init__(message)
        self.message, self.status, self.code = message, status, code


@dataclass(frozen=True, slots=True)
class Request:
    """One operation that was asked for."""

    operation: str
    kind: str
    document: DocumentNode
    variables: Mapping[str, Any]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Request:
        document = parse(str(body["query"]))
        found = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
        name = found[0].name.value if found[0].name else ""
        return cls(name, found[0].operation.value, document, body.get("variables") or {})

    @property
    def fields(self) -> list[str]:
        """The root fields, which are the names of a mutation."""
        return [field.name.value for field in _fields(self, _operation(self).selection_set, "")]


def answer(request: Request, root: Node) -> dict[str, Any]:
    """The data of the operation. Raises Refused."""
    return _select(request, _operation(request).selection_set, {"__typename": "Root", **root})


def _operation(request: Request) -> OperationDefinitionNode:
    return next(d for d in request.document.definitions if isinstance(d, OperationDefinitionNode))


def _select(request: Request, selection: SelectionSetNode, node: Node) -> dict[str, Any]:
    kind = str(node.get("__typename", ""))
    found = {}
    for field in _fields(request, selection, kind):
        name = field.name.value
        if name not in node:
            raise Refused(f'Cannot query field "{name}" on type "{kind or node}".')
        value = node[name]
        if isinstance(value, Callable):  # type: ignore[arg-type]
            value = value(**_arguments(request, field))
        key = field.alias.value if field.alias else name
        found[key] = _project(request, field, value)
    return found


def _project(request: Request, field: FieldNode, value: Any) -> Any:
    if field.selection_set is None or value is None:
        return value
    if isinstance(value, list):
        return [_project(request, field, one) for one in value]
    return _select(request, field.selection_set, value)


def _fields(request: Request, selection: SelectionSetNode, kind: str) -> Iterator[FieldNode]:
    for one in selection.selections:
        if not _included(request, one):
            continue
        match one:
            case FieldNode():
                yield one
            case FragmentSpreadNode():
                fragment = _fragment(request, one.name.value)
                if _matches(fragment.type_condition.name.value, kind):
                    yield from _fields(request, fragment.selection_set, kind)
            case InlineFragmentNode():
                wanted = one.type_condition.name.value if one.type_condition else kind
                if _matches(wanted, kind):
                    yield from _fields(request, one.selection_set, kind)


def _matches(wanted: str, kind: str) -> bool:
    return wanted == kind or wanted not in _CONCRETE


def _fragment(request: Request, name: str) -> FragmentDefinitionNode:
    for definition in request.document.definitions:
        if isinstance(definition, FragmentDefinitionNode) and definition.name.value == name:
            return definition
    raise Refused(f'Unknown fragment "{name}".')


def _included(request: Request, node: Any) -> bool:
    for directive in node.directives or ():
        arguments = {
            a.name.value: value_from_ast_untyped(a.value, dict(request.variables))
            for a in directive.arguments or ()
        }
        if directive.name.value == "include" and not arguments["if"]:
            return False
        if directive.name.value == "skip" and arguments["if"]:
            return False
    return True


def _arguments(request: Request, field: FieldNode) -> dict[str, Any]:
    defaults = {
        v.variable.name.value: value_from_ast_untyped(v.default_value)
        for v in _operation(request).variable_definitions or ()
        if v.default_value is not None
    }
    known = {**defaults, **request.variables}
    found = {
        argument.name.value: value_from_ast_untyped(argument.value, known)
        for argument in field.arguments or ()
    }
    return {name: _given(value) for name, value in found.items()}


def _given(value: Any) -> Any:
    """An argument without what a variable that was not given leaves."""
    from graphql import Undefined

    if isinstance(value, dict):
        return {key: _given(one) for key, one in value.items() if one is not Undefined}
    return None if value is Undefined else value


def edges(nodes: list[Any], first: int | None = None, after: str | None = None) -> dict[str, Any]:
    """A connection: the page of the `first` nodes after a cursor; without both all of them."""
    begin = int(after) if after else 0
    end = min(begin + first, len(nodes)) if first is not None else len(nodes)
    more = {"endCursor": str(end) if end > begin else None, "hasNextPage": end < len(nodes)}
    return {
        "__typename": "Connection",
        "totalCount": len(nodes),
        "pageInfo": {"__typename": "PageInfo", **more},
        "edges": [
            {"node": node, "cursor": str(place)}
            for place, node in enumerate(nodes[begin:end], begin + 1)
        ],
    }
