"""Artifacts as they are uploaded: pending until their commit, with aliases that move there.

What identical content does: a collection holds one version of a digest, which a second upload
gets back, with its aliases moved there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from support.wandb_api.artifacts import VERSION, Artifacts
from support.wandb_api.graphql import Node, Refused, edges
from support.wandb_api.state import Row, State

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_ALIAS = re.compile(r"[^/:\x00-\x1f]{1,128}")


@dataclass(frozen=True, slots=True)
class ArtifactMutations:
    """The mutations of artifacts. `url` is where the server's files are."""

    state: State
    artifacts: Artifacts
    url: str

    def mutations(self) -> Node:
        return {
            "createArtifact": self._create,
            "createArtifactManifest": self._create_manifest,
            "updateArtifactManifest": self._update_manifest,
            "createArtifactFiles": self._create_files,
            "commitArtifact": self._commit,
            "updateArtifact": self._update,
            "deleteArtifact": self._delete,
            "useArtifact": self._use,
            "addAliases": self._add_aliases,
            "deleteAliases": self._delete_aliases,
        }

    def _create(self, input: dict[str, Any]) -> Node:
        entity = self.state.entity(input.get("entityName"), "createArtifact")
        project = self.state.project(entity, input.get("projectName"))
        if project is None:
            message = f"project {input.get('projectName')} not found during createArtifact"
            raise Refused(message, 404)
        names = input.get("artifactCollectionNames") or [input.get("artifactCollectionName")]
        collection = self._collection(project, str(names[0]), str(input["artifactTypeName"]))
        # Of its first version: the SDK keeps to it.
        collection.setdefault("algorithm", input.get("digestAlgorithm"))
        aliases = [str(one["alias"]) for one in input.get("aliases") or []]
        _check_aliases(aliases)
        row = self._known(collection, input)
        if row is None:
            row = self._new(collection, input, aliases)
        elif row["state"] == "COMMITTED":
            self._point(collection, row, aliases)
        return {
            "__typename": "CreateArtifactPayload",
            "artifact": {
                "__typename": "Artifact",
                **(self.artifacts.node(row) or {}),
                "artifactSequence": self.artifacts.collection(collection),
            },
        }

    def _collection(self, project: Row, name: str, kind: str) -> Row:
        if not _NAME.fullmatch(name):
            message = f"invalid artifact collection name {name!r}"
            raise Refused(message)
        where = {"entity": project["entity"], "project": project["name"], "name": name}
        found = self.state.find("collections", **where)
        if found is None:
            row = {**where, "type": kind, "aliases": {}}
            return self.state.add("collections", "ArtifactCollection", row)
        if found["type"] != kind:
            message = f"artifact collection {name!r} already exists with type {found['type']!r}"
            raise Refused(message, 409)
        return found

    def _known(self, collection: Row, input: dict[str, Any]) -> Row | None:
        """The same upload said again, or the version with the same content."""
        for row in self.state.all("artifacts", collection=collection["id"]):
            if input.get("clientID") and row["clientID"] == input["clientID"]:
                return row
        if not input.get("enableDigestDeduplication"):
            return None
        same = [v for v in self.artifacts.versions(collection) if v["digest"] == input["digest"]]
        return same[-1] if same else None

    def _new(self, collection: Row, input: dict[str, Any], aliases: list[str]) -> Row:
        return self.state.add(
            "artifacts",
            "Artifact",
            {
                "collection": collection["id"],
                "state": "PENDING",
                "versionIndex": None,
                "digest": input["digest"],
                "clientID": input.get("clientID"),
                "run": input.get("runName"),
                "description": input.get("description"),
                "metadata": input.get("metadata"),
                "aliases": aliases,
                "manifest": None,
                "used": [],
            },
        )

    def _point(self, collection: Row, row: Row, aliases: list[str]) -> None:
        for alias in aliases:
            collection["aliases"][alias] = row["id"]

    def _create_manifest(self, input: dict[str, Any]) -> Node:
        artifact = self.state.row("artifacts", input["artifactID"])
        manifest = self.state.add(
            "manifests",
            "ArtifactManifest",
            {"artifact": artifact["id"], "digest": input["digest"], "blob": None},
        )
        if artifact["state"] == "PENDING" and input["digest"]:
            artifact["manifest"] = manifest["id"]
        return {"artifactManifest": self._manifest(manifest)}

    def _update_manifest(self, input: dict[str, Any]) -> Node:
        manifest = self.state.row("manifests", input["artifactManifestID"])
        manifest["digest"] = input.get("digest") or manifest["digest"]
        self.state.row("artifacts", manifest["artifact"])["manifest"] = manifest["id"]
        return {"artifactManifest": self._manifest(manifest)}

    def _manifest(self, manifest: Row) -> Node:
        upload = self._upload(manifest["digest"], manifest=manifest["id"])
        file = {"__typename": "File", "id": f"file-{manifest['id']}", "name": "wandb_manifest.json"}
        return {
            "__typename": "ArtifactManifest",
            "id": manifest["id"],
            "file": {**file, "displayName": file["name"], **upload},
        }

    def _upload(self, digest: str, manifest: str = "") -> Node:
        row = self.state.add("uploads", "Upload", {"md5": digest, "manifest": manifest})
        headers = [f"Content-MD5:{digest}"] if digest else []
        return {"uploadUrl": f"{self.url}/upload/{row['number']}", "uploadHeaders": headers}

    def _create_files(self, input: dict[str, Any]) -> Node:
        found = []
        for spec in input["artifactFiles"]:
            self.state.row("artifacts", spec["artifactID"])
            there = self.state.blob(spec["md5"]).exists()
            upload = (
                {"uploadUrl": None, "uploadHeaders": []} if there else self._upload(spec["md5"])
            )
            found.append(
                {
                    "__typename": "File",
                    "id": f"file-{spec['name']}",
                    "name": spec["name"],
                    "displayName": spec["name"],
                    "storagePath": f"wandb_artifacts/{spec['md5']}",
                    "uploadMultipartUrls": None,
                    "artifact": {"id": spec["artifactID"]},
                    **upload,
                }
            )
        return {"files": edges(found)}

    def _commit(self, input: dict[str, Any]) -> Node:
        row = self.state.row("artifacts", input["artifactID"])
        if row["state"] == "PENDING":
            self._complete(row)
            collection = self.state.row("collections", row["collection"])
            # The number of one that was deleted is not given again.
            number = collection.get("next", len(self.artifacts.versions(collection)))
            row["versionIndex"], collection["next"] = number, number + 1
            row["state"] = "COMMITTED"
            self._point(collection, row, row["aliases"])
        return {"artifact": self.artifacts.node(row)}

    def _complete(self, row: Row) -> None:
        """What is committed has a manifest, and every file that it names."""
        if not self.artifacts.contents(row):
            raise Refused("artifact manifest was not uploaded")
        for path, entry in self.artifacts.contents(row).items():
            if "ref" not in entry and not self.state.blob(entry["digest"]).exists():
                message = f"artifact file {path!r} was not uploaded"
                raise Refused(message)

    def _update(self, input: dict[str, Any]) -> Node:
        row = self.state.row("artifacts", input["artifactID"])
        for name in ("metadata", "description"):
            if input.get(name) is not None:
                row[name] = input[name]
        return {"artifact": self.artifacts.node(row)}

    def _delete(self, input: dict[str, Any]) -> Node:
        row = self.state.row("artifacts", input["artifactID"])
        collection = self.state.row("collections", row["collection"])
        held = [name for name, one in collection["aliases"].items() if one == row["id"]]
        if held and not input.get("deleteAliases"):
            message = f"cannot delete an artifact with aliases: {held}"
            raise Refused(message)
        for name in held:
            del collection["aliases"][name]
        row["state"] = "DELETED"
        return {"artifact": self.artifacts.node(row)}

    def _use(self, input: dict[str, Any]) -> Node:
        row = self.state.row("artifacts", input["artifactID"])
        run = self.state.run(input, "useArtifact")
        if run["id"] not in row["used"]:
            row["used"].append(run["id"])
        return {"artifact": self.artifacts.node(row)}

    def _add_aliases(self, input: dict[str, Any]) -> Node:
        row = self.state.row("artifacts", input["artifactID"])
        names = [str(one["alias"]) for one in input["aliases"]]
        _check_aliases(names)
        self._point(self.state.row("collections", row["collection"]), row, names)
        return {"success": True}

    def _delete_aliases(self, input: dict[str, Any]) -> Node:
        row = self.state.row("artifacts", input["artifactID"])
        collection = self.state.row("collections", row["collection"])
        for one in input["aliases"]:
            if collection["aliases"].get(one["alias"]) == row["id"]:
                del collection["aliases"][one["alias"]]
        return {"success": True}


def _check_aliases(aliases: list[str]) -> None:
    for alias in aliases:
        if VERSION.fullmatch(alias):
            message = f"alias {alias!r} is reserved for versions"
            raise Refused(message)
        if not _ALIAS.fullmatch(alias):
            message = f"invalid alias {alias!r}"
            raise Refused(message)
