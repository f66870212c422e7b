"""A job is recorded on one machine and built on another, which has only the store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.git_remotes import http_server
from support.program import Machine, failed, succeeded
from support.registry import Running, running
from support.repositories import Work, git, make_repository

pytest_plugins = ["support.program_fixtures"]
pytestmark = [pytest.mark.registry, pytest.mark.network]

NAME = "acme/mono.git"
SCRIPT = """\
import json, os, pathlib, tomli
out = pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"])
(out / "metrics.json").write_text(json.dumps({tomli.__name__: 1}))
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def mono(tmp_path: Path) -> Work:
    work = make_repository(tmp_path / "mono", remote=None)
    work.commit({"jobs/hello/job.py": SCRIPT, "jobs/hello/requirements.txt": "tomli==2.0.1\n"})
    bare = tmp_path / "bare" / NAME
    git(tmp_path, "clone", "--quiet", "--mirror", str(work.path), str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")
    return work


def test_a_job_recorded_by_commit_is_built_where_only_the_store_is(
    machine: Machine, mono: Work, options: tuple[str, ...], registry: Running, tmp_path: Path
) -> None:
    store = f"{registry.address}/acme/by-commit"
    other = replace(machine, root=tmp_path / "other")
    (tmp_path / "empty").mkdir()
    with http_server(tmp_path / "bare") as server:
        created = succeeded(machine.run(
            "job", "create", "git", server.url(NAME), "-E", "python job.py", "-b", "jobs/hello",
            "-r", "3.11", "-a", "v1", "--image", store, "--json", cwd=tmp_path,
        )).document  # fmt: skip
        unbuilt = other.run("run", f"{store}:v1", "-r", "local-process", cwd=tmp_path / "empty")
        shown = succeeded(other.run("job", "describe", f"{store}:v1", "--json", cwd=tmp_path))
        mono.git("remote", "add", "origin", server.url(NAME))
        plan = other.run("build", f"{store}:v1", "--dry-run", "--json", cwd=tmp_path / "empty")
        built = succeeded(
            other.run("build", f"{store}:v1", *options[4:], "--json", cwd=tmp_path / "empty")
        ).document
    ran = succeeded(
        other.run("run", f"{store}:v1", "-r", "local-process", "--json", cwd=tmp_path / "empty")
    ).document

    commit = mono.git("rev-parse", "HEAD")
    assert created["image"] is None
    assert {"v1", "main", "latest", f"sha-{commit}"} == set(created["tags"])
    assert "launch-action build" in failed(unbuilt, 6).hint
    assert shown.document["wandb_job"]["source"] == {
        "git": {"remote": server.url(NAME), "commit": commit},
        "entrypoint": ["python", "job.py"], "notebook": False, "build_context": "jobs/hello",
    }  # fmt: skip
    assert succeeded(plan).document["plan"][-1]["step"] == "alias"
    assert built["job_name"] == created["job_name"]
    assert set(built["tags"]) == set(created["tags"])
    assert built["job_digest"] != created["job_digest"]
    assert ran["job_digest"] == built["job_digest"]
    assert "tomli" in ran["metrics"]


def test_recorded_code_is_built_from_the_store_alone(
    machine: Machine, options: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "quick"
    (folder / "ignored").mkdir(parents=True)
    (folder / "main.py").write_text(SCRIPT)
    (folder / "requirements.txt").write_text("tomli==2.0.1\n")
    (folder / ".launchignore").write_text("ignored/\n")
    created = succeeded(
        machine.run(
            "job",
            "create",
            "code",
            "quick",
            "-E",
            "python main.py",
            "-r",
            "3.11",
            "--json",
            cwd=tmp_path,
        )
    ).document
    direct = succeeded(machine.run(
        "build", "-u", "quick", "-E", "python main.py", *options[2:], "--json", "-a", "direct",
        cwd=tmp_path,
    )).document  # fmt: skip
    folder.rename(tmp_path / "gone")

    name = created["job_name"]
    built = machine.run(
        "build", f"{name}@{created['job_digest']}", *options[4:], "--json", "-a", "again",
        cwd=tmp_path,
    )  # fmt: skip

    assert name == "job-code-quick_main.py"
    assert succeeded(built).document["cache_hit"] is True
    assert built.document["job_digest"] == direct["job_digest"]
    assert built.document["tags"] == ["again"]
    described = succeeded(
        machine.run("job", "describe", f"{name}@{created['job_digest']}", "--json", cwd=tmp_path)
    ).document
    assert described["packages"] == {"tomli": "2.0.1"}


def test_a_checkout_is_recorded_as_the_commit_that_it_is_at(
    machine: Machine, mono: Work, tmp_path: Path
) -> None:
    with http_server(tmp_path / "bare") as server:
        mono.git("remote", "add", "origin", server.url(NAME))
        create = ("job", "create", "git", str(mono.path), "-E", "python job.py", "-b", "jobs/hello")
        recorded = machine.run(*create, "--json", cwd=tmp_path)
        mono.commit({"new": ""})
        unpushed = machine.run(*create, cwd=tmp_path)

    assert succeeded(recorded).document["metadata"]["commit"] == mono.git("rev-parse", "HEAD~1")
    assert "not at its remote" in failed(unpushed, 3).error
    failed(machine.run("job", "create", "code", "https://host/a", "-E", "x", cwd=tmp_path), 2)
    failed(machine.run("job", "create", "git", "nowhere", "-E", "x", cwd=tmp_path), 3)
    failed(machine.run("build", "no-such-job", cwd=tmp_path), 6)
