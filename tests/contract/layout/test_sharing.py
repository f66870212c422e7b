"""Blobs that are taken over from another layout, and base images that are only read."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.layouts import DATA, leftovers, refused, snapshot, tagged_image
from support.versions import (
    blob_path,
    put,
)

from launch_action.core.image import OCI_LAYER, Descriptor
from launch_action.core.ports import read_blob
from launch_action.oci.layout import LayoutContent


def can_mount() -> bool:
    done = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "x", "/mnt"], check=False)
    return done.returncode == 0


def test_a_blob_is_shared_with_a_layout_of_the_same_file_system(
    content: LayoutContent, directory: Path, tmp_path: Path
) -> None:
    other = LayoutContent(tmp_path / "other", "other")
    descriptor = put(content, DATA)

    assert other.copy_blob(descriptor, content) == "mounted"

    mine = blob_path(directory, descriptor.digest)
    theirs = blob_path(tmp_path / "other", descriptor.digest)
    assert mine.samefile(theirs)
    mine.unlink()
    assert read_blob(other, descriptor) == DATA
    assert other.copy_blob(descriptor, content) == "present"


def test_a_blob_is_copied_from_a_layout_of_another_file_system(
    content: LayoutContent, tmp_path: Path
) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("no second file system here (/dev/shm)")
    place = memory / f"layout-{os.getpid()}"
    try:
        other = LayoutContent(place, "other")
        descriptor = put(other, DATA)

        assert content.copy_blob(descriptor, other) == "sent"
        assert read_blob(content, descriptor) == DATA
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_a_damaged_blob_is_not_taken_over(
    content: LayoutContent, directory: Path, tmp_path: Path
) -> None:
    other = LayoutContent(tmp_path / "other", "other")
    descriptor = put(other, DATA)
    with blob_path(tmp_path / "other", descriptor.digest).open("r+b") as file:
        file.write(b"\0\0\0\0")

    refused(lambda: content.copy_blob(descriptor, other))

    assert not content.has_blob(descriptor.digest)
    assert leftovers(directory) == []


def test_a_blob_that_the_origin_lacks_is_an_error(content: LayoutContent, tmp_path: Path) -> None:
    other = LayoutContent(tmp_path / "other", "other")
    put(other, b"x")

    refused(lambda: content.copy_blob(Descriptor.of(DATA, OCI_LAYER), other))


def test_a_base_is_read_without_a_trace(content: LayoutContent, directory: Path) -> None:
    manifest = tagged_image(content, "a", "v1")
    before = snapshot(directory)
    base = LayoutContent.base(directory)

    assert base.name == f"oci:{directory}"
    assert base.select() == base.select("v1") == manifest
    assert base.select(manifest.descriptor.digest) == manifest
    assert base.has_blob(manifest.config().digest)
    assert read_blob(base, manifest.config())
    assert snapshot(directory) == before


def test_a_base_is_never_written(content: LayoutContent, directory: Path) -> None:
    manifest = tagged_image(content, "a", "v1")
    base = LayoutContent.base(directory)
    before = snapshot(directory)

    for act in (
        lambda: put(base, b"new"),
        lambda: base.put_manifest(manifest, "v2"),
        lambda: base.delete_tag("v1"),
        lambda: base.delete_manifest(manifest.descriptor.digest),
        base.collect,
    ):
        refused(act)
    assert snapshot(directory) == before


def test_a_base_that_cannot_be_chosen_names_the_tags(
    content: LayoutContent, directory: Path, tmp_path: Path
) -> None:
    assert str(directory) in refused(lambda: LayoutContent.base(directory).select()).message
    tagged_image(content, "a", "v1")
    tagged_image(content, "b", "v2")

    error = refused(lambda: LayoutContent.base(directory).select())
    assert "'latest'" in error.message
    assert "v1, v2" in error.hint
    assert "'v3'" in refused(lambda: LayoutContent.base(directory).select("v3")).message
