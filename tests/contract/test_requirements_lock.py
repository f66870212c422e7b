"""requirements.lock is what uv.lock says, and says nothing else; so with the SDK of W&B."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import tomli
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
WANDB_LOCK = (ROOT / "requirements-wandb.lock").read_text("utf-8")
BOTH = pytest.mark.parametrize("lock", [LOCK, WANDB_LOCK], ids=["alone", "wandb"])


def locked(lock: str = LOCK) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", lock, re.MULTILINE))


@pytest.mark.parametrize(
    ("lock", "also"), [(LOCK, ()), (WANDB_LOCK, ("--extra", "wandb"))], ids=["alone", "wandb"]
)
def test_it_is_the_export_of_uv_lock(lock: str, also: tuple[str, ...]) -> None:
    options = ("--frozen", "--offline", "--no-dev", "--no-emit-project", "--no-header")
    done = subprocess.run(
        [find_uv_bin(), "export", "--quiet", *options, "--no-annotate", *also],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert lock.split("\n", 1)[1] == done.stdout, "run scripts/relock"


def test_every_runtime_dependency_is_in_it() -> None:
    project = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[<>=!~ ;\[]", one)[0].lower() for one in project["dependencies"]}

    assert names <= locked().keys()


@BOTH
def test_every_package_has_a_hash_and_no_address_is_in_it(lock: str) -> None:
    packages = re.split(r"\n(?=[a-z0-9])", lock)[1:]

    assert len(packages) == len(locked(lock))
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in lock
    assert not re.search(r"^\s*--(?!hash=)", lock, re.MULTILINE)


@BOTH
def test_uv_is_in_it_for_the_bootstrap_to_fetch_first(lock: str) -> None:
    assert sum(line.startswith("uv==") for line in lock.splitlines()) == 1


def test_the_sdk_of_w_b_is_in_one_alone_and_all_else_in_both() -> None:
    assert "wandb" not in locked()
    assert locked(WANDB_LOCK)["wandb"]
    assert locked().items() <= locked(WANDB_LOCK).items()
