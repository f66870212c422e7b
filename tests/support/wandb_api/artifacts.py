"""Artifacts as they are read: collections, versions, memberships by alias, files."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from support.wandb_api.graphql import Node, edges
from support.wandb_api.state import Row, State

VERSION = re.compile(r"v\d+")


@dataclass(frozen=True, slots=True)
class Artifacts:
    """The queries about artifacts. `url` is where the server's files are."""

    state: State
    url: str

    def queries(self) -> Node:
        return {
            "artifact": lambda id: self.node(self.state.tables["artifacts"].get(id)),
            "artifactCollection": lambda id: self.collection(self.state.row("collections", id)),
            "clientIDMapping": self._client_id,
        }

    def of_project(self, project: Row) -> Node:
        """The fields of a project that are about artifacts."""
        where: dict[str, Any] = {"entity": project["entity"], "project": project["name"]}

        def kinds() -> list[str]:
            return sorted({c["type"] for c in self.state.all("collections", **where)})

        def kind(name: str) -> Node | None:
            found = name in kinds()
            return self._kind(where, name) if found else None

        def named(name: str) -> Node | None:
            return self.collection(self.state.find("collections", **where, name=name))

        def membership(name: str) -> Node | None:
            collection, _, alias = name.partition(":")
            row = self.state.find("collections", **where, name=collection)
            return self._membership(row, self.at(row, alias or "latest")) if row else None

        def artifact(name: str) -> Node | None:
            found = membership(name)
            return found["artifact"] if found else None

        return {
            "artifactTypes": lambda **_: edges([self._kind(where, name) for name in kinds()]),
            "artifactType": kind,
            "artifactCollection": named,
            "artifactCollections": lambda **_: edges(
                [self.collection(row) for row in self.state.all("collections", **where)]
            ),
            "artifactCollectionMembership": membership,
            "artifact": artifact,
        }

    def _kind(self, where: dict[str, Any], kind: str) -> Node:
        rows = self.state.all("collections", **where, type=kind)
        return {
            "__typename": "ArtifactType",
            "id": f"type-{kind}",
            "name": kind,
            "description": None,
            "createdAt": rows[0]["createdAt"] if rows else None,
            "artifactCollections": lambda **_: edges([self.collection(row) for row in rows]),
            "artifactCollection": lambda name: self.collection(
                next((row for row in rows if row["name"] == name), None)
            ),
        }

    def collection(self, row: Row | None) -> Node | None:
        """A collection as a node."""
        if row is None:
            return None
        versions = self.versions(row)
        return {
            "__typename": "ArtifactSequence",
            "id": row["id"],
            "name": row["name"],
            "description": None,
            "createdAt": row["createdAt"],
            "updatedAt": row["createdAt"],
            "state": "READY",
            "digestAlgorithm": row.get("algorithm") or "MANIFEST_MD5",
            "project": self._project(row),
            "defaultArtifactType": {"name": row["type"]},
            "tags": edges([]),
            "latestArtifact": self.node(versions[-1]) if versions else None,
            "aliases": lambda **_: edges(
                [self._alias(row, name) for name in sorted(row["aliases"])]
            ),
            "artifacts": lambda filters=None, **_: self._listed(row, filters),
            "artifactMembership": lambda aliasName: self._membership(row, self.at(row, aliasName)),
        }

    def _listed(self, collection: Row, filters: str | None) -> Node:
        """The versions in a state, newest first; those that are committed unless it is said."""
        state = json.loads(filters or "{}").get("state", "COMMITTED")
        found = self.state.all("artifacts", collection=collection["id"], state=state)
        nodes = [
            {"version": f"v{one['versionIndex']}", "node": self.node(one), "cursor": ""}
            for one in reversed(found)
        ]
        return {**edges([]), "totalCount": len(nodes), "edges": nodes}

    def _project(self, row: Row) -> Node:
        project = self.state.project(row["entity"], row["project"]) or {}
        return {
            "__typename": "Project",
            "id": project.get("id"),
            "internalId": project.get("id"),
            "name": row["project"],
            "entity": {"__typename": "Entity", "id": row["entity"], "name": row["entity"]},
        }

    def versions(self, collection: Row) -> list[Row]:
        """The committed versions of a collection, oldest first."""
        found = self.state.all("artifacts", collection=collection["id"], state="COMMITTED")
        return sorted(found, key=lambda row: int(row["versionIndex"]))

    def at(self, collection: Row | None, alias: str) -> Row | None:
        if collection is None:
            return None
        if VERSION.fullmatch(alias):
            index = int(alias[1:])
            return next((v for v in self.versions(collection) if v["versionIndex"] == index), None)
        found = collection["aliases"].get(alias)
        return self.state.tables["artifacts"].get(found) if found else None

    def _alias(self, collection: Row, name: str) -> Node:
        return {
            "__typename": "ArtifactAlias",
            "id": f"{collection['id']}-{name}",
            "alias": name,
            "artifactCollection": lambda: self.collection(collection),
        }

    def _aliases(self, collection: Row, artifact: Row) -> list[Node]:
        names = [n for n, held in collection["aliases"].items() if held == artifact["id"]]
        if artifact["versionIndex"] is not None:
            names.append(f"v{artifact['versionIndex']}")
        return [self._alias(collection, name) for name in names]

    def _membership(self, collection: Row, artifact: Row | None) -> Node | None:
        if artifact is None:
            return None
        return {
            "__typename": "ArtifactCollectionMembership",
            "id": f"m-{artifact['id']}",
            "versionIndex": artifact["versionIndex"],
            "createdAt": artifact["createdAt"],
            "aliases": self._aliases(collection, artifact),
            "artifactCollection": self.collection(collection),
            "artifact": self.node(artifact),
            "files": lambda names=None, **_: edges(
                [f for f in self._files(artifact) if not names or f["name"] in names]
            ),
        }

    def node(self, row: Row | None) -> Node | None:
        """A version as a node."""
        if row is None:
            return None
        collection = self.state.row("collections", row["collection"])
        contents = self.contents(row)
        run = self.state.find("runs", **self._where(collection), name=row["run"])
        return {
            "__typename": "Artifact",
            **{key: row[key] for key in ("id", "versionIndex", "description", "state", "digest")},
            "createdAt": row["createdAt"],
            "updatedAt": row["createdAt"],
            "metadata": row["metadata"],
            "digestAlgorithm": collection.get("algorithm") or "MANIFEST_MD5",
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "commitHash": row["id"][-8:],
            "size": sum(int(entry.get("size") or 0) for entry in contents.values()),
            "fileCount": len(contents),
            "artifactType": {"name": collection["type"]},
            "artifactSequence": lambda: self.collection(collection),
            "artifactMemberships": lambda: edges([self._membership(collection, row)]),
            "aliases": lambda: self._aliases(collection, row),
            "currentManifest": self._current(row),
            "createdBy": {"__typename": "Run", **_run(run, self._project(collection))}
            if run
            else None,
            "usedBy": lambda **_: edges(
                [
                    {
                        "__typename": "Run",
                        **_run(self.state.row("runs", one), self._project(collection)),
                    }
                    for one in row["used"]
                ]
            ),
            "filesByManifestEntries": lambda **_: edges(self._files(row)),
            "files": lambda **_: edges(self._files(row)),
        }

    def _where(self, collection: Row) -> dict[str, str]:
        return {"entity": collection["entity"], "project": collection["project"]}

    def _current(self, row: Row) -> Node | None:
        manifest = self.state.tables["manifests"].get(row["manifest"] or "")
        if not manifest or not manifest["blob"]:
            return None
        url = f"{self.url}/storage/{self.state.blob(manifest['blob']).name}"
        return {"__typename": "ArtifactManifest", "id": manifest["id"], "file": {"directUrl": url}}

    def contents(self, row: Row) -> dict[str, Row]:
        """The entries of a version's manifest, by path."""
        manifest = self.state.tables["manifests"].get(row["manifest"] or "")
        if not manifest or not manifest["blob"]:
            return {}
        found: dict[str, Row] = json.loads(self.state.blob(manifest["blob"]).read_bytes())[
            "contents"
        ]
        return found

    def _files(self, row: Row) -> list[Node]:
        return [
            {
                "__typename": "File",
                "id": f"file-{path}",
                "name": path,
                "displayName": path,
                "url": f"{self.url}/storage/{self.state.blob(entry['digest']).name}",
                "directUrl": f"{self.url}/storage/{self.state.blob(entry['digest']).name}",
                "sizeBytes": entry.get("size"),
                "storagePath": path,
                "mimetype": None,
                "updatedAt": row["createdAt"],
                "digest": entry["digest"],
                "md5": entry["digest"],
            }
            for path, entry in sorted(self.contents(row).items())
            if "digest" in entry and "ref" not in entry
        ]

    def _client_id(self, clientID: str) -> Node | None:
        found = self.state.find("artifacts", clientID=clientID)
        return {"serverID": found["id"]} if found else None


def _run(run: Row, project: Node) -> Node:
    facts = {key: run.get(key) for key in ("id", "name", "jobType", "state")}
    return {**facts, "project": project}
