"""What a recording that did not come to its end has left at W&B: versions that are pending.

W&B keeps such a version where no list of its own tools shows it, and they leave theirs. Ours are
known by the run that made them. The query is a part of the SDK's (`apis/public/artifacts.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import LaunchError
from launch_action.wandb.server import Server

# What a run that records is of, as W&B's lists of runs show it.
JOB_TYPE = "launch-action"
# No recording takes so long, whatever the difference of two machines' clocks: seconds.
_ABANDONED = 2 * 3600.0
PENDING = """
query ProjectArtifacts(
  $entity: String!, $project: String!, $type: String!, $collection: String!, $filters: JSONString
) {
  project(entityName: $entity, name: $project) {
    artifactType(name: $type) {
      artifactCollection(name: $collection) {
        artifacts(filters: $filters) {
          edges { node { id state createdAt createdBy { ... on Run { id name jobType } } } }
        }
      }
    }
  }
}
"""
DELETE_ARTIFACT = """
mutation DeleteArtifact($input: DeleteArtifactInput!) {
  deleteArtifact(input: $input) { artifact { id } }
}
"""
DELETE_RUN = """
mutation DeleteRun($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }
"""


@dataclass(frozen=True, slots=True)
class _Pending:
    """A version that was never committed. `run` is the identifier of the run that made it."""

    identifier: str
    created: str
    run: str
    run_name: str
    ours: bool


def remove_abandoned(
    server: Server,
    entity: str,
    project: str,
    artifacts: Iterable[tuple[str, str]],
    *,
    run_id: str,
    now: float,
) -> None:
    """Delete what is pending of this run, and of our runs that cannot be there any more.

    `artifacts` are kinds and names, `now` seconds since 1970. Never raises: what cannot be deleted
    stays, and is in nobody's way.
    """
    for kind, name in artifacts:
        where = {"entity": entity, "project": project, "type": kind, "collection": name}
        try:
            for one in _pending(server, where):
                if one.run_name == run_id:
                    _delete(server, one)
                elif one.ours and now - _seconds(one.created) > _ABANDONED:
                    _delete(server, one)
                    server.ask(DELETE_RUN, {"id": one.run})
        except LaunchError:
            continue


def _delete(server: Server, one: _Pending) -> None:
    server.ask(DELETE_ARTIFACT, {"input": {"artifactID": one.identifier, "deleteAliases": True}})


def _pending(server: Server, where: Mapping[str, str]) -> Iterator[_Pending]:
    data = server.ask(PENDING, {**where, "filters": json.dumps({"state": "PENDING"})})
    for node in _nodes(data):
        run = node.get("createdBy") or {}
        # A server may not know the filter: what is committed is not touched.
        if node.get("state") == "PENDING" and run.get("name"):
            yield _Pending(
                str(node["id"]),
                str(node.get("createdAt")),
                str(run.get("id")),
                str(run["name"]),
                run.get("jobType") == JOB_TYPE,
            )


def _nodes(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    try:
        edges = data["project"]["artifactType"]["artifactCollection"]["artifacts"]["edges"]
        return [edge["node"] for edge in edges]
    except (KeyError, TypeError):  # no such project, kind or artifact
        return []


def _seconds(created: str) -> float:
    """RFC 3339 as seconds since 1970; what is none is of now, and not old."""
    try:
        return datetime.fromisoformat(created).timestamp()
    except ValueError:
        return float("inf")
