"""Several processes that register one new commit at once: W&B has one version of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.program import Machine, succeeded
from support.repositories import Work
from support.wandb_api.server import WandbServer, serve
from support.wandb_jobs import CREATE, IMPATIENT, PROJECT, Registrar

pytest_plugins = ["support.program_fixtures"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WandbServer]:
    with serve(tmp_path / "api") as running:
        yield running


@pytest.fixture
def here(machine: Machine, server: WandbServer, work: Work) -> Registrar:
    return Registrar(machine, server, work.path)


def at_once(here: Registrar, *commands: tuple[str, ...]) -> list[dict[str, Any]]:
    """Run the program several times at once; what each says."""
    machine = Machine(
        here.machine.root, here.machine.cache, {**here.server.environment, **IMPATIENT}
    )
    with ExitStack() as stack:
        children = [
            stack.enter_context(machine.started(*command, cwd=here.directory))
            for command in commands
        ]
        told = [child.communicate(timeout=120) for child in children]
        assert [child.returncode for child in children] == [0] * len(children), told
        return [json.loads(out) for out, _ in told]


def committed(server: WandbServer, name: str) -> list[int]:
    return [v["versionIndex"] for v in server.versions(name) if v["state"] == "COMMITTED"]


def test_two_that_register_one_commit_make_one_version(
    here: Registrar, server: WandbServer
) -> None:
    # No commit before both have begun: W&B has nothing then that it could give to either.
    held = server.fail("CommitArtifact", 200, wait=4.0)
    command = (*CREATE, "-p", "demo", "-e", "acme")
    found = at_once(here, (*command, "-a", "one"), (*command, "-a", "two"))
    assert held.seen == 2

    assert [one["wandb_job"] for one in found] == [f"{PROJECT}/hello:v0"] * 2
    assert committed(server, f"{PROJECT}/hello") == [0]
    aliases = server.aliases(f"{PROJECT}/hello")
    assert {"one", "two", "main", "latest"} < set(aliases)
    assert set(aliases.values()) == {"v0"}
    assert server.runs(PROJECT) == []
    # What comes later is a version as ever, whose number is of no other.
    server.mend()
    changed = succeeded(here.create("-E", "python other.py")).document
    assert changed["wandb_job"] == f"{PROJECT}/hello:v2"
    assert succeeded(here.create()).document["wandb_job"] == f"{PROJECT}/hello:v0"


def test_two_that_register_one_directory_make_one_job_of_one_code(
    here: Registrar, server: WandbServer
) -> None:
    server.fail("CommitArtifact", 200, wait=4.0)
    command = ("job", "create", "code", ".", "-E", "python train.py", "-p", "demo", "-e", "acme",
               "-n", "hello", "--json")  # fmt: skip
    found = at_once(here, command, command)

    assert [one["wandb_job"] for one in found] == [f"{PROJECT}/hello:v0"] * 2
    assert committed(server, f"{PROJECT}/code-hello") == [0]
    assert committed(server, f"{PROJECT}/hello") == [0]
