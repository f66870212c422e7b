"""The examples are run as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.program import Machine
from support.repositories import git

ROOT = Path(__file__).parents[2]

pytest_plugins = ["support.program_fixtures"]

pytestmark = [pytest.mark.registry, pytest.mark.network]


def test_the_jobs_of_the_monorepo_are_built_and_run(
    machine: Machine, tmp_path: Path, python_base_layout: Path
) -> None:
    checkout = tmp_path / "mono"
    shutil.copytree(ROOT / "examples" / "monorepo", checkout)
    git(checkout, "init", "--quiet", "--initial-branch=main")
    git(checkout, "remote", "add", "origin", "https://github.com/acme/mono.git")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "--message=one")

    done = machine.run(
        "launch", "--no-push", "--no-check-remote", "--resource", "local-process", "--python=3.11",
        "--base-image", f"oci:{python_base_layout}", cwd=checkout,
    )  # fmt: skip

    assert done.code == 0, done.out + done.err
    assert "trained for 3 epochs: accuracy 0.93" in done.out
    assert "evaluated" in done.out
