"""A directory becomes a code job: recorded as it is, built, run, and the same again."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from support.program import Machine, failed, succeeded

pytest_plugins = ["support.program_fixtures"]

SCRIPT = """\
import json, os, pathlib
out = pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"])
(out / "metrics.json").write_text(json.dumps({"metric": 0.5}))
"""


@pytest.fixture
def quickstart(tmp_path: Path) -> Path:
    folder = tmp_path / "quickstart"
    (folder / "wandb" / "run-1").mkdir(parents=True)
    (folder / "wandb" / "run-1" / "x").write_text("a run of before")
    (folder / "main.py").write_text(SCRIPT)
    (folder / "helper.sh").write_text("#!/bin/sh\n")
    (folder / "helper.sh").chmod(0o755)
    (folder / "link").symlink_to("main.py")
    (folder / "dropped.log").write_text("")
    (folder / ".dockerignore").write_text("*.log\n")
    return folder


@pytest.fixture
def build(options: tuple[str, ...]) -> tuple[str, ...]:
    return ("--json", *options[2:], "-E", "python main.py")


def archive(machine: Machine, job_name: str) -> Path:
    """The code archive of the latest version, in the local store."""
    layout = machine.store / job_name
    index = json.loads((layout / "index.json").read_text())
    (latest,) = (
        one for one in index["manifests"]
        if one["annotations"]["org.opencontainers.image.ref.name"] == "latest"
    )  # fmt: skip

    def blob(digest: str) -> Path:
        return layout / "blobs" / digest.replace(":", "/")

    version = json.loads(blob(latest["digest"]).read_text())
    (job,) = (m for m in version["manifests"] if m["platform"]["os"] == "unknown")
    layers = json.loads(blob(job["digest"]).read_text())["layers"]
    (code,) = (
        one for one in layers
        if one["annotations"]["org.opencontainers.image.title"] == "code.tar.gz"
    )  # fmt: skip
    return blob(code["digest"])


def test_a_directory_is_recorded_built_and_run(
    machine: Machine, quickstart: Path, build: tuple[str, ...]
) -> None:
    launch = ("launch", "--uri", ".", "--job-name", "hello-world-code", "-r", "local-process")

    ran = succeeded(machine.run(*launch, *build, cwd=quickstart)).document
    shown = succeeded(
        machine.run("job", "describe", "hello-world-code", "--json", cwd=quickstart)
    ).document

    assert ran["metrics"] == {"metric": 0.5}
    assert ran["job_name"] == "hello-world-code"
    assert ran["tags"] == ["latest"]
    document = shown["wandb_job"]
    assert document["source_type"] == "artifact"
    assert document["source"]["entrypoint"] == ["python", "main.py"]
    name, _, digest = document["source"]["artifact"].partition("@")
    assert name == "launch-action-artifact://code-hello-world-code"
    stored = archive(machine, "hello-world-code")
    assert digest == f"sha256:{stored.name}"
    with tarfile.open(stored) as found:
        kinds = {m.name: (m.isfile(), oct(m.mode), m.mtime, m.uid) for m in found}
    assert kinds == {
        ".dockerignore": (True, "0o644", 315532800, 0), "helper.sh": (True, "0o755", 315532800, 0),
        "link": (False, "0o777", 315532800, 0), "main.py": (True, "0o644", 315532800, 0),
    }  # fmt: skip


def test_the_same_content_is_the_same_version_whoever_has_it(
    machine: Machine, quickstart: Path, build: tuple[str, ...], tmp_path: Path
) -> None:
    command = ("build", "-u", str(quickstart), *build)
    first = succeeded(machine.run(*command, cwd=tmp_path)).document
    elsewhere = tmp_path / "elsewhere" / "quickstart"
    shutil.copytree(quickstart, elsewhere, symlinks=True)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    (elsewhere / "main.py").chmod(0o600)
    other = replace(machine, root=tmp_path / "other", cache=tmp_path / "other-cache")

    again = succeeded(machine.run(*command, cwd=tmp_path)).document
    far = succeeded(other.run("build", "-u", str(elsewhere), *build, cwd=tmp_path)).document

    assert first["job_name"] == "job-code-quickstart_main.py"
    assert (first["cache_hit"], again["cache_hit"]) == (False, True)
    assert first["job"] == again["job"] == far["job"]
    assert not list((machine.store / "job-quickstart_main.py").glob("*"))
    (quickstart / "main.py").write_text(SCRIPT + "# changed\n")
    changed = succeeded(machine.run(*command, cwd=tmp_path)).document
    assert changed["job"] != first["job"]


def test_an_entry_point_with_arguments_names_the_script(
    machine: Machine, quickstart: Path, build: tuple[str, ...]
) -> None:
    command = (*build[:-1], "python main.py --lr 0.1")

    built = succeeded(machine.run("build", "-u", ".", *command, cwd=quickstart))

    assert built.document["job_name"] == "job-code-quickstart_main.py"


def test_a_credential_is_no_part_of_a_job(
    machine: Machine, quickstart: Path, build: tuple[str, ...]
) -> None:
    (quickstart / ".env").write_text("WANDB_API_KEY=secret-4711\n")

    refused = failed(machine.run("build", "-u", ".", *build, cwd=quickstart), 3)
    let_in = machine.run("build", "-u", ".", "--allow-file", ".env", *build, cwd=quickstart)

    assert "'.env'" in refused.error
    assert "secret-4711" not in refused.out + refused.err
    succeeded(let_in)


def test_a_directory_that_is_called_like_a_repository_is_a_directory(
    machine: Machine, build: tuple[str, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "digits.git"
    (folder / "jobs" / "a").mkdir(parents=True)
    (folder / "jobs" / "a" / "main.py").write_text(SCRIPT)
    (folder / ".python-version").write_text("3.11\n")
    command = (*build[:1], *build[3:])  # without --python: the file above the context tells

    built = machine.run("build", "-u", "digits.git", "-b", "jobs/a", *command, cwd=tmp_path)

    document = succeeded(built).document
    assert document["job_name"] == "job-code-digits.git_jobs_a_main.py"
    assert document["metadata"]["python"] == "3.11"
    failed(machine.run("build", "-u", "digits.git", "-g", "main", *command, cwd=tmp_path), 2)


@pytest.mark.registry
def test_code_travels_with_its_job_in_a_registry(
    machine: Machine, quickstart: Path, build: tuple[str, ...], tmp_path: Path
) -> None:
    from support.registry import running

    with running(tmp_path / "registry") as registry:
        name = f"{registry.address}/acme/code"
        built = machine.run("build", "-u", ".", "--image", name, *build, cwd=quickstart)
        other = replace(machine, root=tmp_path / "other", cache=tmp_path / "other-cache")
        ran = other.run("run", f"{name}:latest", "-r", "local-process", "--json", cwd=tmp_path)
        shown = other.run("job", "describe", name, "--json", cwd=tmp_path)

    assert succeeded(ran).document["job"] == succeeded(built).document["job"]
    assert succeeded(ran).document["metrics"] == {"metric": 0.5}
    assert succeeded(shown).document["commit"] is None
