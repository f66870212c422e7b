"""Other tools read what is written here, and are read: skopeo, umoci, podman."""

from __future__ import annotations

import json
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from support.layouts import snapshot, tagged_image
from support.versions import (
    AMD64,
    ARM64,
    image_documents,
    put_image,
    spec,
)

from launch_action.core.reference import Tag
from launch_action.core.store import JobStore
from launch_action.oci.layout import LayoutContent


@pytest.fixture
def tool() -> Callable[..., str]:
    """Runs another program that reads layouts."""

    def run(*arguments: str | Path) -> str:
        if shutil.which(str(arguments[0])) is None:
            pytest.skip(f"{arguments[0]} is not installed")
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_what_skopeo_writes_is_read_and_what_is_written_skopeo_reads(
    tool: Callable[..., str], content: LayoutContent, directory: Path, tmp_path: Path
) -> None:
    manifest = tagged_image(content, "a", "v1")
    copy = tmp_path / "copy"

    tool("skopeo", "copy", "--insecure-policy", f"oci:{directory}:v1", f"oci:{copy}:v1")
    found = LayoutContent(copy, "copy").get_manifest("v1")
    tool("skopeo", "copy", "--insecure-policy", f"oci:{copy}:v1", f"oci:{directory}:v2")

    assert found == manifest
    assert content.get_manifest("v2") == manifest
    assert content.tags() == ("v1", "v2")
    assert AMD64.architecture in tool("skopeo", "inspect", f"oci:{directory}:v1")


def test_umoci_reads_the_layout_and_its_collection_takes_nothing(
    tool: Callable[..., str], content: LayoutContent, directory: Path
) -> None:
    tagged_image(content, "a", "v1")
    before = set(snapshot(directory))

    assert tool("umoci", "ls", "--layout", directory).split() == ["v1"]
    assert "LAYER" in tool("umoci", "stat", "--image", f"{directory}:v1")
    tool("umoci", "gc", "--layout", directory)

    assert set(snapshot(directory)) == before


def test_a_job_version_travels_whole_and_its_image_is_found_in_it(
    tool: Callable[..., str], content: LayoutContent, directory: Path, tmp_path: Path
) -> None:
    """The index has a job manifest beside the images: tools choose the platform's image."""
    for platform in (AMD64, ARM64):
        put_image(content, "a", platform)
    store = JobStore(content)
    version = store.record(spec(platforms=(AMD64, ARM64))).version
    store.point(version, [Tag("main")])
    copy = tmp_path / "copy"

    tool("skopeo", "copy", "--insecure-policy", "--all", f"oci:{directory}:main", f"oci:{copy}:x")
    chosen = json.loads(
        tool("skopeo", "inspect", "--override-arch", "arm64", f"oci:{directory}:main")
    )

    travelled = JobStore(LayoutContent(copy, "copy"))
    assert travelled.load("x") == version
    assert travelled.job_files(version) == store.job_files(version)
    assert chosen["Architecture"] == "arm64"


def test_podman_takes_the_image_of_a_job_version(
    tool: Callable[..., str], content: LayoutContent, directory: Path, tmp_path: Path
) -> None:
    put_image(content, "a")
    store = JobStore(content)
    store.point(store.record(spec()).version, [Tag("main")])
    # podman makes an image name of the path: no upper case, no '_' at an end.
    lower = Path(tempfile.gettempdir(), f"layout-{secrets.token_hex(8)}")
    lower.mkdir()
    try:
        podman = (
            "podman", "--root", lower / "root", "--runroot", lower / "run",
            "--storage-driver", "vfs",
        )  # fmt: skip
        directory.rename(lower / "store")

        pulled = tool(*podman, "pull", "--quiet", f"oci:{lower / 'store'}:main").strip()

        assert pulled == image_documents("a")[2].config().digest.hex
    finally:
        shutil.rmtree(lower)
