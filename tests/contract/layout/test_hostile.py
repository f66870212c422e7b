"""Directories that are no layout, are damaged, or hold links: told, and left as they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.layouts import DATA, refused, snapshot, tagged_image
from support.versions import (
    blob_path,
    opener,
    put,
)

from launch_action.core.image import OCI_LAYER, Descriptor
from launch_action.core.ports import read_blob
from launch_action.oci.directory import STATE
from launch_action.oci.layout import LayoutContent


def test_a_directory_that_is_no_layout_is_left_alone(
    content: LayoutContent, directory: Path
) -> None:
    directory.mkdir()
    (directory / "thesis.tex").write_text("x")

    for act in (content.tags, lambda: put(content, b"x"), lambda: content.get_manifest("a")):
        assert str(directory) in refused(act).message
    assert [path.name for path in directory.iterdir()] == ["thesis.tex"]


def test_a_newer_layout_asks_for_an_update(content: LayoutContent, directory: Path) -> None:
    directory.mkdir()
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"2.0.0"}')

    error = refused(content.tags)

    assert "'2.0.0'" in error.message
    assert "update" in error.hint


@pytest.mark.parametrize("text", ["", "[]", "{", '{"manifests": {}}', '{"manifests": [1]}'])
def test_a_damaged_index_is_an_error_and_is_not_replaced(
    content: LayoutContent, directory: Path, text: str
) -> None:
    manifest = tagged_image(content, "a", "v1")
    (directory / "index.json").write_text(text)

    assert "index.json" in refused(content.tags).message
    refused(lambda: content.put_manifest(manifest, "v2"))
    refused(content.collect)
    assert (directory / "index.json").read_text() == text


def test_an_index_over_the_limit_is_an_error_and_not_empty(
    content: LayoutContent, directory: Path
) -> None:
    manifest = tagged_image(content, "a", "v1")
    with (directory / "index.json").open("ab") as file:
        file.truncate(65 * 1024 * 1024)

    refused(content.tags)
    refused(lambda: content.put_manifest(manifest, "v2"))
    assert (directory / "index.json").stat().st_size == 65 * 1024 * 1024


def test_a_file_in_the_place_of_the_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    content = LayoutContent(tmp_path / "file", "x")

    refused(content.tags)
    assert str(tmp_path / "file") in refused(lambda: put(content, b"x")).message


@pytest.mark.parametrize("link", ["blobs", "blobs/sha256", STATE])
def test_a_folder_that_is_a_link_is_not_followed(
    content: LayoutContent, directory: Path, tmp_path: Path, link: str
) -> None:
    tagged_image(content, "a", "v1")
    outside = tmp_path / "outside"
    (directory / link).rename(outside)
    (directory / link).symlink_to(outside)
    before = snapshot(outside)

    error = refused(lambda: put(content, b"new"))

    assert str(directory) in error.message
    assert snapshot(outside) == before


def test_a_blob_that_is_a_link_is_neither_read_nor_written_through(
    content: LayoutContent, directory: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(DATA)
    descriptor = Descriptor.of(DATA, OCI_LAYER)
    put(content, b"x")
    blob_path(directory, descriptor.digest).symlink_to(secret)

    assert not content.has_blob(descriptor.digest)
    refused(lambda: read_blob(content, descriptor))
    put(content, DATA)
    assert not blob_path(directory, descriptor.digest).is_symlink()
    assert secret.read_bytes() == DATA


@pytest.mark.parametrize("name", ["index.json", "oci-layout"])
def test_a_file_that_is_a_link_is_not_followed(
    content: LayoutContent, directory: Path, tmp_path: Path, name: str
) -> None:
    tagged_image(content, "a", "v1")
    (directory / name).rename(tmp_path / "outside")
    (directory / name).symlink_to(tmp_path / "outside")

    refused(content.tags)


def test_the_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    tagged_image(LayoutContent(tmp_path / "link", "x"), "a", "v1")

    assert LayoutContent(tmp_path / "real", "x").tags() == ("v1",)


@pytest.mark.parametrize("place", ["index.json", "blob"])
def test_a_pipe_in_a_files_place_does_not_hang(
    content: LayoutContent, directory: Path, place: str
) -> None:
    blob = put(content, b"data")
    path = directory / place if place == "index.json" else blob_path(directory, blob.digest)
    path.unlink()
    os.mkfifo(path)

    refused(content.tags if place == "index.json" else lambda: read_blob(content, blob))


def test_a_damaged_blob_is_an_error_when_it_is_read(
    content: LayoutContent, directory: Path
) -> None:
    descriptor = put(content, DATA)
    with blob_path(directory, descriptor.digest).open("r+b") as file:
        file.write(b"\0\0\0\0")

    error = refused(lambda: read_blob(content, descriptor))

    assert str(blob_path(directory, descriptor.digest)) in error.hint


def test_a_truncated_blob_is_written_again(content: LayoutContent, directory: Path) -> None:
    descriptor = put(content, DATA)
    os.truncate(blob_path(directory, descriptor.digest), 10)

    assert content.put_blob(descriptor, opener(DATA)) == "sent"
    assert read_blob(content, descriptor) == DATA


def test_a_damaged_manifest_is_an_error_and_written_again(
    content: LayoutContent, directory: Path
) -> None:
    manifest = tagged_image(content, "a", "v1")
    path = blob_path(directory, manifest.descriptor.digest)
    path.write_bytes(b"x" * manifest.descriptor.size)

    refused(lambda: content.get_manifest("v1"))
    content.put_manifest(manifest, "v1")

    assert content.get_manifest("v1") == manifest


def test_a_tag_whose_manifest_is_gone_is_no_tag(content: LayoutContent, directory: Path) -> None:
    manifest = tagged_image(content, "a", "v1")
    blob_path(directory, manifest.descriptor.digest).unlink()

    assert content.get_manifest("v1") is None


def test_a_tag_that_breaks_the_grammar_is_refused(content: LayoutContent) -> None:
    manifest = tagged_image(content, "a", "v1")

    with pytest.raises(Exception, match="not a tag"):
        content.put_manifest(manifest, "feature/x")
