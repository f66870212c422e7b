"""Versions of artifacts at a W&B server, found by reference or identifier.

The queries are those of the W&B SDK 0.31 (`sdk/artifacts/_generated/operations.py`) with the fields
that are used here; a test compares them with the installed SDK's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import ServiceError, StoreError
from launch_action.core.spelling import nearest
from launch_action.core.wandb_reference import ArtifactReference
from launch_action.wandb.server import Server

_PAGE = 1000
_ARTIFACT = """
      id digest state description metadata createdAt versionIndex
      digestAlgorithm
      artifactType { name }
      artifactSequence { name project { name entity { name } } }
"""
MEMBERSHIP = f"""
query ArtifactMembershipByName($entity: String!, $project: String!, $name: String!) {{
  project(name: $project, entityName: $entity) {{
    artifactCollectionMembership(name: $name) {{
      versionIndex
      aliases {{ alias }}
      artifact {{{_ARTIFACT}}}
    }}
  }}
}}
"""
BY_IDENTIFIER = f"""
query ArtifactByID($id: ID!) {{
  artifact(id: $id) {{{_ARTIFACT}}}
}}
"""
COLLECTIONS = """
query ArtifactTypeArtifactCollections(
  $entity: String!, $project: String!, $type: String!, $cursor: String, $perPage: Int
) {
  project(entityName: $entity, name: $project) {
    artifactType(name: $type) {
      artifactCollections(after: $cursor, first: $perPage) {
        edges { node { name aliases { edges { node { alias } } } } }
      }
    }
  }
}
"""


@dataclass(frozen=True, slots=True)
class ArtifactVersion:
    """A version of an artifact; `reference` names it by its version, such as `v3`.

    `digest` is of its list of files, by `algorithm`; `created` is RFC 3339. `metadata` is whatever
    its maker put there.
    """

    reference: ArtifactReference
    identifier: str
    kind: str
    digest: str
    algorithm: str
    aliases: tuple[str, ...]
    description: str
    metadata: Mapping[str, Any]
    created: str


def find_version(server: Server, reference: ArtifactReference, kind: str) -> ArtifactVersion:
    """A version by alias or number.

    Raises StoreError with the nearest names where there is none, or none of this kind.
    """
    version, project = look_up(server, reference)
    if version is None:
        raise _unknown(server, reference, kind, project)
    if version.kind != kind:
        raise StoreError(
            f"{str(reference)!r} at W&B is no {kind}, but an artifact of type {version.kind!r}",
            hint="name a job, as `wandb job list` shows them",
        )
    # A linked artifact is found in a collection that is not its own: it is read where it is.
    return version


def asked_version(server: Server, reference: ArtifactReference) -> ArtifactVersion | None:
    """A version by alias or number; None where there is none."""
    return look_up(server, reference)[0]


def look_up(server: Server, reference: ArtifactReference) -> tuple[ArtifactVersion | None, bool]:
    """A version by alias or number, None where there is none; and whether its project is there."""
    name = f"{reference.name}:{reference.alias}"
    variables = {"entity": reference.entity, "project": reference.project, "name": name}
    project = server.ask(MEMBERSHIP, variables).get("project")
    found = project.get("artifactCollectionMembership") if isinstance(project, dict) else None
    if not isinstance(found, dict) or not found.get("artifact"):
        return None, project is not None
    return _version(found["artifact"], found.get("aliases") or ()), True


def version_of(server: Server, identifier: str) -> ArtifactVersion:
    """A version by the identifier that the server gave it. Raises StoreError where it is gone."""
    found = server.ask(BY_IDENTIFIER, {"id": identifier}).get("artifact")
    if not isinstance(found, dict):
        raise StoreError(
            f"no artifact with the identifier {identifier!r} at W&B",
            hint="it was deleted, or is not visible to this key; create the job again",
        )
    return _version(found, ())


def _version(found: Mapping[str, Any], aliases: Sequence[Mapping[str, Any]]) -> ArtifactVersion:
    try:
        sequence = found["artifactSequence"]
        project = sequence["project"]
        entity, index = str(project["entity"]["name"]), int(found["versionIndex"])
        reference = ArtifactReference(
            entity, str(project["name"]), str(sequence["name"]), f"v{index}"
        )
        if found.get("state") != "COMMITTED":
            state = str(found.get("state")).lower()
            raise StoreError(
                f"{str(reference)!r} at W&B is {state}", hint="create it again, or name another"
            )
        return ArtifactVersion(
            reference,
            str(found["id"]),
            str(found["artifactType"]["name"]),
            str(found["digest"]),
            str(found.get("digestAlgorithm") or "MANIFEST_MD5"),
            tuple(str(one["alias"]) for one in aliases),
            str(found.get("description") or ""),
            _metadata(found.get("metadata")),
            str(found.get("createdAt") or ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ServiceError(
            f"W&B's answer about an artifact cannot be read: {error!r}",
            hint="is WANDB_BASE_URL the address of a W&B server, and is it of this time?",
        ) from error


def _metadata(value: Any) -> Mapping[str, Any]:
    """What W&B keeps as JSON text."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _unknown(server: Server, reference: ArtifactReference, kind: str, there: bool) -> StoreError:
    place = f"{reference.entity}/{reference.project}"
    known = _collections(server, reference, kind)
    if not there or known is None:
        return StoreError(
            f"no project {place!r} at W&B, or none that this key may read",
            hint="check entity and project: wandb:ENTITY/PROJECT/NAME:ALIAS",
        )
    if reference.name in known:
        aliases = known[reference.name]
        near = nearest(reference.alias, aliases, count=3) or sorted(aliases)[:10]
        hint = f"it has: {', '.join(near)}" if near else "it has none"
        return StoreError(
            f"{kind} {reference.name!r} of {place!r} at W&B has no {reference.alias!r}", hint=hint
        )
    near = nearest(reference.name, list(known), count=5)
    listed = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(sorted(known)[:20])}"
    return StoreError(
        f"no {kind} {reference.name!r} in {place!r} at W&B",
        hint=listed if known else f"the project has no {kind}s",
    )


def _collections(
    server: Server, reference: ArtifactReference, kind: str
) -> dict[str, list[str]] | None:
    """The aliases of the project's artifacts of a kind, by name; None where it has no such kind."""
    variables = {
        "entity": reference.entity,
        "project": reference.project,
        "type": kind,
        "perPage": _PAGE,
    }
    try:
        project = server.ask(COLLECTIONS, variables)["project"]
        kinds = project["artifactType"]
        edges = kinds["artifactCollections"]["edges"] if kinds else ()
        return {str(one["node"]["name"]): _aliases(one["node"]) for one in edges}
    except (KeyError, TypeError, ServiceError):
        return None


def _aliases(node: Mapping[str, Any]) -> list[str]:
    return [str(edge["node"]["alias"]) for edge in node["aliases"]["edges"]]
