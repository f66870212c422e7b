"""Jobs by reference, and what is refused before anything is built or run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.program import Machine, failed, succeeded
from support.registry import PASSWORD, USERNAME, running
from support.repositories import Work

pytest_plugins = ["support.program_fixtures"]

LOGIN = {
    "LAUNCH_ACTION_REGISTRY_USERNAME": USERNAME,
    "LAUNCH_ACTION_REGISTRY_PASSWORD": PASSWORD,
}


@pytest.mark.registry
def test_the_registry_password_serves_a_run_too(
    machine: Machine, work: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    with running(tmp_path / "registry", password=True) as registry:
        name = f"{registry.address}/acme/train"
        logged_in = replace(machine, also=LOGIN)
        built = logged_in.run("build", "--json", "--image", name, *options, cwd=work.path)
        arguments = ("run", f"{name}:latest", "-r", "local-process", "--json")

        ended = logged_in.run(*arguments, cwd=work.path)
        refused = machine.run(*arguments, cwd=work.path)

    found, made = succeeded(ended).document, succeeded(built).document
    assert found["metrics"] == {"ok": 1}
    same = ("job", "job_name", "job_digest", "image", "digest", "pushed")
    assert {key: found[key] for key in same} == {key: made[key] for key in same}
    failed(refused, 5)


@pytest.mark.parametrize("command", [("promote", "v2"), ("delete",)])
def test_a_job_at_wandb_is_neither_moved_nor_deleted(
    machine: Machine, work: Work, command: tuple[str, ...]
) -> None:
    name, *rest = command
    ended = machine.run("job", name, "wandb:acme/mono/train:v1", *rest, cwd=work.path)

    assert "W&B" in failed(ended, 2).error


def test_another_jobs_repository_is_refused_before_anything_is_put_there(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    layout = ("--image", "ghcr.io/acme/train", "--no-push")
    succeeded(machine.run("build", "-J", "one", *layout, *options, cwd=work.path))
    blobs = machine.store / "ghcr.io+acme+train" / "blobs" / "sha256"
    before = sorted(blobs.iterdir())
    work.commit({"new.py": "print(2)"})

    ended = machine.run("build", "-J", "two", *layout, *options, cwd=work.path)

    assert "'one'" in failed(ended, 6).error
    assert sorted(blobs.iterdir()) == before


def test_a_fork_s_code_is_no_process_of_this_machine(
    machine: Machine, work: Work, options: tuple[str, ...], tmp_path: Path
) -> None:
    head = {"sha": "f" * 40, "ref": "main", "repo": {"full_name": "mallory/mono"}}
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"pull_request": {"number": 7, "head": head}}))
    variables = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_EVENT_NAME": "pull_request",
        "GITHUB_EVENT_PATH": str(event),
        "GITHUB_REPOSITORY": "acme/mono",
    }
    of_a_fork = replace(machine, also=variables)

    ended = of_a_fork.run("launch", "-r", "local-process", *options, cwd=work.path)

    assert "outsiders" in failed(ended, 7).error
    assert "hello from the job" not in ended.out
