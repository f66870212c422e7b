"""The latest versions of an artifact, committed or only begun, and which runs made them.

The query is a part of two of the W&B SDK's (`sdk/artifacts/_generated/operations.py`), with which a
test compares it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from launch_action.core.dataclass import dataclass
from launch_action.wandb.server import Server

# What a run that uploads is of, as W&B's lists of runs show it.
JOB_TYPE = "launch-action"
_MOST = 50
LIST = """
query ProjectArtifacts(
  $entity: String!, $project: String!, $type: String!, $collection: String!,
  $perPage: Int, $order: String, $filters: JSONString
) {
  project(entityName: $entity, name: $project) {
    artifactType(name: $type) {
      artifactCollection(name: $collection) {
        artifacts(first: $perPage, order: $order, filters: $filters) {
          edges {
            node {
              id versionIndex digest state createdAt createdBy { ... on Run { id name jobType } }
            }
          }
        }
      }
    }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Collection:
    """An artifact of a project, with all its versions."""

    entity: str
    project: str
    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version; `number` is -1 of one that is only begun.

    `created` is in seconds since 1970, `run` the identifier of the run that made it and `run_name`
    that run's id, both empty where there is none any more; `ours` says whether it is one of ours.
    """

    identifier: str
    number: int
    digest: str
    created: float
    run: str
    run_name: str
    ours: bool


def latest_versions(
    server: Server, of: Collection, state: Literal["PENDING", "COMMITTED"]
) -> Iterator[ListedVersion]:
    """Those in a state, the latest first, 50 at most. Raises ServiceError."""
    variables = {
        "entity": of.entity,
        "project": of.project,
        "type": of.kind,
        "collection": of.name,
        "perPage": _MOST,
        "order": "-createdAt",
        "filters": json.dumps({"state": state}),
    }
    for node in _nodes(server.ask(LIST, variables)):
        # A server may not know the filter.
        if node.get("state") == state:
            yield _listed(node)


def _listed(node: Mapping[str, Any]) -> ListedVersion:
    run, number = node.get("createdBy") or {}, node.get("versionIndex")
    return ListedVersion(
        identifier=str(node["id"]),
        number=number if isinstance(number, int) else -1,
        digest=str(node.get("digest")),
        created=_seconds(str(node.get("createdAt"))),
        run=str(run.get("id") or ""),
        run_name=str(run.get("name") or ""),
        ours=run.get("jobType") == JOB_TYPE,
    )


def _nodes(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    try:
        edges = data["project"]["artifactType"]["artifactCollection"]["artifacts"]["edges"]
        return [edge["node"] for edge in edges]
    except (KeyError, TypeError):  # no such project, kind or artifact
        return []


def _seconds(created: str) -> float:
    """RFC 3339 as seconds since 1970, UTC where it has no zone; what is none is of the future."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return float("inf")
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
