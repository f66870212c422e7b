"""requirements.lock is what uv.lock says, and says nothing else."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import tomli
from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def locked() -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", LOCK, re.MULTILINE))


def test_it_is_the_export_of_uv_lock() -> None:
    options = ("--frozen", "--offline", "--no-dev", "--no-emit-project", "--no-header")
    done = subprocess.run(
        [find_uv_bin(), "export", "--quiet", *options, "--no-annotate"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert LOCK.split("\n", 1)[1] == done.stdout, "run scripts/relock"


def test_every_runtime_dependency_is_in_it() -> None:
    project = tomli.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[<>=!~ ;\[]", one)[0].lower() for one in project["dependencies"]}

    assert names <= locked().keys()


def test_every_package_has_a_hash_and_no_address_is_in_it() -> None:
    packages = re.split(r"\n(?=[a-z0-9])", LOCK)[1:]

    assert len(packages) == len(locked())
    assert all("--hash=sha256:" in package for package in packages)
    assert "://" not in LOCK
    assert not re.search(r"^\s*--(?!hash=)", LOCK, re.MULTILINE)


def test_uv_is_in_it_for_the_bootstrap_to_fetch_first() -> None:
    assert sum(line.startswith("uv==") for line in LOCK.splitlines()) == 1
