"""What the program imports before it knows that there is something to do."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each is slow to import; docs/performance.md has the numbers.
HEAVY = {
    "ast", "asyncio", "concurrent.futures", "dataclasses", "docker", "github",
    "importlib.metadata", "inspect", "logging", "packaging", "random", "requests", "rich",
    "shutil", "tempfile", "tomllib", "urllib.request",
    "urllib3", "wandb", "yaml", "zipfile",
}  # fmt: skip


@pytest.mark.parametrize(
    "module",
    [
        "step.action", "cli", "launches.launching", "jobs.registering", "oci.registries",
        "oci.docker_config",
        "github.comments", "github.check_runs", "github.deployment_report", "github.pulls",
        "github.releases",
    ],
)  # fmt: skip
def test_a_small_run_imports_nothing_heavy(module: str) -> None:
    code = f"import sys, launch_action.{module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )

    assert not HEAVY & set(done.stdout.split())
