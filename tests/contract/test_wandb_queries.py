"""What is asked of W&B is what the installed SDK asks: its fields, of its operations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphql import FieldNode, OperationDefinitionNode, parse, visit
from graphql.language import Visitor
from wandb.apis._generated.operations import GET_AGENT_RUNS_GQL
from wandb.sdk.artifacts._generated import operations

from launch_action.wandb.abandoned import DELETE_ARTIFACT
from launch_action.wandb.aliases import ADD, REMOVE
from launch_action.wandb.artifact_files import FILES, MANIFEST
from launch_action.wandb.artifact_list import LIST
from launch_action.wandb.artifact_versions import BY_IDENTIFIER, COLLECTIONS, MEMBERSHIP


class _Fields(Visitor):
    """The names of fields and of their arguments, wherever they stand."""

    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def enter_field(self, node: FieldNode, *_: object) -> None:
        arguments = sorted(argument.name.value for argument in node.arguments or ())
        self.found |= {node.name.value, *(f"{node.name.value}({one})" for one in arguments)}


def fields(document: str) -> set[str]:
    seen = _Fields()
    visit(parse(document), seen)
    return seen.found


def operation(document: str) -> OperationDefinitionNode:
    found = parse(document).definitions[0]
    assert isinstance(found, OperationDefinitionNode)
    return found


def variables(document: str) -> Iterator[tuple[str, str]]:
    for one in operation(document).variable_definitions or ():
        kind = one.type.to_dict()
        yield one.variable.name.value, str(kind)


THEIRS = {
    operation(text).name.value: text  # type: ignore[union-attr]
    for name, text in vars(operations).items()
    if name.endswith("_GQL")
}


@pytest.mark.parametrize(
    "mine", [ADD, REMOVE, MEMBERSHIP, BY_IDENTIFIER, MANIFEST, FILES, COLLECTIONS]
)
def test_a_query_is_a_part_of_the_sdk_s(mine: str) -> None:
    name = operation(mine).name
    assert name
    theirs = THEIRS[name.value]
    # The aliases of a collection are asked for in an operation of their own.
    known = fields(theirs) | fields(THEIRS["ArtifactCollectionAliases"])

    assert fields(mine) <= known
    given = {variable for variable, _ in variables(theirs)}
    assert {variable for variable, _ in variables(mine)} <= given


def test_versions_are_listed_by_fields_of_the_sdk_s() -> None:
    """Which run made a version is an operation of its own there, and so is a run's type."""
    known = fields(THEIRS["ProjectArtifacts"]) | fields(THEIRS["ArtifactCreatedBy"])
    assert fields(LIST) <= known | fields(GET_AGENT_RUNS_GQL)
    given = dict(variables(THEIRS["ProjectArtifacts"]))
    assert dict(variables(LIST)).items() <= given.items()
    assert dict(variables(DELETE_ARTIFACT)) == dict(variables(THEIRS["DeleteArtifact"]))
    assert fields(DELETE_ARTIFACT) <= fields(THEIRS["DeleteArtifact"])
