"""Launch queues, what is in them, and the agents that take it.

An item is PENDING, LEASED (an agent has popped it), CLAIMED (its run is known) or FAILED. What is
pushed gets the queue's resource and configuration, its template variables filled in.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import jsonschema_rs
from support.wandb_api.graphql import Node, Refused, edges
from support.wandb_api.state import Row, State

PROJECT = "model-registry"  # where every entity's queues are
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Queues:
    """The operations on queues, items and agents."""

    state: State

    def queries(self) -> Node:
        return {"launchAgent": lambda id: self.state.row("agents", id)}

    def mutations(self) -> Node:
        return {
            "createDefaultResourceConfig": self._create_config,
            "createRunQueue": self._create,
            "upsertRunQueue": self._upsert,
            "deleteRunQueues": self._delete,
            "pushToRunQueueByName": self._push_by_name,
            "pushToRunQueue": self._push_by_id,
            "popFromRunQueue": self._pop,
            "ackRunQueueItem": self._ack,
            "failRunQueueItem": self._fail,
            "updateRunQueueItemWarning": self._warn,
            "deleteFromRunQueue": self._delete_item,
            "createLaunchAgent": self._create_agent,
            "updateLaunchAgent": self._update_agent,
        }

    def of_project(self, project: Row) -> Node:
        """The fields of a project that are about queues."""
        where: dict[str, Any] = {"entity": project["entity"], "project": project["name"]}
        return {
            "runQueues": lambda: [self._node(row) for row in self.state.all("queues", **where)],
            "runQueue": lambda name: self._node(self.state.find("queues", **where, name=name)),
        }

    def of_entity(self, name: str) -> Node:
        """The fields of an entity that are about queues."""
        return {
            "defaultResourceConfig": lambda id: self._config(id),
            "defaultResourceConfigs": lambda **_: edges(
                [self._config(row["id"]) for row in self.state.all("configs", entity=name)]
            ),
        }

    def _node(self, row: Row | None) -> Node | None:
        if row is None:
            return None
        items = self.state.all("items", queue=row["id"])
        return {
            "__typename": "RunQueue",
            **row,
            "createdBy": self.state.user,
            "externalLinks": {},
            "runQueueItem": lambda id: next((one for one in items if one["id"] == id), None),
            "runQueueItems": lambda first=None, after=None: edges(items, first, after),
        }

    def _config(self, identifier: str) -> Node | None:
        row = self.state.tables["configs"].get(identifier)
        if row is None:
            return None
        variables = [
            {"__typename": "TemplateVariable", "name": name, **one}
            for name, one in row["templateVariables"].items()
        ]
        return {"__typename": "DefaultResourceConfig", **row, "templateVariables": variables}

    # Making queues.

    def _create_config(self, input: dict[str, Any]) -> Node:
        entity = self.state.entity(input["entityName"], "createDefaultResourceConfig")
        found = self._add_config(
            entity, input["resource"], input["config"], input.get("templateVariables")
        )
        return {"defaultResourceConfigID": found["id"], "success": True}

    def _add_config(self, entity: str, resource: str, config: str, variables: str | None) -> Row:
        declared = {
            name: {
                "schema": json.dumps(one["schema"]),
                "description": one.get("description"),
            }
            for name, one in json.loads(variables or "{}").items()
        }
        row = {"entity": entity, "resource": resource, "config": json.loads(config)}
        return self.state.add(
            "configs", "DefaultResourceConfig", {**row, "templateVariables": declared}
        )

    def _create(self, input: dict[str, Any]) -> Node:
        entity = self.state.entity(input["entityName"], "createRunQueue")
        project = str(input["projectName"])
        self.state.project(entity, project, make=True)
        where: dict[str, Any] = {"entity": entity, "project": project, "name": input["queueName"]}
        if self.state.find("queues", **where):
            message = f"run queue {input['queueName']!r} already exists"
            raise Refused(message, 409)
        queue = self.state.add(
            "queues",
            "RunQueue",
            {
                **where,
                "access": input["access"],
                "prioritizationMode": input.get("prioritizationMode") or "DISABLED",
                "defaultResourceConfigID": input.get("defaultResourceConfigID"),
            },
        )
        return {"success": True, "queueID": queue["id"]}

    def _upsert(self, input: dict[str, Any]) -> Node:
        entity = self.state.entity(input["entityName"], "upsertRunQueue")
        found = self._add_config(
            entity, input["resourceType"], input["resourceConfig"], input.get("templateVariables")
        )
        where: dict[str, Any] = {"entity": entity, "project": input["projectName"]}
        queue = self.state.find("queues", **where, name=input["queueName"])
        if queue is None:
            self._create({**input, "access": "PROJECT", "defaultResourceConfigID": found["id"]})
        else:
            queue["defaultResourceConfigID"] = found["id"]
        return {"success": True, "configSchemaValidationErrors": []}

    def _delete(self, input: dict[str, Any]) -> Node:
        for identifier in input["queueIDs"]:
            self.state.row("queues", identifier)
            del self.state.tables["queues"][identifier]
        return {"success": True, "clientMutationId": None}

    # Items.

    def _push_by_name(self, input: dict[str, Any]) -> Node:
        entity = self.state.entity(input["entityName"], "pushToRunQueueByName")
        where: dict[str, Any] = {"entity": entity, "project": input["projectName"]}
        queue = self.state.find("queues", **where, name=input["queueName"])
        if queue is None:
            message = f"run queue {input['queueName']} not found"
            raise Refused(message, 404)
        return self._push(queue, input)

    def _push_by_id(self, input: dict[str, Any]) -> Node:
        return self._push(self.state.row("queues", input["queueID"]), input)

    def _push(self, queue: Row, input: dict[str, Any]) -> Node:
        priority = input.get("priority")
        if priority is not None and queue["prioritizationMode"] == "DISABLED":
            message = f"run queue {queue['name']} has no prioritization"
            raise Refused(message)
        given = json.loads(input.get("templateVariableValues") or "{}")
        spec = self._filled(queue, json.loads(input["runSpec"]), given)
        item = self.state.add(
            "items",
            "RunQueueItem",
            {
                "queue": queue["id"],
                "state": "PENDING",
                "runSpec": spec,
                "priority": 2 if priority is None else priority,
                "associatedRunId": None,
                "error": None,
                "warnings": [],
                "launchAgentId": None,
                "templateVariableValues": json.dumps(given),
            },
        )
        return {"runQueueItemId": item["id"], "runSpec": json.dumps(spec)}

    def _filled(self, queue: Row, spec: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        config = self._config(queue["defaultResourceConfigID"] or "")
        if config is None:
            if given:
                message = f"run queue {queue['name']} has no template variables"
                raise Refused(message)
            return spec
        schemas = {v["name"]: json.loads(v["schema"]) for v in config["templateVariables"]}
        for name, value in given.items():
            if name not in schemas:
                message = f"unknown template variable {name!r}"
                raise Refused(message)
            if not jsonschema_rs.is_valid(schemas[name], value):
                message = f"invalid value for template variable {name!r}"
                raise Refused(message)
        values = {n: s["default"] for n, s in schemas.items() if "default" in s} | given
        arguments = _substituted(config["config"].get("resource_args") or {}, values)
        own = spec.get("resource_args") or {}
        return {**spec, "resource": config["resource"], "resource_args": {**arguments, **own}}

    def _pop(self, input: dict[str, Any]) -> Node | None:
        where: dict[str, Any] = {"entity": input["entityName"], "project": input["projectName"]}
        queue = self.state.find("queues", **where, name=input["queueName"])
        if queue is None:
            return None
        waiting = self.state.all("items", queue=queue["id"], state="PENDING")
        if not waiting:
            return None
        item = min(waiting, key=lambda one: int(one["priority"]))
        item |= {"state": "LEASED", "launchAgentId": input.get("launchAgentId")}
        return {"runQueueItemId": item["id"], "runSpec": item["runSpec"]}

    def _ack(self, input: dict[str, Any]) -> Node:
        item = self.state.row("items", input["runQueueItemId"])
        if item["state"] not in ("PENDING", "LEASED"):
            return {"success": False}
        item |= {"state": "CLAIMED", "associatedRunId": input["runName"]}
        return {"success": True}

    def _fail(self, input: dict[str, Any]) -> Node:
        item = self.state.row("items", input["runQueueItemId"])
        item["state"] = "FAILED"
        item["error"] = {key: input.get(key) for key in ("message", "stage", "filePaths")}
        return {"success": True}

    def _warn(self, input: dict[str, Any]) -> Node:
        said = {key: input.get(key) for key in ("message", "stage", "filePaths")}
        self.state.row("items", input["runQueueItemId"])["warnings"].append(said)
        return {"success": True}

    def _delete_item(self, input: dict[str, Any]) -> Node:
        item = self.state.row("items", input["runQueueItemId"])
        if item["queue"] != input["queueID"]:
            raise Refused("the item is of another queue", 404)
        del self.state.tables["items"][item["id"]]
        return {"success": True, "clientMutationId": None}

    # Agents.

    def _create_agent(self, input: dict[str, Any]) -> Node:
        entity = self.state.entity(input["entityName"], "createLaunchAgent")
        agent = self.state.add(
            "agents",
            "LaunchAgent",
            {
                "entity": entity,
                "runQueues": input["runQueues"],
                "hostname": input["hostname"],
                "version": input.get("version"),
                "agentConfig": input.get("agentConfig"),
                "agentStatus": "POLLING",
                "stopPolling": False,
                "heartbeatAt": None,
            },
        )
        agent["name"] = f"agent-{agent['number']}"
        return {"launchAgentId": agent["id"]}

    def _update_agent(self, input: dict[str, Any]) -> Node:
        self.state.row("agents", input["launchAgentId"])["agentStatus"] = input.get("agentStatus")
        return {"success": True}


def _substituted(value: Any, variables: dict[str, Any]) -> Any:
    """The value with `{{name}}` in its texts replaced; a text of one variable takes its type."""
    if isinstance(value, dict):
        return {key: _substituted(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_substituted(one, variables) for one in value]
    if not isinstance(value, str):
        return value
    whole = _VARIABLE.fullmatch(value)
    if whole:
        return _variable(whole[1], variables)
    return _VARIABLE.sub(lambda match: str(_variable(match[1], variables)), value)


def _variable(name: str, variables: dict[str, Any]) -> Any:
    if name not in variables:
        message = f"template variable {name!r} has no value"
        raise Refused(message)
    return variables[name]
