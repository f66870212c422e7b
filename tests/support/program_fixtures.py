"""Fixtures of the tests that start the program."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.program import Machine
from support.repositories import Work, make_repository

SCRIPT = """\
import json, os, pathlib
print("hello from the job")
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps({"ok": 1}))
"""


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that tests share which are not about caching: the base is read once."""
    return tmp_path_factory.mktemp("shared-cache")


@pytest.fixture
def machine(tmp_path: Path, shared_cache: Path) -> Machine:
    """A machine of the test's own, but for the cache."""
    return Machine(tmp_path / "machine", shared_cache)


@pytest.fixture(scope="session")
def committed_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every `work` is a copy of."""
    made = make_repository(tmp_path_factory.mktemp("committed") / "checkout")
    made.commit({"train.py": SCRIPT})
    return made.path


@pytest.fixture
def work(tmp_path: Path, committed_script: Path) -> Work:
    """A checkout with a script that has no dependencies, committed."""
    return Work(shutil.copytree(committed_script, tmp_path / "checkout", symlinks=True))


@pytest.fixture
def options(python_base_layout: Path) -> tuple[str, ...]:
    """What every build here says: the entry point, and a base that is on this machine."""
    return (
        "--entry-point", "python train.py", "--python", "3.11",
        "--base-image", f"oci:{python_base_layout}",
    )  # fmt: skip
