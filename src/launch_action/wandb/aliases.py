"""Aliases of versions at W&B, moved and taken away: what the SDK's `Artifact.save` asks for.

The mutations are those of the W&B SDK 0.31 (`sdk/artifacts/_generated/operations.py`), with which a
test compares them. An alias names one version of a collection: to add it is to move it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from launch_action.core.dataclass import replace
from launch_action.core.errors import ServiceError
from launch_action.core.wandb_reference import ArtifactReference
from launch_action.wandb.account import Account
from launch_action.wandb.artifact_lookup import Found
from launch_action.wandb.artifact_versions import ArtifactVersion, asked_version
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
            _change(server, ADD, found.version, found.lacking)


def own_version(
    server: Server, reference: ArtifactReference, kind: str, store: str
) -> ArtifactVersion | None:
    """The version that an alias names; None where it names none of ours.

    One that was recorded from another repository than `store` is another's. Raises ServiceError.
    """
    version = asked_version(server, reference)
    return version if version and version.kind == kind and _is_of(version, store) else None


def remove_alias(
    server: Server, reference: ArtifactReference, kind: str, store: str
) -> ArtifactVersion | None:
    """Take an alias off `own_version`, which stays; what that is. Raises ServiceError."""
    version = own_version(server, reference, kind, store)
    if version:
        _change(server, REMOVE, version, [reference.alias])
    return version


def hand_over(server: Server, uploaded: ArtifactReference, alias: str, to: str) -> None:
    """Give an alias that a version has no more to the version named `to`, where W&B has that.

    Else it is taken off, also where `to` is empty; one that names another version by now is left.
    Raises ServiceError.
    """
    named = asked_version(server, replace(uploaded, alias=alias))
    if named is None or named.reference.alias != uploaded.alias:
        return
    other = asked_version(server, replace(uploaded, alias=to)) if to else None
    if other:
        _change(server, ADD, other, [alias])
    else:
        _change(server, REMOVE, named, [alias])


def _is_of(version: ArtifactVersion, store: str) -> bool:
    """Whether a version is of this store, as far as its metadata says of which it is.

    A job whose metadata has nothing of ours was made by other tools.
    """
    own = version.metadata.get("launch_action")
    if not isinstance(own, dict):
        return version.kind != "job"  # code is in metadata of W&B's form alone
    job = own.get("job")
    return not isinstance(job, str) or job.partition("@")[0] == store


def _change(
    server: Server, mutation: str, version: ArtifactVersion, aliases: Sequence[str]
) -> None:
    place = version.reference
    collection = {
        "entityName": place.entity,
        "projectName": place.project,
        "artifactCollectionName": place.name,
    }
    named = [{**collection, "alias": alias} for alias in aliases]
    asked = {"input": {"artifactID": version.identifier, "aliases": named}}
    done = server.ask(mutation, asked).get("result")
    if isinstance(done, dict) and done.get("success") is False:
        raise ServiceError(
            f"W&B at {server.host} has not changed {', '.join(aliases)} of {str(place)!r}",
            hint="are they protected there, or is somebody else changing them? Run it again",
        )
