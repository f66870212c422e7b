"""Some of the projects of the corpus, from their dependency file to imports in the image.

All of them, with what came of each, are the subject of scripts/corpus and docs/real-projects.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import Project, build, examine, projects
from support.program import Machine

pytestmark = [pytest.mark.network, pytest.mark.registry]
pytest_plugins = ["support.program_fixtures"]

SMALL = [one for one in projects() if one.small]


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where layers are unpacked: the base's once."""
    return tmp_path_factory.mktemp("unpacked")


@pytest.mark.parametrize("project", [pytest.param(one, id=one.name) for one in SMALL])
def test_a_real_project(
    project: Project, tmp_path: Path, shared_cache: Path, unpacked: Path
) -> None:
    machine = Machine(tmp_path / "machine", shared_cache)
    ended = build(project, machine, tmp_path / "checkout")
    outcome = examine(project, machine, ended, unpacked)
    assert not outcome.faults, f"{outcome}\n{ended.err}"


def test_every_shape_that_people_have_is_there() -> None:
    every = projects()
    assert len(every) >= 30
    assert all(one.why for one in every if one.result != "works")
    assert len(SMALL) >= 6
