"""What an upload that did not come to its end has left at W&B: versions that are pending.

W&B keeps such a version where no list of its own tools shows it, and they leave theirs. Ours are
known by the run that made them.
"""

from __future__ import annotations

from collections.abc import Iterable

from launch_action.core.errors import LaunchError
from launch_action.wandb.artifact_list import Collection, ListedVersion, latest_versions
from launch_action.wandb.server import Server

# No upload takes so long, whatever the difference of two machines' clocks: seconds.
_ABANDONED = 2 * 3600.0
DELETE_ARTIFACT = """
mutation DeleteArtifact($input: DeleteArtifactInput!) {
  deleteArtifact(input: $input) { artifact { id } }
}
"""
DELETE_RUN = """
mutation DeleteRun($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }
"""


def remove_abandoned(
    server: Server, artifacts: Iterable[Collection], *, run_id: str, now: float
) -> None:
    """Delete what is pending of this run, and of our runs that cannot be there any more.

    `now` is in seconds since 1970. Never raises: what cannot be deleted stays, and is in nobody's
    way.
    """
    for artifact in artifacts:
        try:
            for one in latest_versions(server, artifact, "PENDING"):
                if one.run_name == run_id:
                    _delete(server, one)
                elif one.ours and one.run and now - one.created > _ABANDONED:
                    _delete(server, one)
                    server.ask(DELETE_RUN, {"id": one.run})
        except LaunchError:
            continue


def _delete(server: Server, one: ListedVersion) -> None:
    server.ask(DELETE_ARTIFACT, {"input": {"artifactID": one.identifier, "deleteAliases": True}})
