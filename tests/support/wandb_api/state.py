"""What the server keeps: tables in one JSON file, and the bytes of files beside it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xxhash
from support.wandb_api.graphql import Refused

Row = dict[str, Any]
_TABLES = (
    "projects", "runs", "collections", "artifacts", "manifests", "uploads",
    "queues", "items", "agents", "configs",
)  # fmt: skip


@dataclass(slots=True)
class State:
    """The tables, by identifier; `save` writes them.

    `entities` maps each entity to whether it is a team; `closed` are those that exist and that the
    user may not write to. With `xxhash` artifacts have XXH128 digests, where their maker asks so.
    """

    directory: Path
    entities: dict[str, bool]
    user: str
    closed: tuple[str, ...] = ()
    tables: dict[str, dict[str, Row]] = field(default_factory=dict)
    counter: int = 0
    xxhash: bool = False

    @classmethod
    def open(
        cls, directory: Path, user: str, entities: dict[str, bool], closed: tuple[str, ...]
    ) -> State:
        """The state of a directory, as a server left it; else an empty one."""
        (directory / "files").mkdir(parents=True, exist_ok=True)
        state = cls(directory, entities, user, closed)
        if state.path.exists():
            kept = json.loads(state.path.read_text())
            state.tables, state.counter = kept["tables"], kept["counter"]
        for table in _TABLES:
            state.tables.setdefault(table, {})
        return state

    @property
    def path(self) -> Path:
        return self.directory / "state.json"

    def save(self) -> None:
        """Write the tables; whoever reads meanwhile sees all of it or nothing."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps({"counter": self.counter, "tables": self.tables}, indent=1))
        new.replace(self.path)

    def add(self, table: str, kind: str, row: Row) -> Row:
        """Keep a row under a new identifier of W&B's form: base64 of `Kind:number`."""
        self.counter += 1
        identifier = base64.b64encode(f"{kind}:{self.counter}".encode()).decode()
        row |= {"id": identifier, "number": self.counter, "createdAt": now()}
        self.tables[table][identifier] = row
        return row

    def row(self, table: str, identifier: str) -> Row:
        found = self.tables[table].get(identifier)
        if found is None:
            message = f"{table} {identifier!r} not found"
            raise Refused(message, 404)
        return found

    def find(self, table: str, **wanted: Any) -> Row | None:
        """The first row that has these values."""
        return next(iter(self.all(table, **wanted)), None)

    def all(self, table: str, **wanted: Any) -> list[Row]:
        """Every row that has these values, oldest first."""
        rows = sorted(self.tables[table].values(), key=lambda row: int(row["number"]))
        return [row for row in rows if all(row.get(k) == v for k, v in wanted.items())]

    def entity(self, name: str | None, what: str) -> str:
        """The entity that is asked for, to be written to; without a name the user's own."""
        name = name or self.user
        if name not in self.entities:
            message = f"entity {name} not found during {what}"
            raise Refused(message, 404)
        if name in self.closed:
            raise Refused("permission denied", 403, "PERMISSION_ERROR")
        return name

    def run(self, input: dict[str, Any], what: str) -> Row:
        """The run that a mutation names."""
        entity, project, name = input["entityName"], input["projectName"], input["runName"]
        found = self.find("runs", entity=entity, project=project, name=name)
        if found is None:
            raise Refused(f"run {name} not found during {what}", 404)
        return found

    def project(self, entity: str | None, name: str | None, *, make: bool = False) -> Row | None:
        """A project; made on the way where W&B makes it."""
        entity = entity or self.user
        found = self.find("projects", entity=entity, name=name)
        if found is None and make:
            return self.add("projects", "Project", {"entity": entity, "name": name})
        return found

    def blob(self, digest: str) -> Path:
        """Where the bytes with an MD5 or XXH128 (base64) are."""
        return self.directory / "files" / base64.b64decode(digest).hex()

    def keep(self, data: bytes) -> str:
        """Keep bytes, by either digest that a manifest may have of them; their MD5 in base64."""
        digests = hashlib.md5(data).digest(), xxhash.xxh128(data).digest()
        first, second = (base64.b64encode(digest).decode() for digest in digests)
        self.blob(first).write_bytes(data)
        if not self.blob(second).exists():
            self.blob(second).hardlink_to(self.blob(first))
        return first


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
