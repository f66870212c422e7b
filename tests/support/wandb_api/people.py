"""Who asks, and what the server is: the viewer, entities, features."""

from __future__ import annotations

from dataclasses import dataclass

from support.wandb_api.graphql import Node, edges
from support.wandb_api.queues import Queues
from support.wandb_api.state import State


@dataclass(frozen=True, slots=True)
class People:
    """The queries about users, entities and the server."""

    state: State
    queues: Queues

    def queries(self) -> Node:
        return {
            "viewer": self._viewer,
            "entity": self._entity,
            "serverInfo": self._server,
            "organization": lambda name: None,
        }

    def _viewer(self) -> Node:
        user = self.state.user
        teams = [{"name": name} for name in self.state.entities if name != user]
        return {
            "__typename": "User",
            "id": "VXNlcjox",
            "entity": user,
            "username": user,
            "name": user,
            "email": f"{user}@example.org",
            "admin": False,
            "flags": "{}",
            "deletedAt": None,
            "apiKeys": edges([]),
            "teams": edges(teams),
        }

    def _entity(self, name: str) -> Node | None:
        if name not in self.state.entities:
            return None
        return {
            "__typename": "Entity",
            "id": f"entity-{name}",
            "name": name,
            "isTeam": self.state.entities[name],
            "xxhashDigestsEnabled": self.state.xxhash,
            "organization": None,
            "user": None,
            **self.queues.of_entity(name),
        }

    def _server(self) -> Node:
        return {
            "__typename": "ServerInfo",
            "features": [{"name": "ARTIFACT_DIGEST_ALGORITHM", "isEnabled": self.state.xxhash}],
            "latestLocalVersionInfo": None,
            "cliVersionInfo": None,
        }
