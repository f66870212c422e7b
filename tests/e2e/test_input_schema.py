"""`--schema`: recorded and shown, and what a run is given is checked by it before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.program import Machine, failed, succeeded
from support.registry import running
from support.repositories import Work
from support.services import push_layout

pytest_plugins = ["support.program_fixtures"]

SCHEMA = """\
type: object
properties:
  lr: {type: number, minimum: 0, title: Learning rate}
  version: {type: string}
required: [lr]
"""
SCRIPT = """\
import os, pathlib
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(os.environ["WANDB_CONFIG"])
"""
PROCESS = ("-r", "local-process")


@pytest.fixture
def declared(work: Work) -> Work:
    work.commit({"jobs/train.py": SCRIPT, "jobs/inputs.yml": SCHEMA})
    return work


@pytest.fixture
def job(declared: Work, options: tuple[str, ...]) -> tuple[str, ...]:
    return ("-b", "jobs", "--schema", "inputs.yml", "-J", "train", *options)


def test_a_schema_is_recorded_shown_and_typed(
    machine: Machine, declared: Work, job: tuple[str, ...]
) -> None:
    built = succeeded(machine.run("build", *job, cwd=declared.path))
    shown = succeeded(machine.run("job", "describe", "train", "--json", cwd=declared.path)).document
    text = succeeded(machine.run("job", "describe", "train", cwd=declared.path)).out
    none = {"wb_type": "none"}

    assert "W&B does not read required; launch-action does" in built.err
    assert shown["schema"]["properties"]["lr"]["title"] == "Learning rate"
    assert shown["wandb_job"]["input_types"]["params"]["type_map"] == {
        "lr": {"wb_type": "number"},
        "version": {"wb_type": "union", "params": {"allowed_types": [none, {"wb_type": "string"}]}},
    }
    assert "input    lr number, required, minimum 0: Learning rate\n" in text
    assert "input    version string\n" in text


def test_what_breaks_the_schema_runs_and_builds_nothing(
    machine: Machine, declared: Work, job: tuple[str, ...]
) -> None:
    wrong = failed(machine.run("launch", *job, *PROCESS, "--set", "lr=abc", cwd=declared.path), 2)

    assert wrong.error == "lr: 'abc' is not a number (schema: properties.lr.type)"
    assert not machine.store.exists()


def test_a_recorded_job_is_run_by_its_schema(
    machine: Machine, declared: Work, job: tuple[str, ...], tmp_path: Path
) -> None:
    succeeded(machine.run("build", *job, cwd=declared.path))
    config = tmp_path / "config.yaml"
    config.write_text("overrides: {run_config: {version: 2.0, lr: 1}}")
    run = ("run", "train", *PROCESS)

    lacking = failed(machine.run(*run, cwd=tmp_path), 2)
    wrong = failed(machine.run(*run, "-c", str(config), "--set", "lr=-1", cwd=tmp_path), 2)
    right = succeeded(machine.run(*run, "--set", "version=1.0", "--set", "lr=1e-3", "--json",
                                  cwd=tmp_path))  # fmt: skip
    by_file = succeeded(machine.run(*run, "--config", str(config), "--json", cwd=tmp_path))

    assert lacking.error == 'the inputs: "lr" is a required property (schema: required)'
    assert wrong.error == "lr: -1 is less than the minimum of 0 (schema: properties.lr.minimum)"
    assert right.document["metrics"] == {"version": "1.0", "lr": 0.001}
    assert by_file.document["metrics"] == {"version": "2.0", "lr": 1}


def test_the_commits_schema_counts_and_not_the_workspaces(
    machine: Machine, declared: Work, job: tuple[str, ...]
) -> None:
    declared.write({"jobs/inputs.yml": "type: nope"})
    succeeded(machine.run("build", *job, cwd=declared.path))
    shown = succeeded(machine.run("job", "describe", "train", "--json", cwd=declared.path)).document

    assert shown["schema"]["required"] == ["lr"]


def test_what_is_recorded_and_built_later_keeps_its_schema(
    machine: Machine, declared: Work, job: tuple[str, ...], tmp_path: Path
) -> None:
    folder, create = str(declared.path), ("job", "create", "code")
    succeeded(machine.run(*create, folder, *job, cwd=tmp_path))
    recorded = succeeded(machine.run("job", "describe", "train", "--json", cwd=tmp_path)).document
    succeeded(machine.run("build", "train", *job[-2:], cwd=tmp_path))
    built = succeeded(machine.run("job", "describe", "train", "--json", cwd=tmp_path)).document
    wrong = failed(machine.run("run", "train", *PROCESS, "--set", "lr=-1", cwd=tmp_path), 2)

    assert built["job"] != recorded["job"]
    assert built["schema"] == recorded["schema"] is not None
    assert built["wandb_job"]["input_types"] == recorded["wandb_job"]["input_types"]
    assert wrong.error == "lr: -1 is less than the minimum of 0 (schema: properties.lr.minimum)"


@pytest.mark.registry
def test_an_image_job_has_a_schema_of_this_machine(
    machine: Machine, tmp_path: Path, python_base_layout: Path
) -> None:
    (tmp_path / "inputs.yaml").write_text(SCHEMA)
    with running(tmp_path / "registry") as registry:
        image = f"{registry.address}/acme/trainer:1.0"
        push_layout(python_base_layout, image)
        create = ("job", "create", "image", image, "-n", "train", "--schema", "inputs.yaml")
        succeeded(machine.run(*create, cwd=tmp_path))
        shown = succeeded(machine.run("job", "describe", "train", "--json", cwd=tmp_path)).document

    assert shown["wandb_job"]["source_type"] == "image"
    assert shown["wandb_job"]["input_types"]["params"]["type_map"]["lr"] == {"wb_type": "number"}


def test_another_schema_is_another_version_of_the_same_image(
    machine: Machine, declared: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"properties": {"lr": {"type": "integer"}}}))
    build = ("build", "--json", "-J", "train", *options)
    first, second, again = (
        succeeded(machine.run(*build, *schema, cwd=declared.path)).document
        for schema in ((), ("--schema", str(other)), ("--schema", str(other)))
    )

    assert first["image"] == second["image"]
    assert first["job_digest"] != second["job_digest"] == again["job_digest"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none.json", "no schema 'none.json' in the build context"),
        ("../inputs.yml", "schema is outside the build context: '../inputs.yml'"),
        ("/nonexistent/s.json", "schema '/nonexistent/s.json' cannot be read"),
        ("train.py", "schema 'train.py' is none of .json, .yaml, .yml"),
        ("broken.json", "schema 'broken.json' is no valid JSON Schema at properties.lr.type"),
    ],
)
def test_a_schema_that_cannot_be_used_is_an_input_error(
    machine: Machine, declared: Work, options: tuple[str, ...], path: str, message: str
) -> None:
    declared.commit({"jobs/broken.json": '{"properties": {"lr": {"type": "text"}}}'})
    ended = failed(
        machine.run("build", "-b", "jobs", "--schema", path, *options, cwd=declared.path), 2
    )

    assert ended.error.startswith(message)
