"""A W&B that fails, in whatever way: what is stored stays, it is said what is there and what not,
and the same command then completes it.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.program import Machine, failed, kill_group, succeeded
from support.repositories import Work
from support.wandb_api.server import WandbServer
from support.wandb_jobs import CREATE, IMPATIENT, PROJECT, Registrar

pytest_plugins = ["support.program_fixtures", "support.wandb_fixtures"]

NAME = f"{PROJECT}/hello"


def committed(server: WandbServer) -> list[int]:
    """The versions that are there, by their numbers."""
    if "hello" not in server.collections(PROJECT):
        return []
    return [v["versionIndex"] for v in server.versions(NAME) if v["state"] == "COMMITTED"]


def pending(server: WandbServer) -> int:
    """How many versions were begun and are neither committed nor deleted."""
    return len(server.state.all("artifacts", state="PENDING"))


REFUSALS = (
    ("UpsertBucket", 401, "does not take the key"),
    ("UpsertBucket", 403, "refuses this to the key"),
    ("UpsertBucket", 429, "is asked too often"),
    ("CreateArtifact", 409, "conflict"),
    # What the SDK calls a failed login, whatever the server has answered.
    ("Viewer", 401, "does not take the key"),
    ("Viewer", 403, "refuses this to the key"),
    ("Viewer", 429, "is asked too often"),
    ("Viewer", 500, "has a fault"),
)


def test_what_w_b_refuses_is_told(here: Registrar, server: WandbServer) -> None:
    for match, status, words in REFUSALS:
        server.mend()
        server.fail(match, status)
        ended = failed(here.create(), 8)
        assert words in ended.error
        assert "W&B has nothing of it and lacks 'hello'" in ended.error
    assert committed(server) == []


def test_a_variable_that_the_sdk_does_not_take(here: Registrar) -> None:
    ended = failed(here.create(WANDB_INIT_TIMEOUT="soon"), 8)

    assert "does not take a WANDB_ variable" in ended.error
    assert "init_timeout" in ended.error
    assert "'soon'" in ended.error
    assert "mend or unset the variable" in ended.hint


@pytest.mark.parametrize(
    ("match", "status", "words"),
    [
        ("UpsertBucket", 503, "has a fault"),
        ("PUT /upload/.*", 500, "has a fault"),
        ("CommitArtifact", 500, "has a fault"),
    ],
)
def test_what_is_stored_stays_and_running_again_completes(
    here: Registrar, server: WandbServer, match: str, status: int, words: str
) -> None:
    server.fail(match, status)
    ended = failed(here.create(), 8)

    document = ended.document
    assert words in ended.error
    assert f"is stored as {document['job']}" in ended.error
    assert "W&B has nothing of it and lacks 'hello'" in ended.error
    assert "the same command then completes it" in ended.hint
    assert document["tags"]
    assert "wandb" not in document["metadata"]
    described = succeeded(here.run("job", "describe", "hello:latest", "--json")).document
    assert described["job"] == document["job"]
    # W&B's own tools leave a version pending, which no list shows.
    assert (pending(server), server.runs(PROJECT)) == (0, [])

    server.mend()
    again = succeeded(here.create()).document
    assert again["job"] == document["job"]
    assert again["metadata"]["wandb"]["job"] == f"{NAME}:v0"
    assert committed(server) == [0]
    assert server.aliases(NAME)["latest"] == "v0"


def test_no_server_at_all(here: Registrar, server: WandbServer) -> None:
    server.stop()
    ended = failed(here.create(), 8)
    assert "cannot be reached" in ended.error
    assert ended.document["job"]

    server.start()
    assert succeeded(here.create()).document["metadata"]["wandb"]["job"] == f"{NAME}:v0"


def test_an_entity_that_is_none(here: Registrar, server: WandbServer) -> None:
    ended = failed(here.create("-e", "nobody"), 8)

    assert "has no such entity, or none that the key may see: 'nobody'" in ended.error
    assert "--entity" in ended.hint
    # Where W&B does not say it to the first question, it says it to the SDK.
    server.fail("EntityIsTeam", 500)
    ended = failed(here.create("-e", "nobody"), 8)
    assert "has no such entity: 'nobody'" in ended.error
    assert "lacks 'hello'" in ended.error
    assert "--entity" in ended.hint
    assert not server.state.tables["projects"]


def test_a_commit_whose_answer_is_lost(here: Registrar, server: WandbServer) -> None:
    server.fail("CommitArtifact", 0, after=True)
    assert "cannot be reached" in failed(here.create(), 8).error
    assert committed(server) == [0]

    server.mend()
    assert succeeded(here.create()).document["metadata"]["wandb"]["job"] == f"{NAME}:v0"
    assert committed(server) == [0]


def test_half_of_a_code_job(here: Registrar, server: WandbServer, work: Work) -> None:
    """The code is there and the job is not: the error says so, and the code is not made again."""
    command = ("job", "create", "code", str(work.path), "-E", "python train.py", "-p", "demo",
               "-e", "acme", "-n", "hello", "--json")  # fmt: skip
    server.fail("CommitArtifact", 500, skip=1)
    ended = failed(here.run(*command), 8)
    assert f"W&B has {PROJECT}/code-hello:v0 of it and lacks 'hello'" in ended.error
    assert ended.document["metadata"]["wandb"]["code"] == f"{PROJECT}/code-hello:v0"

    server.mend()
    succeeded(here.run(*command))
    assert committed(server) == [0]
    assert [v["versionIndex"] for v in server.versions(f"{PROJECT}/code-hello")] == [0]


def test_the_run_that_recorded_it_is_no_reason_to_fail(
    here: Registrar, server: WandbServer
) -> None:
    server.fail("DeleteRun", 500)
    ended = succeeded(here.create())

    assert "could not be deleted" in ended.err
    assert committed(server) == [0]


def test_a_server_that_takes_its_time_is_said_to_be_waited_for(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    fault = server.fail("CommitArtifact", 200, wait=120)
    machine = Machine(here.machine.root, here.machine.cache, {**server.environment, **IMPATIENT})
    with machine.started(*CREATE, "-p", "demo", "-e", "acme", cwd=work.path) as child:
        assert child.stderr
        told = next(line for line in child.stderr if line.startswith(b"waiting for "))
        fault.over.set()
        child.communicate(timeout=60)
        assert child.returncode == 0
    host = server.url.removeprefix("http://")
    assert told.startswith(f"waiting for W&B at {host}: ".encode())
    assert committed(server) == [0]


@pytest.mark.parametrize(
    ("match", "times", "code", "words"),
    [
        # Asked beside the recording, which waits some seconds, and once more behind it.
        ("ArtifactMembershipByName", 2, 6, "W&B has nothing of it and lacks 'hello'"),
        # All is done but to look whether an alias has moved on meanwhile.
        ("CommitArtifact", 1, 0, f"moved on while '{NAME}:v0' was uploaded is not known"),
    ],
)
def test_a_store_that_fails_beside_w_b(
    here: Registrar, server: WandbServer, work: Work, match: str, times: int, code: int, words: str
) -> None:
    fault = server.fail(match, 200, wait=60)
    machine = Machine(here.machine.root, here.machine.cache, {**server.environment, **IMPATIENT})
    command = (*CREATE, "-p", "demo", "-e", "acme", "-a", "pr-9")
    index = machine.layout("hello") / "index.json"
    with machine.started(*command, cwd=work.path) as child:
        while fault.seen < times and child.poll() is None:
            time.sleep(0.05)
        kept = index.read_text()
        index.write_text("{")
        fault.over.set()
        out, err = child.communicate(timeout=60)
    index.write_text(kept)
    assert child.returncode == code, err
    assert words in (out + err).decode()

    server.mend()
    again = succeeded(here.create("-a", "pr-9")).document
    assert again["metadata"]["wandb"]["job"] == f"{NAME}:v0"
    assert server.aliases(NAME)["pr-9"] == "v0"
    assert committed(server) == [0]


@pytest.mark.parametrize("match", ["PUT /upload/.*", "CommitArtifact"])
def test_killed_in_the_middle(here: Registrar, server: WandbServer, work: Work, match: str) -> None:
    fault = server.fail(match, 500, wait=3.0)
    machine = Machine(here.machine.root, here.machine.cache, {**server.environment, **IMPATIENT})
    with machine.started(*CREATE, "-p", "demo", "-e", "acme", cwd=work.path) as child:
        while not fault.seen and child.poll() is None:
            time.sleep(0.05)
        kill_group(child.pid)
        child.wait()
    assert fault.seen
    fault.over.set()  # what the SDK's service still tries fails at once
    _gone(str(here.machine.root))

    server.mend()
    assert succeeded(here.create()).document["metadata"]["wandb"]["job"] == f"{NAME}:v0"
    assert committed(server) == [0]


@pytest.mark.parametrize("match", ["PUT /upload/.*", "CommitArtifact"])
def test_interrupted_it_leaves_no_run(
    here: Registrar, server: WandbServer, work: Work, match: str
) -> None:
    fault = server.fail(match, 500, wait=3.0)
    machine = Machine(here.machine.root, here.machine.cache, {**server.environment, **IMPATIENT})
    with machine.started(*CREATE, "-p", "demo", "-e", "acme", cwd=work.path) as child:
        while not fault.seen and child.poll() is None:
            time.sleep(0.05)
        assert server.runs(PROJECT)
        child.terminate()
        assert child.wait(30) == 143
    _gone(str(here.machine.root))

    assert (pending(server), server.runs(PROJECT)) == (0, [])
    assert here.machine.leftovers() == []


def test_what_a_kill_has_left_is_removed_by_a_later_recording(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    fault = server.fail("CommitArtifact", 500, wait=3.0)
    machine = Machine(here.machine.root, here.machine.cache, {**server.environment, **IMPATIENT})
    with machine.started(*CREATE, "-p", "demo", "-e", "acme", cwd=work.path) as child:
        while not fault.seen and child.poll() is None:
            time.sleep(0.05)
        _kill_all(str(here.machine.root))
        child.wait()
    _gone(str(here.machine.root))
    (run,) = server.runs(PROJECT)
    assert pending(server) == 1

    # It may be another machine's that still records, east or west of the server's zone.
    server.mend()
    with server.lock:
        begun = server.state.find("artifacts", state="PENDING")
        assert begun
        begun["createdAt"] = begun["createdAt"].removesuffix("Z")
    succeeded(here.create(TZ="Asia/Tokyo"))
    assert (pending(server), server.runs(PROJECT)) == (1, [run])

    with server.lock:
        server.state.find("artifacts", state="PENDING")["createdAt"] = "2026-01-02T03:04:05Z"  # type: ignore[index]
    work.commit({"train.py": "print(2)\n"})
    succeeded(here.create())
    assert (pending(server), server.runs(PROJECT)) == (0, [])
    assert committed(server) == [0, 1]


def _kill_all(word: str) -> None:
    """End every process that has a word in its environment, as a machine that is switched off."""
    for process in Path("/proc").glob("[0-9]*"):
        if word.encode() in _environment(process):
            with suppress(ProcessLookupError):
                os.kill(int(process.name), signal.SIGKILL)


def _gone(word: str) -> None:
    """Wait until no process has a word in its environment: the SDK's service ends by itself."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if not any(word.encode() in _environment(p) for p in Path("/proc").glob("[0-9]*")):
            return
        time.sleep(0.2)
    raise AssertionError(word)


def _environment(process: Path) -> bytes:
    try:
        return (process / "environ").read_bytes()
    except OSError:
        return b""
