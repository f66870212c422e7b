"""Artifacts put into the W&B server of the tests as they are given, whatever a client would say."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from support.wandb_api.server import WandbServer

TYPES: dict[str, Any] = {"wb_type": "typedDict", "params": {"type_map": {}}}


def put_artifact(
    server: WandbServer,
    name: str,
    files: Mapping[str, bytes],
    *,
    kind: str = "job",
    aliases: tuple[str, ...] = ("latest",),
    metadata: Mapping[str, Any] | None = None,
    change: Callable[[dict[str, Any]], object] = lambda contents: None,
    digest: str = "",
) -> str:
    """Put a version of `entity/project/name`; its identifier.

    `change` changes the manifest's contents before the artifact's digest, else `digest`, is taken.
    """
    entity, project, collection = name.split("/")
    with server.lock:
        state = server.state
        state.project(entity, project, make=True)
        where = {"entity": entity, "project": project, "name": collection}
        row = state.find("collections", **where) or state.add(
            "collections", "ArtifactCollection", {**where, "type": kind, "aliases": {}}
        )
        contents = {
            path: {"digest": state.keep(data), "size": len(data)} for path, data in files.items()
        }
        change(contents)
        manifest = state.add(
            "manifests", "ArtifactManifest",
            {"artifact": "", "digest": "", "blob": state.keep(_manifest(contents))},
        )  # fmt: skip
        versions = state.all("artifacts", collection=row["id"])
        made = state.add(
            "artifacts", "Artifact",
            {
                "collection": row["id"], "state": "COMMITTED", "versionIndex": len(versions),
                "digest": digest or _digest(contents), "clientID": None, "run": None,
                "description": "made by a test", "metadata": json.dumps(dict(metadata or {})),
                "aliases": list(aliases), "manifest": manifest["id"], "used": [],
            },
        )  # fmt: skip
        row["aliases"] |= dict.fromkeys(aliases, made["id"])
        state.save()
        return str(made["id"])


def job_files(
    source_type: str,
    source: Mapping[str, Any],
    *,
    runtime: str = "3.11",
    frozen: bytes = b"",
    patch: bytes = b"",
    **more: Any,
) -> dict[str, bytes]:
    """The files of a job as W&B's own tools write them."""
    document = {
        "_version": "v0", "source_type": source_type, "source": source, "input_types": TYPES,
        "output_types": TYPES, "runtime": runtime, **more,
    }  # fmt: skip
    files = {
        "wandb-job.json": json.dumps(document, indent=4).encode(),
        "requirements.frozen.txt": frozen,
    }
    return files | ({"diff.patch": patch} if patch else {})


def git_source(remote: str, commit: str, *entrypoint: str, **more: Any) -> dict[str, Any]:
    git = {"remote": remote, "commit": commit}
    return {"git": git, "entrypoint": list(entrypoint), "notebook": False, **more}


def _manifest(contents: Mapping[str, Any]) -> bytes:
    return json.dumps(
        {
            "version": 1,
            "storagePolicy": "wandb-storage-policy-v1",
            "storagePolicyConfig": {"storageLayout": "V2"},
            "contents": contents,
        }
    ).encode()


def _digest(contents: Mapping[str, Any]) -> str:
    found = hashlib.md5(b"wandb-artifact-manifest-v1\n")
    for path in sorted(contents):
        entry = contents[path]
        digest = entry.get("digest") if isinstance(entry, dict) else None
        found.update(f"{path}:{digest}\n".encode())
    return found.hexdigest()


def md5_text(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()
