"""Launch queues at W&B: found, sent to, followed, and taken from.

Spoken to in GraphQL as the W&B SDK 0.31 does (`sdk/launch/api.py`, `apis/public/jobs.py`,
`apis/public/runs.py`), and not through it: its transport repeats what was not answered, a second
item for one that W&B had taken already, and `launch_add` does so once more by an older mutation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import ServiceError
from launch_action.core.queue_plan import QUEUES_PROJECT, Queue, QueueItem, unknown_queue
from launch_action.core.queued_run import Item, RunFacts
from launch_action.core.template_variables import read_variable
from launch_action.wandb.account import Account
from launch_action.wandb.server import Server

QUEUES = """
query ProjectRunQueues($entity: String!, $projectName: String!) {
  project(entityName: $entity, name: $projectName) { runQueues { id name } }
}
"""
QUEUE = """
query GetRunQueueMetadata($projectName: String!, $entityName: String!, $runQueue: String!) {
  project(name: $projectName, entityName: $entityName) {
    runQueue(name: $runQueue) { id defaultResourceConfigID prioritizationMode }
  }
}
"""
CONFIG = """
query GetDefaultResourceConfig($entityName: String!, $id: ID!) {
  entity(name: $entityName) {
    defaultResourceConfig(id: $id) { config resource templateVariables { name schema } }
  }
}
"""
FIELDS = (
    "id state associatedRunId runSpec createdAt launchAgentId "
    "error { message stage filePaths } warnings { message }"
)
# All that the SDK's own queries name: for a server that does not know the rest.
_FEWER = "id state associatedRunId"
ITEM = """
query GetRunQueueItem(
  $projectName: String!, $entityName: String!, $runQueue: String!, $itemId: ID!
) {
  project(name: $projectName, entityName: $entityName) {
    runQueue(name: $runQueue) { runQueueItem(id: $itemId) { FIELDS } }
  }
}
"""
ITEMS = """
query GetRunQueueItems($projectName: String!, $entityName: String!, $runQueue: String!) {
  project(name: $projectName, entityName: $entityName) {
    runQueue(name: $runQueue) { runQueueItems(first: 100) { edges { node { FIELDS } } } }
  }
}
"""
# In pages, as the SDK asks for other lists.
PAGE = ITEMS.replace("$runQueue: String!)", "$runQueue: String!, $cursor: String)").replace(
    "runQueueItems(first: 100) {",
    "runQueueItems(after: $cursor, first: 100) { pageInfo { endCursor hasNextPage }",
)
PUSH = """
mutation pushToRunQueueByName(
  $entityName: String!, $projectName: String!, $queueName: String!, $runSpec: JSONString!
  PARAMETERS
) {
  pushToRunQueueByName(input: {
    entityName: $entityName, projectName: $projectName, queueName: $queueName, runSpec: $runSpec
    FURTHER
  }) { runQueueItemId }
}
"""
REMOVE = """
mutation DeleteFromRunQueue($queueID: ID!, $runQueueItemId: ID!) {
  deleteFromRunQueue(input: {queueID: $queueID, runQueueItemId: $runQueueItemId}) { success }
}
"""
AGENT = """
query LaunchAgent($agentId: ID!) { launchAgent(id: $agentId) { name } }
"""
RUN = """
query Run($project: String!, $entity: String!, $name: String!) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { id state displayName summaryMetrics }
  }
}
"""
STOP = """
mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { success } }
"""
LOG = """
query RunConsoleLogTail($entity: String!, $project: String!, $runName: String!, $last: Int!) {
  project(name: $project, entityName: $entity) {
    run(name: $runName) { logLines(last: $last) { edges { node { line } } } }
  }
}
"""
FILE = """
query RunFiles($project: String!, $entity: String!, $name: String!, $fileNames: [String] = []) {
  project(name: $project, entityName: $entity) {
    run(name: $name) { files(names: $fileNames, first: 1) { edges { node { directUrl } } } }
  }
}
"""
_OPTIONAL = {"priority": "Int", "templateVariableValues": "JSONString"}
_UNKNOWN_FIELD, _UNKNOWN_ARGUMENT = "Cannot query field", "Unknown argument"
# What somebody waits for: 5,000 items.
_MOST_PAGES = 50
_EVIDENCE_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class WandbQueues:
    """The queues of an entity, and the runs of that entity (core.queued_run.LaunchQueues).

    Every method raises ServiceError. `server` asks once.
    """

    server: Server
    account: Account
    entity: str

    def open(self, name: str) -> Queue:
        """The queue. Raises InputError, with the nearest names, where there is none."""
        variables = {"entity": self.entity, "projectName": QUEUES_PROJECT}
        project = self.server.ask(QUEUES, variables).get("project") or {}
        known = tuple(str(one.get("name")) for one in _objects(project.get("runQueues")))
        if name not in known:
            raise unknown_queue(name, self.entity, known)
        queue = self._queue(name, QUEUE)
        identifier = queue.get("defaultResourceConfigID")
        config = self._config(str(identifier)) if identifier is not None else {}
        configuration = config.get("config") or ""
        text = configuration if isinstance(configuration, str) else json.dumps(configuration)
        return Queue(
            identifier=str(queue.get("id")),
            name=name,
            entity=self.entity,
            resource=str(config.get("resource") or ""),
            prioritized=str(queue.get("prioritizationMode") or "DISABLED") != "DISABLED",
            variables=tuple(
                read_variable(str(one.get("name")), one.get("schema") or {}, text)
                for one in _objects(config.get("templateVariables"))
            ),
        )

    def items(self, queue: Queue) -> tuple[Item, ...]:
        """The items of a queue, 5,000 at most; 100 of a server that knows no pages."""
        found: dict[str, Item] = {}  # one that moves while pages are read is in two
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = self._page(queue, cursor)
            found |= {item.identifier: item for item in map(_item, _nodes(page))}
            more = page.get("pageInfo") or {}
            cursor = more.get("endCursor")
            if not (more.get("hasNextPage") and cursor):
                break
        return tuple(found.values())

    def item(self, queue: Queue, identifier: str) -> Item | None:
        found = self._queue(queue.name, ITEM, itemId=identifier).get("runQueueItem")
        return _item(found) if isinstance(found, Mapping) else None

    def push(self, item: QueueItem) -> str:
        """Put it into the queue; the item's id."""
        given = {
            "priority": item.priority,
            "templateVariableValues": json.dumps(item.variables) if item.variables else None,
        }
        given = {name: value for name, value in given.items() if value is not None}
        parameters = "".join(f", ${name}: {_OPTIONAL[name]}" for name in given)
        further = "".join(f", {name}: ${name}" for name in given)
        variables = {
            "entityName": item.queue.entity,
            "projectName": QUEUES_PROJECT,
            "queueName": item.queue.name,
            "runSpec": json.dumps(item.spec),
            **given,
        }
        document = PUSH.replace("PARAMETERS", parameters).replace("FURTHER", further)
        pushed = self.server.ask(document, variables).get("pushToRunQueueByName") or {}
        if not pushed.get("runQueueItemId"):
            raise ServiceError(
                f"W&B does not say that queue {item.queue.name!r} took the job",
                hint="look for it in the queue, and run it again",
            )
        return str(pushed["runQueueItemId"])

    def remove(self, queue: Queue, identifier: str) -> None:
        """Take an item off the queue."""
        self.server.ask(REMOVE, {"queueID": queue.identifier, "runQueueItemId": identifier})

    def run(self, project: str, run_id: str) -> RunFacts | None:
        found = self._run(project, RUN, name=run_id)
        if not found:
            return None
        return RunFacts(
            state=str(found.get("state") or ""),
            url=self.run_url(project, run_id),
            name=str(found.get("displayName") or ""),
            summary=_object(found.get("summaryMetrics")),
        )

    def stop(self, project: str, run_id: str) -> None:
        """Ask a run to end, as the button in W&B's app does."""
        found = self._run(project, RUN, name=run_id)
        if found.get("id"):
            self.server.ask(STOP, {"id": str(found["id"])})

    def run_url(self, project: str, run_id: str) -> str:
        """The page that the run has, or will have."""
        return self.account.run_url(self.entity, project, run_id)

    def last_lines(self, project: str, run_id: str, count: int) -> tuple[str, ...]:
        """The end of a run's log."""
        found = self._run(project, LOG, runName=run_id, last=count).get("logLines")
        return tuple(str(node.get("line") or "").rstrip("\n") for node in _nodes(found))[-count:]

    def evidence(self, item: Item, count: int) -> tuple[str, ...]:
        """The end of the last file that an agent kept of an item that it failed.

        It is a file of the agent's own run, which is named as the agent.
        """
        if not (item.agent and item.files):
            return ()
        agent = self.server.ask(AGENT, {"agentId": item.agent}).get("launchAgent") or {}
        name = str(agent.get("name") or "")
        found = self._run(QUEUES_PROJECT, FILE, name=name, fileNames=[item.files[-1]]).get("files")
        url = next((str(node.get("directUrl") or "") for node in _nodes(found)), "")
        if not url:
            return ()
        data = bytearray()
        with self.server.opened(url) as chunks:
            for chunk in chunks:
                data = (data + chunk)[-_EVIDENCE_LIMIT:]
        return tuple(data.decode("utf-8", "replace").splitlines())[-count:]

    def _page(self, queue: Queue, cursor: str | None) -> Mapping[str, Any]:
        try:
            found = self._queue(queue.name, PAGE, cursor=cursor)
        except ServiceError as error:
            unknown = _UNKNOWN_FIELD in error.message or _UNKNOWN_ARGUMENT in error.message
            if cursor or not unknown:
                raise
            found = self._queue(queue.name, ITEMS)
        return found.get("runQueueItems") or {}

    def _queue(self, name: str, document: str, **variables: Any) -> Mapping[str, Any]:
        given = {"projectName": QUEUES_PROJECT, "entityName": self.entity, "runQueue": name}
        try:
            found = self.server.ask(document.replace("FIELDS", FIELDS), {**given, **variables})
        except ServiceError as error:
            if "FIELDS" not in document or _UNKNOWN_FIELD not in error.message:
                raise
            found = self.server.ask(document.replace("FIELDS", _FEWER), {**given, **variables})
        queue = (found.get("project") or {}).get("runQueue")
        if not isinstance(queue, Mapping):
            raise ServiceError(
                f"queue {name!r} of {self.entity!r} is gone", hint="somebody removed it meanwhile"
            )
        return queue

    def _config(self, identifier: str) -> Mapping[str, Any]:
        found = self.server.ask(CONFIG, {"entityName": self.entity, "id": identifier})
        return (found.get("entity") or {}).get("defaultResourceConfig") or {}

    def _run(self, project: str, document: str, **variables: Any) -> Mapping[str, Any]:
        given = {"project": project, "entity": self.entity, **variables}
        found = (self.server.ask(document, given).get("project") or {}).get("run")
        return found if isinstance(found, Mapping) else {}


def _item(node: Mapping[str, Any]) -> Item:
    error = _object(node.get("error"))
    spec = _object(node.get("runSpec"))
    return Item(
        identifier=str(node.get("id")),
        state=str(node.get("state") or ""),
        run_id=str(node.get("associatedRunId") or spec.get("run_id") or ""),
        created=str(node.get("createdAt") or ""),
        error=str(error.get("message") or ""),
        stage=str(error.get("stage") or ""),
        files=tuple(map(str, error.get("filePaths") or ())),
        agent=str(node.get("launchAgentId") or ""),
        warnings=tuple(str(one.get("message") or "") for one in _objects(node.get("warnings"))),
    )


def _nodes(connection: Any) -> list[Mapping[str, Any]]:
    edges = connection.get("edges") if isinstance(connection, Mapping) else None
    return [node for edge in _objects(edges) if isinstance(node := edge.get("node"), Mapping)]


def _objects(found: Any) -> Sequence[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _object(found: Any) -> Mapping[str, Any]:
    """An object, which W&B tells as such or as JSON text."""
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            return {}
    return found if isinstance(found, Mapping) else {}
