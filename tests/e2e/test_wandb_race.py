"""Several processes that register one new commit at once: W&B has one version of it."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

from support.program import Machine, succeeded
from support.repositories import Work
from support.wandb_api.server import WandbServer
from support.wandb_jobs import CREATE, IMPATIENT, PROJECT, Registrar

pytest_plugins = ["support.program_fixtures", "support.wandb_fixtures"]


def at_once(here: Registrar, *commands: tuple[str, ...]) -> list[dict[str, Any]]:
    """Run the program several times at once; what each says.

    None commits before all have begun: W&B has nothing then that it could give to either.
    """
    held = here.server.fail("CommitArtifact", 200, wait=60.0)
    machine = Machine(
        here.machine.root, here.machine.cache, {**here.server.environment, **IMPATIENT}
    )
    with ExitStack() as stack:
        children = [
            stack.enter_context(machine.started(*command, cwd=here.directory))
            for command in commands
        ]
        while held.seen < len(commands) and all(child.poll() is None for child in children):
            time.sleep(0.05)
        held.over.set()
        told = [child.communicate(timeout=120) for child in children]
        assert [child.returncode for child in children] == [0] * len(children), told
        here.server.mend()
        return [json.loads(out) for out, _ in told]


def committed(server: WandbServer, name: str) -> list[int]:
    return [v["versionIndex"] for v in server.versions(name) if v["state"] == "COMMITTED"]


def test_two_that_register_one_commit_make_one_version(
    here: Registrar, server: WandbServer
) -> None:
    command = (*CREATE, "-p", "demo", "-e", "acme")
    found = at_once(here, (*command, "-a", "one"), (*command, "-a", "two"))

    assert [one["wandb_job"] for one in found] == [f"{PROJECT}/hello:v0"] * 2
    assert committed(server, f"{PROJECT}/hello") == [0]
    aliases = server.aliases(f"{PROJECT}/hello")
    assert {"one", "two", "main", "latest"} < set(aliases)
    assert set(aliases.values()) == {"v0"}
    assert server.runs(PROJECT) == []
    # What comes later is a version as ever, whose number is of no other.
    changed = succeeded(here.create("-E", "python other.py")).document
    assert changed["wandb_job"] == f"{PROJECT}/hello:v2"
    assert succeeded(here.create()).document["wandb_job"] == f"{PROJECT}/hello:v0"


def test_two_that_register_one_directory_make_one_job_of_one_code(
    here: Registrar, server: WandbServer
) -> None:
    command = ("job", "create", "code", ".", "-E", "python train.py", "-p", "demo", "-e", "acme",
               "-n", "hello", "--json")  # fmt: skip
    found = at_once(here, command, command)

    assert [one["wandb_job"] for one in found] == [f"{PROJECT}/hello:v0"] * 2
    assert committed(server, f"{PROJECT}/code-hello") == [0]
    assert committed(server, f"{PROJECT}/hello") == [0]


def test_what_moves_on_meanwhile_is_not_moved_back(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    """A slow recording ends after that of a later commit, and after its preview was closed."""
    held = server.fail("CommitArtifact", 200, wait=60.0, times=1)
    machine = Machine(
        here.machine.root, here.machine.cache, {**here.server.environment, **IMPATIENT}
    )
    first = work.git("rev-parse", "HEAD").strip()
    command = (*CREATE, "-p", "demo", "-e", "acme", "-a", "pr-3")
    with machine.started(*command, cwd=work.path) as slow:
        while not held.seen and slow.poll() is None:
            time.sleep(0.05)
        work.commit({"train.py": "print(2)\n"})
        assert succeeded(here.create()).document["wandb_job"] == f"{PROJECT}/hello:v0"
        cleanup = ("cleanup", "hello", "-a", "pr-3", "-p", "demo", "-e", "acme")
        assert "pr-3" in succeeded(here.run(*cleanup)).out
        assert slow.poll() is None
        held.over.set()
        assert slow.wait(60) == 0

    aliases = server.aliases(f"{PROJECT}/hello")
    assert aliases == {
        f"sha-{first}": "v1", f"sha-{work.git('rev-parse', 'HEAD').strip()}": "v0",
        "main": "v0", "latest": "v0",
    }  # fmt: skip
