"""Runs and projects: made by `upsertBucket`, fed by the file stream, deleted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from support.wandb_api.artifacts import Artifacts
from support.wandb_api.graphql import Node, Refused, edges
from support.wandb_api.queues import PROJECT, Queues
from support.wandb_api.state import Row, State, now

# How an argument of upsertBucket is called in a run.
_SAID = {
    "displayName": "displayName", "description": "description", "notes": "notes",
    "config": "config", "host": "host", "commit": "commit", "jobProgram": "program",
    "jobRepo": "repo", "jobType": "jobType", "groupName": "group", "state": "state",
    "sweep": "sweepName", "tags": "tags", "summaryMetrics": "summaryMetrics",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Runs:
    """The operations on runs and projects."""

    state: State
    artifacts: Artifacts
    queues: Queues
    url: str

    def queries(self) -> Node:
        return {"project": self.project, "model": self.project}

    def mutations(self) -> Node:
        return {
            "upsertBucket": self._upsert,
            "deleteRun": self._delete,
            "stopRun": self._stop,
            "updateRunState": self._update_state,
            "upsertModel": self._upsert_project,
            "createRunFiles": self._create_files,
            "markRunFilesUploaded": lambda input: {"success": True},
        }

    def project(self, name: str | None = None, entityName: str | None = None) -> Node | None:
        """A project as a node, with what its runs and artifacts are; None where it is unknown."""
        entity = entityName or self.state.user
        if entity not in self.state.entities or entity in self.state.closed:
            return None
        row = self.state.project(entity, name, make=name == PROJECT)
        if row is None:
            return None
        where = {"entity": row["entity"], "project": row["name"]}

        def run(name: str, **_: Any) -> Node | None:
            return self.run(self.state.find("runs", **where, name=name))

        return {
            **self._project_facts(row),
            "entityName": row["entity"],
            "isBenchmark": False,
            "readOnly": False,
            "access": "PRIVATE",
            "description": None,
            "views": None,
            "user": None,
            "runCount": lambda **_: len(self.state.all("runs", **where)),
            "run": run,
            "bucket": run,
            "runs": lambda **_: edges([self.run(r) for r in self.state.all("runs", **where)]),
            **self.artifacts.of_project(row),
            **self.queues.of_project(row),
        }

    def _project_facts(self, row: Row) -> Node:
        entity = {"__typename": "Entity", "id": row["entity"], "name": row["entity"]}
        return {
            "__typename": "Project",
            "id": row["id"],
            "internalId": row["id"],
            "name": row["name"],
            "createdAt": row["createdAt"],
            "entity": entity,
        }

    def run(self, row: Row | None) -> Node | None:
        """A run as a node."""
        if row is None:
            return None
        project = self.state.project(row["entity"], row["project"]) or {}
        summary = row["summaryMetrics"] or "{}"
        return {
            "__typename": "Run",
            **{key: row.get(key) for key in _SAID.values()},
            "id": row["id"],
            "name": row["name"],
            "internalId": row["id"],
            "projectId": str(project.get("number", "")),
            "project": self._project_facts(project) if project else None,
            "readOnly": False,
            "stopped": row["stopped"],
            "createdAt": row["createdAt"],
            "heartbeatAt": row["heartbeatAt"],
            "systemMetrics": "{}",
            "summaryMetrics": summary,
            "historyLineCount": len(row["lines"].get("wandb-history.jsonl", [])),
            "eventsLineCount": len(row["lines"].get("wandb-events.jsonl", [])),
            "logLineCount": len(row["lines"].get("output.log", [])),
            "historyTail": json.dumps(row["lines"].get("wandb-history.jsonl", [])[-1:]),
            "eventsTail": "[]",
            "historyKeys": lambda **_: _history_keys(row),
            "history": lambda **_: row["lines"].get("wandb-history.jsonl", []),
            "sampledHistory": lambda **_: [[]],
            "logLines": lambda last=None, **_: _log_lines(row, last),
            "wandbConfig": lambda **_: "{}",
            "user": {"name": self.state.user, "username": self.state.user},
            "files": lambda names=None, **_: edges(self._files(row, names)),
            "fileCount": len(row["files"]),
            "outputArtifacts": lambda **_: edges(self._output(row)),
            "inputArtifacts": lambda **_: edges(self._input(row)),
        }

    def _output(self, run: Row) -> list[Node | None]:
        where = {"entity": run["entity"], "project": run["project"]}
        ids = {row["id"] for row in self.state.all("collections", **where)}
        return [
            self.artifacts.node(row)
            for row in self.state.all("artifacts", state="COMMITTED", run=run["name"])
            if row["collection"] in ids
        ]

    def _input(self, run: Row) -> list[Node | None]:
        used = [row for row in self.state.all("artifacts") if run["id"] in row["used"]]
        return [self.artifacts.node(row) for row in used]

    def _files(self, run: Row, names: list[str] | None) -> list[Node]:
        found = [n for n in sorted(run["files"]) if not names or n in names]
        return [
            {
                "__typename": "File",
                "id": f"{run['id']}-{name}",
                "name": name,
                "displayName": name,
                "url": f"{self.url}/storage/{self.state.blob(run['files'][name]).name}",
                "directUrl": f"{self.url}/storage/{self.state.blob(run['files'][name]).name}",
                "sizeBytes": self.state.blob(run["files"][name]).stat().st_size,
                "mimetype": None,
                "updatedAt": run["heartbeatAt"],
                "md5": run["files"][name],
            }
            for name in found
        ]

    # Mutations.

    def _upsert(self, input: dict[str, Any]) -> Node:
        if input.get("id"):
            row, inserted = self.state.row("runs", input["id"]), False
        else:
            row, inserted = self._named(input)
        for said, key in _SAID.items():
            if input.get(said) is not None:
                row[key] = input[said]
        row["heartbeatAt"] = now()
        return {
            "__typename": "UpsertBucketPayload",
            "bucket": self.run(row),
            "inserted": inserted,
            "clientMutationId": None,
        }

    def _named(self, input: dict[str, Any]) -> tuple[Row, bool]:
        entity = self.state.entity(input.get("entityName"), "upsertBucket")
        project = self.state.project(entity, input.get("modelName") or "uncategorized", make=True)
        assert project
        where = {"entity": entity, "project": project["name"], "name": input["name"]}
        found = self.state.find("runs", **where)
        if found:
            return found, False
        new: Row = dict.fromkeys(_SAID.values())
        new |= {**where, "state": "running", "stopped": False, "lines": {}, "files": {}}
        new |= {"config": "{}", "tags": [], "heartbeatAt": now(), "displayName": input["name"]}
        return self.state.add("runs", "Run", new), True

    def _delete(self, input: dict[str, Any]) -> Node:
        del self.state.tables["runs"][self.state.row("runs", input["id"])["id"]]
        return {"clientMutationId": None, "success": True}

    def _stop(self, input: dict[str, Any]) -> Node:
        self.state.row("runs", input["id"])["stopped"] = True
        return {"clientMutationId": None, "success": True}

    def _update_state(self, input: dict[str, Any]) -> Node:
        self.state.run(input, "updateRunState")["state"] = input["state"]
        return {"success": True}

    def _upsert_project(self, input: dict[str, Any]) -> Node:
        entity = self.state.entity(input.get("entityName"), "upsertModel")
        inserted = self.state.project(entity, input["name"]) is None
        self.state.project(entity, input["name"], make=True)
        node = self.project(input["name"], entity)
        return {"project": node, "model": node, "inserted": inserted}

    def _create_files(self, input: dict[str, Any]) -> Node:
        run = self.state.run(input, "createRunFiles")
        files = []
        for name in input["files"]:
            row = self.state.add(
                "uploads", "Upload", {"md5": "", "manifest": "", "run": run["id"], "name": name}
            )
            url = f"{self.url}/upload/{row['number']}"
            files.append({"name": name, "uploadUrl": url, "uploadHeaders": []})
        return {"runID": run["id"], "uploadHeaders": [], "files": files}

    def stream(self, entity: str, project: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        """What a request of the file stream says of a run. Raises Refused."""
        run = self.state.find("runs", entity=entity, project=project, name=name)
        if run is None:
            raise Refused("run not found", 404)
        run["heartbeatAt"] = now()
        for file, part in (body.get("files") or {}).items():
            lines = run["lines"].setdefault(file, [])
            lines[int(part["offset"]) :] = part["content"]
            if file == "wandb-summary.json" and lines:
                run["summaryMetrics"] = lines[-1]
        if body.get("complete"):
            code = body.get("exitcode")
            run["state"] = "finished" if code == 0 else "crashed" if code is None else "failed"
        return {"stopped": True} if run["stopped"] else {}


def _history_keys(run: Row) -> Node:
    lines = [json.loads(line) for line in run["lines"].get("wandb-history.jsonl", [])]
    keys = sorted({key for line in lines for key in line})
    return {"sets": [], "keys": {key: {"typeCounts": []} for key in keys}, "lastStep": len(lines)}


def _log_lines(run: Row, last: int | None) -> Node:
    lines = run["lines"].get("output.log", [])
    first = max(len(lines) - last, 0) if last else 0
    return edges(
        [
            {
                "__typename": "LogLine",
                "number": number,
                "timestamp": "",
                "level": "INFO",
                "label": "",
                "line": line,
            }
            for number, line in enumerate(lines)
            if number >= first
        ]
    )
