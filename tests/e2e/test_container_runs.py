"""Runs in containers as a user starts them: options, ends, secrets, kills."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.jobs import eventually
from support.program import Machine, failed, kill_group, succeeded
from support.registry import PASSWORD, USERNAME, running
from support.repositories import Work, make_repository
from support.watching import watching

pytest_plugins = ["support.program_fixtures"]
pytestmark = pytest.mark.engine

REPORTS = """\
import json, os, pathlib, sys
out = pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"])
seen = {name: value for name, value in os.environ.items() if name != "TOKEN"}
found = {"arguments": sys.argv[1:], "environment": seen, "token": len(os.environ.get("TOKEN", ""))}
(out / "facts.json").write_text(json.dumps(found))
(out / "metrics.json").write_text(json.dumps({"ok": 1}))
print("reported", flush=True)
"""
OTHER = "print('the other script')\n"
WAITS = """\
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "partial").write_text("x")
print("waiting", flush=True)
time.sleep(600)
"""
CONTAINER = ("-r", "local-container")
SECRET = "job-secret-4711"


def containers(run_id: str = "") -> list[dict[str, Any]]:
    """What the engine has of launch-action's, or of one run of it."""
    wanted = f"label=dev.launch-action.run-id{'=' if run_id else ''}{run_id}"
    listed = subprocess.run(
        ["docker", "ps", "-a", "--no-trunc", "--filter", wanted, "--format", "{{json .}}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in listed.stdout.splitlines()]


@pytest.fixture
def work(tmp_path: Path, machine: Machine) -> Iterator[Work]:
    """A checkout, whose image is no other test's; the engine has it no more afterwards."""
    made = make_repository(tmp_path / "checkout")
    made.commit({"unique": os.urandom(8).hex(), "train.py": WAITS})
    yield made
    for path in machine.store.glob("*/blobs/sha256/*"):
        if b'"rootfs"' in path.read_bytes()[:100_000]:
            remove = ["docker", "image", "rm", "-f", f"sha256:{path.name}"]
            subprocess.run(remove, capture_output=True)


def facts(work: Work, run_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (work.path / "launch-output" / run_id / "facts.json").read_text()
    )
    return found


def test_everything_that_is_given_reaches_the_job(
    machine: Machine, work: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    work.commit({"train.py": REPORTS})
    config = {
        "overrides": {"run_config": {"lr": 5, "seed": 1}, "args": ["--fast"]},
        "resource_args": {"local-container": {"env": "FROM=config", "cpus": 1}},
    }
    (tmp_path / "limits.yaml").write_text("local-container:\n  memory: 128m\n  env: [A=1, B=2]\n")
    ended = succeeded(
        machine.run(
            "launch", "--json", *CONTAINER, *options, "--set", "lr=0.1", "-p", "Demo", "-e", "Acme",
            "--name", "first", "-c", json.dumps(config), "-R", str(tmp_path / "limits.yaml"),
            "--env", "B=3", "--", "--name", "a b", "--json",
            cwd=work.path,
        )
    )  # fmt: skip
    found = facts(work, ended.document["run_id"])
    seen = found["environment"]

    assert found["arguments"] == ["--fast", "--name", "a b", "--json"]
    assert json.loads(seen["WANDB_CONFIG"]) == {"lr": 0.1, "seed": 1}
    assert {name: seen[name] for name in seen if name.startswith("WANDB_")} == {
        "WANDB_CONFIG": seen["WANDB_CONFIG"],
        "WANDB_DATA_DIR": f"{work.path}/launch-output/{ended.document['run_id']}/wandb-data",
        "WANDB_DIR": "/launch-output",
        "WANDB_ENTITY": "Acme",
        "WANDB_JOB_NAME": ended.document["job_name"],
        "WANDB_LAUNCH": "True",
        "WANDB_MODE": "offline",
        "WANDB_NAME": "first",
        "WANDB_PROJECT": "demo",
        "WANDB_RUN_ID": ended.document["run_id"],
        "WANDB_SYMLINK": "false",
    }
    # --resource-args wins over the launch config, --env over both.
    assert (seen["A"], seen["B"], seen.get("FROM")) == ("1", "3", None)
    assert ended.document["metrics"] == {"ok": 1}
    assert containers(ended.document["run_id"]) == []


def test_an_existing_version_runs_with_another_entry_point(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"train.py": REPORTS, "other.py": OTHER})
    built = succeeded(machine.run("build", "--json", *options, cwd=work.path)).document
    for command in (("run", built["job_name"]), ("launch", "--job", f"{built['job_name']}:latest")):
        ended = machine.run(*command, *CONTAINER, "-E", "python other.py", cwd=work.path)
        assert succeeded(ended).out.startswith("the other script\n")


@pytest.mark.registry
def test_no_secret_of_a_run_is_anywhere(
    machine: Machine, work: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    work.commit({"train.py": REPORTS})
    with running(tmp_path / "registry", password=True) as registry:
        name = f"{registry.address}/acme/train"
        able = replace(
            machine,
            also={
                "LAUNCH_ACTION_REGISTRY_USERNAME": USERNAME,
                "LAUNCH_ACTION_REGISTRY_PASSWORD": PASSWORD,
                "TOKEN": SECRET,
                "OTHER_SECRET": "never-named-4711",
            },
        )
        succeeded(able.run("build", "--json", "--image", name, *options, cwd=work.path))
        with watching() as watched:
            # The engine has no login of its own: it pulls with ours.
            ended = succeeded(
                able.run(
                    "run", f"{name}:latest", "--json", "--verbose", *CONTAINER, "--env", "TOKEN",
                    cwd=work.path,
                )
            )  # fmt: skip
        found = facts(work, ended.document["run_id"])
        history = subprocess.run(
            ["docker", "image", "inspect", ended.document["image"]], capture_output=True, check=True
        ).stdout
        subprocess.run(["docker", "image", "rm", "-f", ended.document["image"]], check=True)

    assert found["token"] == len(SECRET)
    assert found["environment"]["WANDB_DOCKER"] == ended.document["image"]
    outputs = work.path / "launch-output" / ended.document["run_id"]
    left = b"".join(path.read_bytes() for path in outputs.rglob("*") if path.is_file())
    registered = b"".join(
        path.read_bytes()
        for folder in (tmp_path / "registry/data", machine.root)
        for path in folder.rglob("*")
        if path.is_file()
    )
    assert "goes through this machine" not in ended.err
    assert any(b"train.py" in line for line in watched.lines)
    for secret in (SECRET, PASSWORD, "never-named-4711"):
        for place in (ended.out + ended.err, b"\n".join(watched.lines), history, left, registered):
            assert secret.encode() not in (place.encode() if isinstance(place, str) else place)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_stops_the_container_and_brings_its_output(
    machine: Machine, work: Work, options: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    with machine.started("launch", "--json", *CONTAINER, *options, cwd=work.path) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line == b"waiting\n":
                break
        child.send_signal(number)
        out, _ = child.communicate(timeout=60)
    found = json.loads(out)

    assert child.returncode == code
    assert found["run_status"] == "cancelled"
    assert (work.path / "launch-output" / found["run_id"] / "partial").exists()
    assert containers(found["run_id"]) == []


def test_a_timeout_stops_the_container_and_says_so(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    command = ("launch", "--json", *CONTAINER, "--timeout", "3s", *options)
    ended = machine.run(*command, cwd=work.path)

    assert ended.code == 1, ended.err
    assert ended.document["run_status"] == "timeout"
    assert (work.path / "launch-output" / ended.document["run_id"] / "partial").exists()
    assert containers(ended.document["run_id"]) == []


def test_async_prints_the_run_s_id_and_leaves(
    machine: Machine, work: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    ended = succeeded(
        machine.run("launch", "--json", "--async", *CONTAINER, *options, cwd=work.path)
    )
    run_id = ended.document["run_id"]
    name = f"launch-{run_id}"
    try:
        assert (ended.document["run_status"], ended.document["run_exit_code"]) == ("running", None)
        assert [one["State"] for one in containers(run_id)] == ["running"]
        assert f"docker logs -f {name}" in ended.err
        # A later run of the same command leaves it alone.
        succeeded(machine.run("run", ended.document["job_name"], *CONTAINER, "-E", "true",
                              cwd=work.path))  # fmt: skip
        assert [one["State"] for one in containers(run_id)] == ["running"]
        assert eventually(lambda: _copied(name, tmp_path / "copied"), 20)
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", name], capture_output=True)


def _copied(name: str, place: Path) -> bool:
    command = ["docker", "cp", f"{name}:/launch-output/partial", str(place)]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_without_an_engine_nothing_is_built_and_the_hint_says_what_to_do(
    machine: Machine, work: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    alone = replace(machine, also={"DOCKER_HOST": f"unix://{tmp_path}/none.sock"})
    for more in (CONTAINER, ("--async",)):
        ended = failed(alone.run("launch", "--json", *more, *options, cwd=work.path), 7)
        assert "no Docker engine" in ended.error
        assert "local-process" in ended.hint
        assert not machine.store.exists()


@pytest.mark.parametrize(
    ("options_of_run", "text"),
    [
        (("-v", "size=2"), "--set-var"),
        (("--async", "--timeout", "5s"), "detached"),
        (("--async", "-r", "local-process"), "left to itself"),
        (("-R", '{"local-container": {"privileged": true}}'), "privileged"),
        (("-R", '{"cpus": 2}'), "by resource"),
        (("-R", "nowhere.yaml"), "nowhere.yaml"),
        (("-c", '{"resource_args": {"local-container": {"volume": "/:/host"}}}'), "volume"),
        (("-c", '{"resource": "kubernetes"}'), "kubernetes"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_built(
    machine: Machine, work: Work, options: tuple[str, ...], options_of_run: tuple[str, ...],
    text: str,
) -> None:  # fmt: skip
    ended = failed(machine.run("launch", *options, *options_of_run, cwd=work.path), 2)

    assert text in ended.error
    assert not machine.store.exists()


def test_killed_at_any_moment_nothing_is_left_that_the_next_run_does_not_sweep(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"train.py": WAITS, "other.py": OTHER})
    name = succeeded(machine.run("build", "--json", *options, cwd=work.path)).document["job_name"]
    run = ("run", name, *CONTAINER)
    # The image is in the engine by then: what is disturbed is the run.
    usual = succeeded(machine.run(*run, "-E", "python other.py", cwd=work.path)).seconds
    mine: set[str] = set()
    for at in range(10):
        with machine.started(*run, "--json", cwd=work.path) as child:
            time.sleep((at + random.random()) * 1.2 * usual / 10)
            kill_group(child.pid)
        mine |= {one["Names"] for one in containers()}

    succeeded(machine.run(*run, "-E", "python other.py", cwd=work.path))
    left = [one for one in containers() if one["Names"] in mine]
    ours = [one for one in left if owned_by_the_dead(one["Names"])]
    assert not [one for one in ours if one["State"] in ("running", "created")]
    for one in ours:
        subprocess.run(["docker", "rm", "-f", "-v", one["Names"]], capture_output=True, check=True)


def owned_by_the_dead(name: str) -> bool:
    shown = '{{index .Config.Labels "dev.launch-action.owner"}}'
    inspected = subprocess.run(
        ["docker", "inspect", "-f", shown, name], capture_output=True, text=True, check=True
    )
    return not Path("/proc", inspected.stdout.split()[1]).exists()
