"""What lint cannot see of this repository's own workflows."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

WORKFLOWS = Path(__file__).parents[2] / ".github" / "workflows"
# Answers the list of releases, takes every change of a tag that there is, and writes it down.
GH = """\
#!/bin/sh
case "$*" in
  *"/releases --jq"*) cat "$HERE/released" ;;
  *"PATCH"*"/tags/"*) tag=$(echo "$*" | sed 's|.*/tags/\\([^ ]*\\).*|\\1|')
    grep -qx "$tag" "$HERE/tags" || exit 1
    echo "moved $tag" >>"$HERE/done" ;;
  *"POST"*) echo "made $*" | sed 's|made .*refs/tags/\\([^ ]*\\).*|made \\1|' >>"$HERE/done" ;;
  *) exit 2 ;;
esac
"""


def load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((WORKFLOWS / name).read_text("utf-8"))
    return found


def test_a_called_workflow_does_not_wait_for_its_caller() -> None:
    """GitHub cancels both where they are of one group; the called one has the caller's name."""
    caller, called = load("release.yml"), load("ci.yml")

    assert caller["jobs"]["ci"]["uses"] == "./.github/workflows/ci.yml"
    inner = called["concurrency"]["group"].replace("${{ github.workflow }}", caller["name"])
    assert inner != caller["concurrency"]["group"].replace("${{ github.workflow }}", caller["name"])


def test_an_image_for_a_foreign_machine_has_an_emulator() -> None:
    steps = load("release.yml")["jobs"]["image"]["steps"]
    names = [step.get("uses", "").split("@")[0] for step in steps]

    assert names.index("docker/setup-qemu-action") < names.index("docker/build-push-action")


@pytest.mark.parametrize(
    ("released", "tag", "wanted"),
    [
        (["v1.0.0"], "v1.0.0", ["made v1", "made v1.0"]),
        (["v1.2.2", "v1.2.3"], "v1.2.3", ["moved v1", "moved v1.2"]),
        (["v1.9.0", "v1.10.0"], "v1.10.0", ["moved v1", "made v1.10"]),
        (["v1.3.0", "v1.2.4", "v1.2.3"], "v1.2.4", ["moved v1.2"]),
        (["v2.0.0", "v1.2.4", "v10.0.0"], "v1.2.4", ["moved v1", "moved v1.2"]),
    ],
    ids=["first", "patch", "ten is more than nine", "patch of an older line", "older major"],
)
def test_a_release_moves_the_tags_that_it_is_the_newest_of(
    tmp_path: Path, released: list[str], tag: str, wanted: list[str]
) -> None:
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    (tmp_path / "released").write_text("".join(f"{name}\n" for name in released))
    there = {"v1", "v1.2", "v1.9", "v2"} if len(released) > 1 else set()
    (tmp_path / "tags").write_text("".join(f"{name}\n" for name in there))
    (step,) = load("release.yml")["jobs"]["tags"]["steps"]
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        env={
            "PATH": f"{tmp_path}:{os.environ['PATH']}", "HERE": str(tmp_path), "GH_TOKEN": "t",
            "GITHUB_REF_NAME": tag, "GITHUB_SHA": "a" * 40, "GITHUB_REPOSITORY": "acme/launch",
        },
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "done").read_text().splitlines() == wanted
