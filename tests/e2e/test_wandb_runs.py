"""Runs of jobs that use the real W&B SDK: online they attach to the run, offline they can be sent.

The server is the tests' own; both runners do the same.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.program import Ended, Machine, succeeded
from support.repositories import Work, make_repository
from support.wandb_api.server import WandbServer, serve
from support.wandb_put import job_files, put_artifact
from support.wandb_sdk import VERSION, Sdk, install
from support.watching import watching

pytest_plugins = ["support.program_fixtures"]
pytestmark = pytest.mark.network

TRAIN = """\
import pathlib, sys, wandb
if "never" in sys.argv:
    sys.exit(0)
with wandb.init(config={"lr": 1.0, "kept": "yes", "hf_token": "x"}) as run:
    run.log({"metric": 0.5})
    pathlib.Path("weights.txt").write_text("w")
    model = wandb.Artifact("model", "model")
    model.add_file("weights.txt")
    run.log_artifact(model)
    run.save("weights.txt")
    print("attached", run.id, run.config.lr, len(run.config.get("long", "")), flush=True)
    if "fail" in sys.argv:
        sys.exit(3)
"""
# Its file of settings is one that a launch may override.
MANAGED = """\
import json, pathlib, wandb
from wandb.sdk import launch
pathlib.Path("conf.json").write_text('{"lr": 1, "kept": 2}')
with wandb.init() as run:
    launch.manage_config_file("conf.json")
    run.log({"lr": json.loads(pathlib.Path("conf.json").read_text())["lr"]})
