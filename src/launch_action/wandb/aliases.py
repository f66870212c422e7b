"""Aliases of versions at W&B, moved and taken away: what the SDK's `Artifact.save` asks for.

The mutations are those of the W&B SDK 0.31 (`sdk/artifacts/_generated/operations.py`), with which a
test compares them. An alias names one version of a collection: to add it is to move it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

from launch_action.wandb.account import Account
from launch_action.wandb.artifact_versions import ArtifactVersion
from launch_action.wandb.recorded import Found
from launch_action.wandb.server import Server

ADD = """
mutation AddAliases($input: AddAliasesInput!) { result: addAliases(input: $input) { success } }
"""
REMOVE = """
mutation DeleteAliases($input: DeleteAliasesInput!) {
  result: deleteAliases(input: $input) { success }
}
"""


def complete_aliases(account: Account, found: Found) -> None:
    """Move the aliases to a version that it is to have and lacks. Raises ServiceError."""
    if found.lacking:
        with closing(account.server()) as server:
            server.ask(ADD, _input(found.version, found.lacking))


def remove_aliases(server: Server, version: ArtifactVersion, aliases: Sequence[str]) -> None:
    """Take aliases off a version, which stays. Raises ServiceError."""
    if aliases:
        server.ask(REMOVE, _input(version, aliases))


def _input(version: ArtifactVersion, aliases: Sequence[str]) -> dict[str, Any]:
    place = version.reference
    collection = {
        "entityName": place.entity,
        "projectName": place.project,
        "artifactCollectionName": place.name,
    }
    named = [{**collection, "alias": alias} for alias in aliases]
    return {"input": {"artifactID": version.identifier, "aliases": named}}
