"""Automatic job creation: `job create run` on the directories that the real W&B SDK writes.

Seed: "Automatic job creation", its three conditions in order, and "Launch job names".
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from support.git_remotes import GitServer, http_server
from support.program import Machine, failed, succeeded
from support.registry import running
from support.repositories import git
from support.services import push_layout
from support.wandb_api.server import serve
from support.wandb_sdk import Runs, Sdk, install

pytest_plugins = ["support.program_fixtures"]
pytestmark = pytest.mark.network

CONFIG = '{"lr": 0.1, "model": {"depth": 2, "name": "x"}, "tags": ["a", 1], "none": None}'
TRAIN = f"""\
import sys, wandb
settings = wandb.Settings(job_name="of-the-settings", save_code="save" in sys.argv)
with wandb.init(project="demo", config={CONFIG}, settings=settings) as run:
    if "code" in sys.argv:
        run.log_code(".")
    run.log({{"loss": 0.5}})
"""
# What a patch makes of it: the job then runs without the SDK.
PATCHED = """\
import json, os, pathlib
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps({"patched": 1}))
"""
LOGIN = ("me", "s3cr3t-word")
NUMBER, STRING = {"wb_type": "number"}, {"wb_type": "string"}


@dataclass(frozen=True)
class WandbRuns:
    """A run of each kind, by its directory."""

    sdk: Sdk
    server: GitServer
    dirty: Path
    module: Path
    code: Path
    saved: Path
    none: Path
    online: Path
    online_code: Path
    online_saved: Path
    commit: str


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandbRuns]:
    """Every run there is to make a job of, recorded by the SDK itself."""
    sdk = install(tmp_path_factory.mktemp("sdk"))
    top = tmp_path_factory.mktemp("runs")
    with http_server(top / "served", login=LOGIN) as server, serve(top / "api") as api:
        commit = server.commit("mono", {"jobs/hello/train.py": TRAIN, "README": "\n"})
        writer, wandb = Runs(sdk), api.environment
        dirty = _clone(server, top / "dirty")
        (dirty / "jobs/hello/train.py").write_text(TRAIN + "# changed\n")
        module = _clone(server, top / "module")
        git(module, "remote", "set-url", "origin", "git@github.com:acme/mono.git")
        plain = [top / name for name in ("code", "saved", "none", "online_code", "online_saved")]
        for one in plain:
            (one / "pkg").mkdir(parents=True)
            (one / "pkg/train.py").write_text(TRAIN)
            (one / "train.py").write_text(TRAIN)
        code, saved, none, *online = plain
        at_git = _clone(server, top / "online")
        found = WandbRuns(
            sdk, server,
            dirty=writer.record(dirty / "jobs/hello", "train.py", "code", "save"),
            module=writer.record(module, "-m", "jobs.hello.train"),
            code=writer.record(code, "pkg/train.py", "code", WANDB_DOCKER="acme/x:1"),
            saved=writer.record(saved, "train.py", "save"),
            none=writer.record(none, "train.py"),
            online=writer.record(at_git, "jobs/hello/train.py", **wandb),
            online_code=writer.record(online[0], "train.py", "code", **wandb),
            online_saved=writer.record(online[1], "train.py", "code", "save", **wandb),
            commit=commit,
        )  # fmt: skip
        writer.end()
        yield found


@pytest.fixture
def there(machine: Machine, runs: WandbRuns) -> Machine:
    """The machine that the runs were on: its home has what the SDK staged."""
    return replace(machine, also={"HOME": str(runs.sdk.home)})


def _clone(server: GitServer, target: Path) -> Path:
    git(
        target.parent,
        "clone",
        "--quiet",
        server.url("mono", f"{LOGIN[0]}:{LOGIN[1]}@"),
        str(target),
    )
    return target


def _created(machine: Machine, *arguments: str, cwd: Path) -> dict[str, Any]:
    """The document of the job that was recorded, as `job describe` has it."""
    made = succeeded(machine.run("job", "create", "run", *arguments, "--json", cwd=cwd)).document
    name = made["job"].partition("@")[0]
    return succeeded(
        machine.run("job", "describe", f"{name}@{made['job_digest']}", "--json", cwd=cwd)
    ).document


def test_a_commit_comes_first_with_what_had_changed(
    there: Machine, runs: WandbRuns, tmp_path: Path
) -> None:
    login = replace(there, also={**there.also, "GIT_USERNAME": LOGIN[0], "GIT_TOKEN": LOGIN[1]})
    project = runs.dirty.parent.parent
    found = _created(login, cwd=project)
    url = runs.server.url("mono")

    assert found["wandb_job"]["source_type"] == "repo"
    assert found["wandb_job"]["source"] == {
        "git": {"remote": url, "commit": runs.commit},
        "entrypoint": ["python", "jobs/hello/train.py"],
        "notebook": False,
    }
    assert found["wandb_job"]["runtime"] == "3.11"
    types = found["wandb_job"]["input_types"]["params"]["type_map"]
    assert (types["lr"], types["none"]) == (NUMBER, {"wb_type": "none"})
    assert types["model"]["params"]["type_map"] == {"depth": NUMBER, "name": STRING}
    assert types["tags"]["params"]["element_type"]["params"]["allowed_types"] == [NUMBER, STRING]
    assert found["wandb_job"]["output_types"]["params"]["type_map"]["loss"] == NUMBER
    assert found["packages"]["wandb"] == "0.31.0"
    assert found["job_name"].endswith("_mono-jobs_hello_train.py")
    run_id = next(runs.dirty.resolve().glob("run-*.wandb")).stem
    assert found["aliases"] == ["latest", run_id]
    assert found["patch"] == (runs.dirty / "files/diff.patch").read_text()
    for path in login.store.rglob("*"):
        assert not path.is_file() or LOGIN[1].encode() not in path.read_bytes()


def test_what_had_changed_is_built_wherever_the_store_is(
    there: Machine, machine: Machine, runs: WandbRuns, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """The commit, fetched again, with the patch on it; the packages as they were frozen."""
    copy = tmp_path / "run"
    shutil.copytree(runs.dirty.resolve(), copy)
    clone = _clone(runs.server, tmp_path / "clone")
    (clone / "jobs/hello/train.py").write_text(PATCHED)
    (copy / "files/diff.patch").write_text(git(clone, "diff") + "\n")
    (copy / "files/requirements.txt").write_text("tomli==2.0.1\n")
    login = {"GIT_USERNAME": LOGIN[0], "GIT_TOKEN": LOGIN[1]}
    elsewhere = replace(machine, also=login)
    succeeded(elsewhere.run("job", "create", "run", str(copy), "-J", "patched", cwd=tmp_path))
    # For a recorded remote a token has to be asked for: the environment's does not serve.
    token = ("--git-username", LOGIN[0], "--git-token", LOGIN[1])
    built = succeeded(
        machine.run("build", "patched", *token, *options[4:], "--json", cwd=tmp_path)
    ).document
    ran = succeeded(
        elsewhere.run("run", "patched", "-r", "local-process", "--json", cwd=tmp_path)
    ).document
    shown = succeeded(elsewhere.run("job", "describe", "patched", "--json", cwd=tmp_path)).document

    assert ran["metrics"] == {"patched": 1}
    assert shown["job"].endswith(built["job_digest"])
    assert shown["packages"] == {"tomli": "2.0.1"}
    assert shown["patch"]
    assert shown["wandb_job"]["input_types"]["params"]["type_map"]["lr"]
    assert not any(alias.startswith("sha-") for alias in shown["aliases"])


def test_a_run_of_a_module_at_a_clean_commit_is_a_job_of_that_commit(
    there: Machine, runs: WandbRuns, tmp_path: Path
) -> None:
    found = _created(there, str(runs.module), cwd=tmp_path)

    assert found["job_name"] == "job-https___github.com_acme_mono-jobs.hello.train"
    assert found["wandb_job"]["source"] == {
        "git": {"remote": "git@github.com:acme/mono.git", "commit": runs.commit},
        "entrypoint": ["python", "-m", "jobs.hello.train"],
        "notebook": False,
    }
    assert f"sha-{runs.commit}" in found["aliases"]
    assert found["patch"] is None


def test_logged_code_comes_before_an_image(there: Machine, runs: WandbRuns, tmp_path: Path) -> None:
    found = _created(there, str(runs.code.parent), cwd=tmp_path)
    source = found["wandb_job"]["source"]

    assert found["wandb_job"]["source_type"] == "artifact"
    assert source["entrypoint"] == ["python", "pkg/train.py"]
    assert "/source-demo-pkg_train.py@sha256:" in source["artifact"]
    assert found["job_name"] == "job-source-demo-pkg_train.py"


def test_saved_code_is_built_and_run(
    there: Machine, runs: WandbRuns, tmp_path: Path, options: tuple[str, ...]
) -> None:
    _created(there, str(next(runs.saved.resolve().glob("run-*.wandb"))), cwd=tmp_path)
    name = "job-source-demo-train.py"
    succeeded(there.run("build", name, *options[4:], cwd=tmp_path))
    ran = succeeded(there.run("run", name, "-r", "local-process", "--json", cwd=tmp_path)).document

    assert ran["metrics"] == {"loss": 0.5}  # by the frozen SDK, for nothing else declares it


def test_an_online_run_is_read_as_an_offline_one(
    there: Machine, runs: WandbRuns, tmp_path: Path
) -> None:
    login = replace(there, also={**there.also, "GIT_USERNAME": LOGIN[0], "GIT_TOKEN": LOGIN[1]})
    found = _created(login, str(runs.online), cwd=tmp_path)

    assert (runs.online / "files/wandb-metadata.json").is_file()  # which only online runs have
    assert found["wandb_job"]["source"] == {
        "git": {"remote": runs.server.url("mono"), "commit": runs.commit},
        "entrypoint": ["python", "jobs/hello/train.py"],
        "notebook": False,
    }
    assert found["wandb_job"]["runtime"] == "3.11"
    assert found["wandb_job"]["input_types"]["params"]["type_map"]["lr"] == NUMBER
    assert found["packages"]["wandb"] == "0.31.0"


def test_of_code_that_went_to_the_server_there_is_what_was_saved(
    there: Machine, runs: WandbRuns, tmp_path: Path
) -> None:
    """An online run leaves no list of the code it logged."""
    gone = failed(there.run("job", "create", "run", str(runs.online_code), cwd=tmp_path), 3)
    saved = there.run("job", "create", "run", str(runs.online_saved), "--json", cwd=tmp_path)

    assert "what it logged as 'source-demo-train.py' is at W&B" in gone.error
    assert succeeded(saved).document["job_name"] == "job-source-demo-train.py"
    assert "warning: of the run's code only its program is recorded: what it logged" in saved.err


@pytest.mark.registry
def test_an_image_comes_last(
    there: Machine, runs: WandbRuns, tmp_path: Path, python_base_layout: Path
) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    writer = Runs(runs.sdk)
    with running(tmp_path / "registry") as registry:
        image = f"{registry.address}/acme/trainer"
        push_layout(python_base_layout, f"{image}:1.0")
        run = writer.record(tmp_path, "train.py", WANDB_DOCKER=f"{image}:1.0")
        writer.end()
        found = _created(there, str(run), cwd=tmp_path)

    assert found["wandb_job"]["source_type"] == "image"
    assert found["wandb_job"]["source"]["image"].startswith(f"{image}@sha256:")
    assert found["wandb_job"]["input_types"]["params"]["type_map"]["lr"] == NUMBER
    assert "1.0" in found["aliases"]


def test_a_run_without_any_source_says_what_is_missing(
    there: Machine, runs: WandbRuns, tmp_path: Path
) -> None:
    ended = failed(there.run("job", "create", "run", str(runs.none), cwd=tmp_path), 3)

    assert ended.error.endswith(
        "has no tracked source: it was not in a git checkout with a commit; it logged no code; "
        "WANDB_DOCKER was not set"
    )
    assert not there.store.exists()


def test_the_name_is_the_environments_or_the_options(
    there: Machine, runs: WandbRuns, tmp_path: Path
) -> None:
    named = replace(there, also={**there.also, "WANDB_JOB_NAME": "awesome-job-name"})

    assert _created(named, str(runs.code), cwd=tmp_path)["job_name"] == "awesome-job-name"
    assert _created(named, str(runs.code), "-n", "mine", cwd=tmp_path)["job_name"] == "mine"


def test_the_sdk_writes_the_settings_name_nowhere(runs: WandbRuns) -> None:
    """Which is why `Settings(job_name=...)` cannot be honoured: docs/jobs.md says so."""
    files = [path for path in runs.none.resolve().rglob("*") if path.is_file()]

    assert files
    assert not [path for path in files if b"of-the-settings" in path.read_bytes()]


def test_the_source_can_be_named_and_has_to_be_there(
    there: Machine, runs: WandbRuns, tmp_path: Path
) -> None:
    code = replace(there, also={**there.also, "WANDB_JOB_SOURCE": "artifact"})
    image = replace(there, also={**there.also, "WANDB_JOB_SOURCE": "image"})
    found = _created(code, str(runs.dirty), cwd=tmp_path)
    ended = failed(image.run("job", "create", "run", str(runs.dirty), cwd=tmp_path), 3)

    assert found["wandb_job"]["source_type"] == "artifact"
    assert found["wandb_job"]["source"]["entrypoint"] == ["python", "train.py"]
    assert ended.error.endswith("makes no job of source 'image': WANDB_DOCKER was not set")


def test_code_that_is_no_longer_there_is_told(
    machine: Machine, runs: WandbRuns, tmp_path: Path
) -> None:
    ended = failed(machine.run("job", "create", "run", str(runs.code), cwd=tmp_path), 3)

    assert "of the code that it logged as 'source-demo-pkg_train.py' is not on this machine" in (
        ended.error
    )


def test_wandbs_own_reader_takes_the_types(there: Machine, runs: WandbRuns, tmp_path: Path) -> None:
    """The SDK reads the recorded input types, and assigns the run's configuration to them."""
    types = _created(there, str(runs.code), cwd=tmp_path)["wandb_job"]["input_types"]
    program = (
        "import json, sys; from wandb.sdk.data_types._dtypes import TypeRegistry, InvalidType; "
        f"t = TypeRegistry.type_from_dict(json.loads(sys.argv[1])); c = {CONFIG}; "
        "assert not isinstance(t.assign(c), InvalidType); c['lr'] = 'x'; "
        "assert isinstance(t.assign(c), InvalidType)"
    )
    subprocess.run([str(runs.sdk.python), "-c", program, json.dumps(types)], check=True)
