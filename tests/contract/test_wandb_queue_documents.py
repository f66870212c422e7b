"""Our GraphQL of queues beside that of the installed SDK: whoever updates it is told here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from graphql import FieldNode, GraphQLError, OperationDefinitionNode, SelectionSetNode, parse

from launch_action.wandb import artifact_lookup, queues

PACKAGE = Path(wandb.__file__).parent
SOURCES = ("sdk/launch/api.py", "apis/public/jobs.py", "apis/public/runs.py")
# What W&B's own app asks of an item, and no query of the SDK; without it we ask for the rest alone.
BEYOND = {"runSpec", "createdAt", "launchAgentId", "error", "warnings"}
# How the SDK asks for the pages of other lists; without it we ask for the first hundred.
PAGED, CURSOR = "pageInfo", "$cursor:String"
OURS = {
    "EntityIsTeam": artifact_lookup.ENTITY,
    "ProjectRunQueues": queues.QUEUES,
    "GetRunQueueMetadata": queues.QUEUE,
    "GetDefaultResourceConfig": queues.CONFIG,
    "GetRunQueueItem": queues.ITEM.replace("FIELDS", queues.FIELDS),
    "GetRunQueueItems": queues.ITEMS.replace("FIELDS", queues.FIELDS),
    "GetRunQueueItems in pages": queues.PAGE.replace("FIELDS", queues.FIELDS),
    "DeleteFromRunQueue": queues.REMOVE,
    "LaunchAgent": queues.AGENT,
    "pushToRunQueueByName": queues.PUSH.replace("PARAMETERS", "").replace("FURTHER", ""),
}


def operation(document: str) -> OperationDefinitionNode:
    (found,) = parse(document).definitions
    assert isinstance(found, OperationDefinitionNode)
    return found


def theirs() -> dict[str, list[OperationDefinitionNode]]:
    """The operations in the SDK's sources, by name; those that it puts together are left out."""
    found: dict[str, list[OperationDefinitionNode]] = {}
    for source in SOURCES:
        for text in re.findall(r'"""(.*?)"""', (PACKAGE / source).read_text(), re.DOTALL):
            try:
                one = operation(text)
            except (GraphQLError, AssertionError, ValueError):
                continue
            found.setdefault(one.name.value if one.name else "", []).append(one)
    return found


THEIRS = theirs()


def paths(selection: SelectionSetNode | None, above: str = "") -> Iterator[str]:
    """Every field with the names of its arguments, as `project(entityName,name).runQueues.id`."""
    for field in selection.selections if selection else ():
        assert isinstance(field, FieldNode)
        given = ",".join(sorted(argument.name.value for argument in field.arguments or ()))
        path = f"{above}{field.name.value}{f'({given})' if given else ''}"
        yield path
        yield from paths(field.selection_set, f"{path}.")


@pytest.mark.parametrize("name", OURS)
def test_what_is_asked_is_what_the_sdk_asks(name: str) -> None:
    # Of all items it asks under the name of one too, and not for the first hundred.
    items = name.startswith("GetRunQueueItems")
    names = ("GetRunQueueItem", "GetRunQueueItems") if items else (name,)
    found = [one for name in names for one in THEIRS[name]]
    known = {path for one in found for path in paths(one.selection_set)}
    known |= {
        re.sub(r"runQueueItems(\(first\))?", f"runQueueItems({given})", path)
        for path in known
        for given in ("first", "after,first")
    }
    # An id is of every node.
    known |= {f"{path}.id" for path in known}
    asked = set(paths(operation(OURS[name]).selection_set))

    new = {path for path in asked - known if not (BEYOND | {PAGED}) & set(path.split("."))}
    assert not new


def variables(one: OperationDefinitionNode) -> set[str]:
    """The variables with their types, as `$itemId:ID!`."""
    text = one.loc.source.body if one.loc else ""
    return {re.sub(r"\s", "", found) for found in re.findall(r"\$\w+\s*:\s*[\w\[\]!]+", text)}


@pytest.mark.parametrize("name", OURS)
def test_the_types_of_the_variables_are_the_sdks(name: str) -> None:
    ours = variables(operation(OURS[name]))

    assert any(ours <= {*variables(one), CURSOR} for one in THEIRS[name.partition(" ")[0]])


def test_pages_are_asked_for_as_the_sdk_asks_for_those_of_runs() -> None:
    theirs = (PACKAGE / "apis/public/runs.py").read_text()

    for words in ("$cursor: String", "after: $cursor, first: ", "pageInfo", "endCursor"):
        assert words in theirs
        assert words in queues.PAGE


@pytest.mark.parametrize(
    "text", ["stopRun", "$last: Int!", "logLines(last: $last)", "line"], ids=str
)
def test_what_the_sdk_asks_in_its_service_is_there(text: str) -> None:
    """Stopping a run and the end of its log are asked by `wandb-core`, a program."""
    assert text.encode() in (PACKAGE / "bin" / "wandb-core").read_bytes()


@pytest.mark.parametrize("field", ["id", "state", "displayName", "summaryMetrics"])
def test_a_run_has_the_fields_that_are_read(field: str) -> None:
    from wandb.apis.public import runs

    assert re.search(rf"^\s*{field}$", runs.RUN_FRAGMENT, re.MULTILINE)
