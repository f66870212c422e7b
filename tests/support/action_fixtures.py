"""Fixtures of the tests that run the action: a checkout, a runner at it, inputs for a small job."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.action_scene import Scene, history
from support.github_payloads import Commits
from support.github_runner import Runner
from support.machines import ROOT
from support.services import LocalRegistry
from support.workflow import Workflow, workflow
from uv import find_uv_bin


@pytest.fixture(scope="session")
def tool_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept between tests, as on a self-hosted runner, which has uv.

    The runners of one machine share it, as do the processes that the tests are spread over.
    """
    session = tmp_path_factory.getbasetemp()
    place = (session.parent if "PYTEST_XDIST_WORKER" in os.environ else session) / "tool-cache"
    (place / "bin").mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        (place / "bin" / "uv").symlink_to(find_uv_bin())
    return place


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Commits]:
    """The repository of every scene, which each has a copy of."""
    workspace = tmp_path_factory.mktemp("recorded")
    (workspace / "jobs").mkdir()
    return workspace, history(workspace)


@pytest.fixture
def scene(tmp_path: Path, tool_cache: Path, recorded: tuple[Path, Commits]) -> Scene:
    """Two commits and their merge; a machine that has what ours has."""
    workspace = tmp_path / "workspace"
    original, commits = recorded
    shutil.copytree(original, workspace, symlinks=True)
    runner = Runner(
        root=tmp_path / "runner",
        action=ROOT,
        workspace=workspace,
        path=f"{tool_cache / 'bin'}:{os.environ['PATH']}",
        also={
            "RUNNER_TOOL_CACHE": str(tool_cache),
            "LAUNCH_ACTION_CACHE": str(tool_cache / "cache"),
            "GITHUB_API_URL": "http://127.0.0.1:9",
        },
    )
    return Scene(runner, commits)


@pytest.fixture
def repository(request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    return f"acme/{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:12]}"


@pytest.fixture
def flow(
    tmp_path: Path, registry: LocalRegistry, repository: str, python_base: str, tool_cache: Path
) -> Iterator[Workflow]:
    """A workflow that pushes the one job of its checkout to a repository of the test's own."""
    image = f"{registry.address}/{repository}/train"
    with workflow(tmp_path, image, python_base, tool_cache) as made:
        yield made


@pytest.fixture
def inputs(registry: LocalRegistry, repository: str, python_base: str) -> dict[str, str]:
    """A job without dependencies, pushed to the repository."""
    return {
        "entry-point": "python jobs/train.py",
        "image": f"{registry.address}/{repository}",
        "build-options": f"base-image={python_base}\npython=3.11\nresource=local-process\n"
        "comment=false",
    }
