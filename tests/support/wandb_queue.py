"""Queues of the W&B server of the tests: made, looked at, and served by hand as an agent does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from support.wandb_api.server import TEAM, WandbServer

from launch_action.core.queue_plan import QUEUES_PROJECT
from launch_action.wandb.server import Server


def ask(server: WandbServer, document: str, **variables: Any) -> dict[str, Any]:
    """The data of one operation, asked for as a client does."""
    return Server(server.url, server.key, {}, attempts=1).ask(document, variables)


def make_queue(
    server: WandbServer,
    name: str,
    resource: str = "kubernetes",
    *,
    entity: str = TEAM,
    arguments: Mapping[str, Any] | None = None,
    variables: Mapping[str, Mapping[str, Any]] | None = None,
    priorities: bool = False,
) -> str:
    """Make a queue; its id. `variables` are the schemas of its template variables."""
    config = ask(
        server,
        """mutation CreateDefaultResourceConfig(
          $e: String!, $r: String!, $c: JSONString!, $v: JSONString
        ) {
          createDefaultResourceConfig(
            input: {entityName: $e, resource: $r, config: $c, templateVariables: $v}
          ) { defaultResourceConfigID }
        }""",
        e=entity,
        r=resource,
        c=json.dumps({"resource_args": {resource: dict(arguments or {})}}),
        v=json.dumps({name: {"schema": one} for name, one in (variables or {}).items()}),
    )["createDefaultResourceConfig"]
    made = ask(
        server,
        """mutation CreateRunQueue(
          $e: String!, $p: String!, $n: String!, $m: RunQueuePrioritizationMode, $c: ID
        ) {
          createRunQueue(input: {
            entityName: $e, projectName: $p, queueName: $n, access: PROJECT, prioritizationMode: $m,
            defaultResourceConfigID: $c
          }) { queueID }
        }""",
        e=entity,
        p=QUEUES_PROJECT,
        n=name,
        m="V0" if priorities else None,
        c=config["defaultResourceConfigID"],
    )["createRunQueue"]
    return str(made["queueID"])


def queued(server: WandbServer, queue: str, entity: str = TEAM) -> list[dict[str, Any]]:
    """The items of a queue, oldest first."""
    with server.lock:
        row = server.state.find("queues", entity=entity, name=queue)
        return server.state.all("items", queue=row["id"]) if row else []


class Hand:
    """An agent that a test leads by the hand."""

    def __init__(self, server: WandbServer, queue: str, entity: str = TEAM) -> None:
        self.server, self.queue, self.entity = server, queue, entity

    def pop(self) -> dict[str, Any] | None:
        """Take the next item: its id and run spec."""
        found = ask(
            self.server,
            """mutation popFromRunQueue($e: String!, $p: String!, $q: String!) {
              popFromRunQueue(input: {entityName: $e, projectName: $p, queueName: $q}) {
                runQueueItemId runSpec
              }
            }""",
            e=self.entity,
            p=QUEUES_PROJECT,
            q=self.queue,
        )
        item: dict[str, Any] | None = found["popFromRunQueue"]
        return item

    def claim(self, item: Mapping[str, Any]) -> None:
        """Say that the item's run will begin."""
        ask(
            self.server,
            """mutation ackRunQueueItem($i: ID!, $r: String!) {
              ackRunQueueItem(input: {runQueueItemId: $i, runName: $r}) { success }
            }""",
            i=item["runQueueItemId"],
            r=item["runSpec"]["run_id"],
        )

    def fail(self, item: Mapping[str, Any], message: str) -> None:
        ask(
            self.server,
            """mutation failRunQueueItem($i: ID!, $m: String!, $s: String!) {
              failRunQueueItem(input: {runQueueItemId: $i, message: $m, stage: $s}) { success }
            }""",
            i=item["runQueueItemId"],
            m=message,
            s="run",
        )

    def run(self, item: Mapping[str, Any], state: str = "running", **facts: Any) -> None:
        """Begin the item's run, or change its state; `summary` and `lines` are what it has."""
        spec = item["runSpec"]
        ask(
            self.server,
            """mutation UpsertBucket(
              $e: String, $p: String, $n: String!, $s: String, $m: JSONString
            ) {
              upsertBucket(input: {
                entityName: $e, modelName: $p, name: $n, state: $s, summaryMetrics: $m
              }) { inserted }
            }""",
            e=spec["entity"],
            p=spec["project"],
            n=spec["run_id"],
            s=state,
            m=json.dumps(facts.get("summary", {})),
        )
        with self.server.lock:
            where = {"entity": spec["entity"], "project": spec["project"], "name": spec["run_id"]}
            row = self.server.state.find("runs", **where)
            assert row
            row["lines"]["output.log"] = list(facts.get("lines", ()))
