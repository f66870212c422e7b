"""The server itself: HTTP on loopback, keys, files, faults.

with serve(directory) as server:
    subprocess.run([...], env=os.environ | server.environment)
    server.versions("acme/demo/name")
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.wandb_api.artifact_mutations import ArtifactMutations
from support.wandb_api.artifacts import Artifacts
from support.wandb_api.faults import Fault
from support.wandb_api.graphql import Refused, Request, answer
from support.wandb_api.handler import Asked, Handler, Http
from support.wandb_api.people import People
from support.wandb_api.queues import PROJECT, Queues
from support.wandb_api.runs import Runs
from support.wandb_api.state import Row, State

KEY = "0123456789" * 4
TEAM, USER, CLOSED = "acme", "me", "other"


@dataclass(slots=True)
class WandbServer:
    """A running server. It may be stopped and started again, on the same port with its state."""

    directory: Path
    key: str = KEY
    state: State = field(init=False)
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _port: int = 0
    _http: Http | None = None
    _thread: threading.Thread | None = None

    def __post_init__(self) -> None:
        teams = {TEAM: True, USER: False, CLOSED: True}
        self.state = State.open(self.directory, USER, teams, (CLOSED,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which the SDK and W&B's programs speak to this server."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": self.key, "WANDB_MODE": "online"}

    def start(self) -> None:
        http = Http(("127.0.0.1", self._port), Handler)
        http.wandb = self
        self._http, self._port = http, http.server_address[1]
        self._thread = threading.Thread(target=http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Answer nobody any more; the port stays known for another start."""
        if self._http and self._thread:
            self._http.shutdown()
            self._http.server_close()
            self._thread.join()
        self._http = None

    @property
    def stopped(self) -> bool:
        return self._http is None

    def fail(self, match: str, status: int = 500, **how: Any) -> Fault:
        """Have the requests that match fail, from now on: see Fault."""
        self.faults.append(Fault(match, status, **how))
        return self.faults[-1]

    def mend(self) -> None:
        """Have nothing fail any more."""
        self.faults.clear()

    @property
    def operations(self) -> list[str]:
        """The names of what was asked, in order."""
        return [one.name for one in self.asked]

    # What a test looks at.

    def collections(self, project: str, kind: str = "job") -> list[str]:
        """The names of a project's artifacts of a type: `entity/project`."""
        entity, _, name = project.partition("/")
        where = {"entity": entity, "project": name, "type": kind}
        with self.lock:
            return [row["name"] for row in self.state.all("collections", **where)]

    def versions(self, name: str) -> list[Row]:
        """Every upload of an artifact, pending ones too: `entity/project/name`."""
        with self.lock:
            return self.state.all("artifacts", collection=self._collection(name)["id"])

    def aliases(self, name: str) -> dict[str, str]:
        """The version `vN` of each alias of an artifact."""
        with self.lock:
            versions = self.state.tables["artifacts"]
            held = self._collection(name)["aliases"]
            return {alias: f"v{versions[one]['versionIndex']}" for alias, one in held.items()}

    def files(self, name: str) -> dict[str, bytes]:
        """The files of a version, by path: `entity/project/name:alias`."""
        path, _, alias = name.partition(":")
        with self.lock:
            artifacts = Artifacts(self.state, self.url)
            row = artifacts.at(self._collection(path), alias or "latest")
            assert row, name
            entries = artifacts.contents(row)
            return {p: self.state.blob(one["digest"]).read_bytes() for p, one in entries.items()}

    def runs(self, project: str) -> list[Row]:
        """The runs of a project, those of the SDK's own that it deletes not any more."""
        entity, _, name = project.partition("/")
        with self.lock:
            return self.state.all("runs", entity=entity, project=name)

    def add_queue(
        self,
        name: str,
        resource: str = "local-container",
        config: Mapping[str, Any] | None = None,
        variables: Mapping[str, Any] | None = None,
        *,
        entity: str = TEAM,
        priorities: bool = True,
    ) -> Row:
        """Make a queue. `variables` are template variables: `{name: {"schema": {...}}}`."""
        with self.lock:
            queues = Queues(self.state)
            made = queues._add_config(
                entity,
                resource,
                json.dumps({"resource_args": {resource: dict(config or {})}}),
                json.dumps(dict(variables or {})),
            )
            found = queues._create(
                {
                    "entityName": entity,
                    "projectName": PROJECT,
                    "queueName": name,
                    "access": "PROJECT",
                    "prioritizationMode": "V0" if priorities else "DISABLED",
                    "defaultResourceConfigID": made["id"],
                }
            )
            self.state.save()
            return self.state.row("queues", found["queueID"])

    def items(self, queue: str, entity: str = TEAM) -> list[Row]:
        """What is or was in a queue, in the order it was pushed."""
        with self.lock:
            found = self.state.find("queues", entity=entity, project=PROJECT, name=queue)
            return self.state.all("items", queue=found["id"]) if found else []

    def _collection(self, name: str) -> Row:
        entity, project, collection = name.split("/")
        found = self.state.find("collections", entity=entity, project=project, name=collection)
        assert found, f"no artifact {name}"
        return found

    # What a request is answered.

    def root(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields of queries, and of mutations."""
        artifacts = Artifacts(self.state, self.url)
        queues = Queues(self.state)
        runs = Runs(self.state, artifacts, queues, self.url)
        reading = (artifacts, runs, queues, People(self.state, queues))
        writing = (ArtifactMutations(self.state, artifacts, self.url), runs, queues)
        queries = {name: field for part in reading for name, field in part.queries().items()}
        return queries, {
            name: field for part in writing for name, field in part.mutations().items()
        }

    def stream(self, entity: str, project: str, run: str, body: dict[str, Any]) -> dict[str, Any]:
        """Take a request of a run's file stream. Raises Refused."""
        with self.lock:
            artifacts = Artifacts(self.state, self.url)
            runs = Runs(self.state, artifacts, Queues(self.state), self.url)
            found = runs.stream(entity, project, run, body)
            self.state.save()
            return found

    def graphql(self, request: Request) -> dict[str, Any]:
        queries, mutations = self.root()
        with self.lock:
            if request.kind == "query":
                return answer(request, queries)
            before = json.dumps(self.state.tables)
            try:
                found = answer(request, mutations)
            except Refused:
                self.state.tables = json.loads(before)
                raise
            self.state.save()
            return found


@contextmanager
def serve(directory: Path, key: str = KEY) -> Iterator[WandbServer]:
    """A server whose state is in a directory, gone when the block ends.

    It knows the user `me`, the team `acme`, and the team `other`, which the user may not see.
    """
    server = WandbServer(directory, key)
    server.start()
    try:
        yield server
    finally:
        server.stop()
    assert not server.broken, server.broken
