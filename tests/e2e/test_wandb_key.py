"""The key for W&B: in nothing that is said, left or started, whatever goes wrong on the way."""

from __future__ import annotations

import base64
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from support.action_scene import Scene
from support.github_events import branch
from support.program import Ended, Machine, failed
from support.repositories import Work
from support.services import LocalRegistry
from support.wandb_api.server import KEY, WandbServer, serve
from support.wandb_jobs import CREATE, IMPATIENT
from support.watching import watching

pytest_plugins = ["support.program_fixtures", "support.action_fixtures"]

SPELLINGS = (KEY.encode(), base64.b64encode(f"api:{KEY}".encode()))
# A job that fails, and that would show what it is given.
FAILS = """\
import os, sys
print(len(os.environ["WANDB_API_KEY"]), "characters")
sys.exit(3)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WandbServer]:
    with serve(tmp_path / "api") as running:
        yield running


def below(*folders: Path) -> bytes:
    files = (path for folder in folders for path in folder.rglob("*"))
    return b"".join(p.read_bytes() for p in files if p.is_file() and not p.is_symlink())


def nowhere(ended: Ended, *places: bytes) -> None:
    for place in (ended.out.encode(), ended.err.encode(), *places):
        assert not [one for one in SPELLINGS if one in place]


def test_in_the_environment_of_a_run_that_fails(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"train.py": FAILS})
    for given in (f"WANDB_API_KEY={KEY}", "WANDB_API_KEY"):
        able = replace(machine, also={"WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"})
        with watching() as watched:
            ended = able.run(
                "launch", *options, "-r", "local-process", "--env", given, "--verbose", "--json",
                "--set", "a=1", cwd=work.path,
            )  # fmt: skip

        assert (ended.code, ended.document["run_exit_code"]) == (1, 3)
        assert f"{len(KEY)} characters" in ended.err
        # What the test itself gives the program, its option, is in the process list.
        theirs = [line for line in watched.lines if f"--env\0{given}".encode() not in line]
        theirs = [line for line in theirs if b"launch-action" not in line]
        nowhere(ended, below(machine.root, work.path), *theirs)


@pytest.mark.engine
def test_in_a_build_that_fails(machine: Machine, work: Work, server: WandbServer) -> None:
    work.commit({"Dockerfile": 'FROM scratch\nARG WANDB_API_KEY\nCOPY . /\nRUN ["/no"]\n'})
    able = replace(machine, also=server.environment)
    build = ("build", "-E", "python train.py", "-D", "Dockerfile", "-p", "demo", "-e", "acme",
             "--verbose", "--no-check-remote", "--json")  # fmt: skip
    refused = able.run(*build, "--build-arg", "WANDB_API_KEY", cwd=work.path)
    with watching() as watched:
        ended = able.run(*build, cwd=work.path)

    assert "'build-arg' has a key or token as 'WANDB_API_KEY'" in failed(refused, 2).error
    failed(ended, 4)
    kept = below(machine.root, work.path, server.directory)
    nowhere(refused, kept)
    nowhere(ended, kept, *watched.lines)


def test_where_the_process_of_the_sdk_is_killed(
    machine: Machine, work: Work, server: WandbServer
) -> None:
    """As for want of memory: in the middle, with whatever it had to say."""
    fault = server.fail("CommitArtifact", 500, wait=3.0)
    able = replace(machine, also={**server.environment, **IMPATIENT})
    where = ("-p", "demo", "-e", "acme", "--verbose")
    with able.started(*CREATE, *where, cwd=work.path) as child:
        while not fault.seen and child.poll() is None:
            time.sleep(0.05)
        (worker,) = _workers(str(machine.root))
        os.kill(worker, signal.SIGKILL)
        out, err = child.communicate(timeout=60)

    ended = Ended(child.returncode, out.decode(), err.decode(), 0)
    assert "the W&B SDK ended with code -9" in failed(ended, 8).error
    assert server.runs("acme/demo") == []
    nowhere(ended, below(machine.root, work.path, server.directory))
    assert machine.leftovers() == []


def _workers(word: str) -> list[int]:
    """The processes of the SDK, of those with a word in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            ours = word.encode() in (process / "environ").read_bytes()
            if ours and b"launch_action.wandb.sdk_worker" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def test_in_a_netrc_file_of_the_workspace(
    machine: Machine, work: Work, server: WandbServer, options: tuple[str, ...]
) -> None:
    """A file that nobody has committed is in no image; one of a directory is refused."""
    host = server.url.removeprefix("http://")
    (work.path / ".netrc").write_text(f"machine {host}\n  login user\n  password {KEY}\n")
    login = {"WANDB_BASE_URL": server.url, "NETRC": str(work.path / ".netrc"), **IMPATIENT}
    known = replace(machine, also=login)
    where = ("-p", "demo", "-e", "acme", "--json")
    ended = known.run(*CREATE[:-1], *where, cwd=work.path)
    built = known.run("build", *options, "--no-check-remote", *where, cwd=work.path)
    refused = known.run("build", "-u", ".", *options, *where, cwd=work.path)

    assert ended.document["wandb_job"] == "acme/demo/hello:v0"
    assert built.code == 0, built.err
    assert "'.netrc'" in failed(refused, 3).error
    for one in (ended, built, refused):
        nowhere(one, below(machine.root, server.directory))


@pytest.mark.network
@pytest.mark.registry
@pytest.mark.parametrize("given", ["wandb-api-key", "WANDB_API_KEY", "env"])
def test_in_a_step_with_debug_logging(
    scene: Scene, inputs: dict[str, str], registry: LocalRegistry, repository: str,
    server: WandbServer, given: str,
) -> None:  # fmt: skip
    runner = scene.at(branch)
    also = {**runner.also, **IMPATIENT, "WANDB_BASE_URL": server.url, "RUNNER_DEBUG": "1",
            "WANDB_ENTITY": "acme"}  # fmt: skip
    options = f"{inputs['build-options']}\nverbose=true"
    more = {"project": "demo", "job-name": "hello", "build-options": options}
    match given:
        case "wandb-api-key":
            more[given] = KEY
        case "WANDB_API_KEY":
            also[given] = KEY
        case _:
            more[given] = f"WANDB_API_KEY={KEY}"
    server.fail("CommitArtifact", 500)
    result = replace(runner, also=also).run({**inputs, **more})

    assert result.code == (0 if given == "env" else 8), result.raw
    # The values of `env` are masked by GitHub, which knows its secrets.
    assert (f"::add-mask::{KEY}" in result.raw) == (given != "env")
    told = [line for line in result.raw.splitlines() if not line.startswith("::add-mask::")]
    everything = "".join((*told, result.summary, *result.outputs.values()))
    assert not [one for one in SPELLINGS if one.decode() in everything]