"""
RUNNERS = [
    pytest.param("local-process", id="process"),
    pytest.param("local-container", id="container", marks=pytest.mark.engine),
]


@pytest.fixture(scope="module")
def wandb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandbServer]:
    # A key of its own, which no other program of this machine has to do with.
    with serve(tmp_path_factory.mktemp("wandb"), key=os.urandom(20).hex()) as server:
        yield server


@pytest.fixture(scope="module")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Sdk:
    return install(tmp_path_factory.mktemp("sdk"))


@dataclass(frozen=True)
class Job:
    """A job that was built: where, by whom, and its reference there."""

    machine: Machine
    directory: Path
    name: str

    def run(self, runner: str, *arguments: str, **environment: str) -> Ended:
        machine = replace(self.machine, also={**self.machine.also, **environment})
        command = ("run", self.name, "-r", runner, "--json", *arguments)
        return machine.run(*command, cwd=self.directory)


@pytest.fixture(scope="module")
def job(
    tmp_path_factory: pytest.TempPathFactory, shared_cache: Path, python_base_layout: Path
) -> Iterator[Job]:
    """A job with the SDK among its packages; the engine has its image no more afterwards."""
    top = tmp_path_factory.mktemp("job")
    machine = Machine(top / "machine", shared_cache)
    work: Work = make_repository(top / "checkout")
    work.commit(
        {
            "train.py": TRAIN,
            "requirements.txt": f"wandb=={VERSION}\n",
            "unique": os.urandom(8).hex(),
        }
    )
    built = succeeded(machine.run(
        "build", "-E", "python train.py", "--python", "3.11", "--resolve-date", "latest",
        "--base-image", f"oci:{python_base_layout}", "--json",
        cwd=work.path,
    )).document  # fmt: skip
    yield Job(machine, top, built["job_name"])
    for path in machine.store.glob("*/blobs/sha256/*"):
        if b'"rootfs"' in path.read_bytes()[:100_000]:
            remove = ["docker", "image", "rm", "-f", f"sha256:{path.name}"]
            subprocess.run(remove, capture_output=True)


def kept(job: Job, document: dict[str, Any]) -> Path:
    return job.directory / "launch-output" / str(document["run_id"])


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_offline_run_is_kept_read_and_sent_later(
    job: Job, wandb: WandbServer, sdk: Sdk, runner: str
) -> None:
    ended = succeeded(job.run(runner, "--set", "lr=0.25", "-p", f"later-{runner}", "-e", "acme"))
    run_id = ended.document["run_id"]
    (directory,) = (kept(job, ended.document) / "wandb").glob(f"offline-run-*-{run_id}")

    assert ended.document["metrics"] == {"metric": 0.5}
    assert ended.document["run_url"] is None
    assert ended.document["metadata"]["wandb_run"] == {
        "directory": str(directory), "offline": True,
        "config": {"lr": 0.25, "kept": "yes", "hf_token": "***"},
    }  # fmt: skip
    assert "`wandb sync` sends it" in ended.err
    assert str(directory) in ended.err
    assert f"attached {run_id} 0.25 0" in ended.err
    assert wandb.runs(f"acme/later-{runner}") == []

    _sync(sdk, wandb, directory)

    (run,) = wandb.runs(f"acme/later-{runner}")
    assert run["name"] == run_id
    assert "weights.txt" in run["files"]
    assert json.loads(run["config"])["lr"]["value"] == 0.25
    assert json.loads(run["summaryMetrics"])["metric"] == 0.5
    assert wandb.files(f"acme/later-{runner}/model") == {"weights.txt": b"w"}


def _sync(sdk: Sdk, wandb: WandbServer, directory: Path) -> None:
    command = [str(sdk.python), "-m", "wandb", "sync", str(directory)]
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], "HOME": str(sdk.home), **wandb.environment},
        cwd=sdk.home, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_online_run_is_the_run_that_was_started(
    job: Job, wandb: WandbServer, runner: str
) -> None:
    config = json.dumps({"overrides": {"run_config": {"long": "x" * 40_000}}})
    with watching() as watched:
        ended = succeeded(job.run(
            runner, "--set", "lr=0.25", "-p", f"now-{runner}", "-e", "acme", "--name", "two",
            "-c", config, WANDB_BASE_URL=wandb.url, WANDB_API_KEY=wandb.key,
        ))  # fmt: skip
    run_id = ended.document["run_id"]
    (run,) = wandb.runs(f"acme/now-{runner}")

    assert f"attached {run_id} 0.25 40000" in ended.err
    assert ended.document["metrics"] == {"metric": 0.5}
    assert ended.document["run_url"] == f"{wandb.url}/acme/now-{runner}/runs/{run_id}"
    assert (run["name"], run["displayName"]) == (run_id, "two")
    sent = {name: one["value"] for name, one in json.loads(run["config"]).items()}
    assert (sent["lr"], sent["kept"], len(sent["long"])) == (0.25, "yes", 40_000)
    assert any(b"launch-action" in line for line in watched.lines)
    left = (path.read_bytes() for folder in (job.directory, wandb.directory)
            for path in folder.rglob("*") if path.is_file())  # fmt: skip
    for place in (ended.err.encode(), ended.out.encode(), *watched.lines, *left):
        assert wandb.key.encode() not in place


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_job_at_w_and_b_is_the_input_of_its_runs(
    job: Job, wandb: WandbServer, python_base_layout: Path, runner: str
) -> None:
    name = f"acme/inputs-{runner}"
    files = {"main.py": MANAGED.encode(), "requirements.txt": f"wandb=={VERSION}\n".encode()}
    code = put_artifact(wandb, f"{name}/code-x", files, kind="code")
    source = {"artifact": f"wandb-artifact://_id/{code}", "entrypoint": ["python", "main.py"]}
    put_artifact(wandb, f"{name}/x", job_files("artifact", source))
    config = {"overrides": {"files": {"conf.json": {"lr": 0.25}}}}
    machine = replace(job.machine, also={"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key})

    # Built on the way, with what is asked of the build.
    ended = succeeded(machine.run(
        "launch", "-j", f"{name}/x", "-e", "acme", "-r", runner, "-c", json.dumps(config), "--json",
        "--base-image", f"oci:{python_base_layout}", "--resolve-date", "latest", cwd=job.directory,
    ))  # fmt: skip

    (run,) = wandb.runs(name)
    (version,) = wandb.versions(f"{name}/x")
    assert run["name"] == ended.document["run_id"]
    assert version["used"] == [run["id"]]
    assert ended.document["metrics"] == {"lr": 0.25}
    assert "debug-core" not in ended.err


def test_a_launched_job_is_recorded_and_the_input_of_its_run(
    job: Job, wandb: WandbServer, python_base_layout: Path
) -> None:
    folder = job.directory / "launched"
    folder.mkdir()
    (folder / "main.py").write_text(MANAGED)
    (folder / "requirements.txt").write_text(f"wandb=={VERSION}\n")
    login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key}
    ended = succeeded(replace(job.machine, also=login).run(
        "launch", "-u", str(folder), "-E", "python main.py", "-J", "x", "-p", "launched",
        "-e", "acme", "-r", "local-process", "--python", "3.11", "--resolve-date", "latest",
        "--base-image", f"oci:{python_base_layout}", "--json", cwd=job.directory,
    ))  # fmt: skip

    (run,) = wandb.runs("acme/launched")
    (version,) = wandb.versions("acme/launched/x")
    assert run["name"] == ended.document["run_id"]
    assert version["used"] == [run["id"]]


def test_a_job_without_a_run_at_w_and_b_says_so_and_is_no_failure(
    job: Job, wandb: WandbServer
) -> None:
    login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key}
    ended = succeeded(job.run("local-process", "--args", "never", **login))

    assert (ended.document["run_status"], ended.document["run_url"]) == ("succeeded", None)
    assert "did not call wandb.init" in ended.err


def test_a_failed_run_has_its_page(job: Job, wandb: WandbServer) -> None:
    login = {"WANDB_BASE_URL": wandb.url, "WANDB_API_KEY": wandb.key}
    ended = job.run("local-process", "--args", "fail", **login)

    assert (ended.code, ended.document["run_exit_code"]) == (1, 3)
    # Without a project it is the repository's, without an entity the key's own.
    run_id = ended.document["run_id"]
    assert ended.document["run_url"] == f"{wandb.url}/me/mono/runs/{run_id}"


def test_the_key_of_wandb_login_serves_and_can_be_kept_back(job: Job, wandb: WandbServer) -> None:
    home = job.directory / "home-with-login"
    (home / ".config/wandb").mkdir(parents=True, exist_ok=True)
    host = wandb.url.removeprefix("http://")
    (home / ".netrc").write_text(f"machine {host}\n  login user\n  password {wandb.key}\n")
    (home / ".config/wandb/settings").write_text(
        f"[default]\nbase_url = {wandb.url}\nentity = acme\n"
    )
    online = succeeded(job.run("local-process", HOME=str(home))).document
    back = succeeded(job.run("local-process", "--env", "WANDB_API_KEY=", HOME=str(home)))
    empty = succeeded(job.run("local-process", HOME=str(home), WANDB_API_KEY=""))

    assert online["run_url"] == f"{wandb.url}/acme/mono/runs/{online['run_id']}"
    for one in (back, empty):
        assert one.document["run_url"] is None
        assert "is offline" in one.err


def test_output_goes_where_it_is_asked_to(job: Job, tmp_path: Path) -> None:
    ended = succeeded(job.run("local-process", "--args", "never", "--output", str(tmp_path / "o")))

    assert (tmp_path / "o" / ended.document["run_id"] / "log.txt").exists()
