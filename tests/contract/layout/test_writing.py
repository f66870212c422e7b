"""An OCI layout directory as it is written: whole or not at all, by several at once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest
from support.layouts import DATA, index_of, leftovers, refused, snapshot, tagged_image
from support.versions import (
    blob_path,
    image_documents,
    opener,
    put,
    put_image,
)

from launch_action.core.errors import StoreError
from launch_action.core.image import OCI_INDEX, OCI_LAYER, Descriptor, Manifest, digest_of
from launch_action.core.ports import read_blob
from launch_action.oci.directory import Directory
from launch_action.oci.layout import LayoutContent


def test_a_layout_is_written_as_the_specification_says(
    content: LayoutContent, directory: Path
) -> None:
    manifest = tagged_image(content, "a", "v1")

    assert json.loads((directory / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    found = index_of(directory)
    assert found["schemaVersion"] == 2
    assert found["mediaType"] == OCI_INDEX
    assert found["manifests"] == [
        {
            "mediaType": manifest.descriptor.media_type,
            "digest": str(manifest.descriptor.digest),
            "size": manifest.descriptor.size,
            "annotations": {"org.opencontainers.image.ref.name": "v1"},
        }
    ]
    for path in (directory / "blobs" / "sha256").iterdir():
        assert digest_of(path.read_bytes()).hex == path.name


def test_reading_an_absent_directory_finds_nothing_and_makes_nothing(
    content: LayoutContent, directory: Path
) -> None:
    assert content.tags() == ()
    assert content.get_manifest("latest") is None
    assert content.get_manifest(digest_of(b"x")) is None
    assert not content.has_blob(digest_of(b"x"))
    assert not directory.exists()


def test_an_empty_directory_becomes_a_layout(content: LayoutContent, directory: Path) -> None:
    (directory / "lost+found").mkdir(parents=True)

    tagged_image(content, "a", "v1")

    assert content.tags() == ("v1",)


def test_a_layout_whose_maker_was_killed_after_the_marker_is_completed(
    content: LayoutContent, directory: Path
) -> None:
    directory.mkdir()
    (directory / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')

    assert content.tags() == ()
    tagged_image(content, "a", "v1")
    assert content.tags() == ("v1",)


def test_files_have_the_mode_that_the_umask_asks_for(directory: Path) -> None:
    """A store shared by a group is written with umask 002; 0600 would shut the others out."""
    before = os.umask(0o002)
    try:
        content = LayoutContent(directory, "shared")
        blob = put(content, b"data")
        tagged_image(content, "a", "v1")
    finally:
        os.umask(before)

    for path in (blob_path(directory, blob.digest), directory / "index.json"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_what_other_tools_keep_in_index_json_stays(content: LayoutContent, directory: Path) -> None:
    manifest = tagged_image(content, "a", "v1")
    found = index_of(directory)
    named = {**manifest.descriptor.document(), "annotations": {"io.example": "x"}}
    other = {
        **named,
        "annotations": {"org.opencontainers.image.ref.name": "docker.io/library/a:1"},
    }
    found |= {"annotations": {"a": "b"}, "manifests": [named, other, *found["manifests"]]}
    (directory / "index.json").write_text(json.dumps(found, indent=2))

    content.put_manifest(manifest, "v2")
    content.delete_tag("v1")

    after = index_of(directory)
    assert after["annotations"] == {"a": "b"}
    assert after["manifests"][:2] == [named, other]
    assert content.tags() == ("v2",)
    assert content.get_manifest("docker.io/library/a:1") == manifest


def test_pointing_a_tag_where_it_is_writes_nothing(content: LayoutContent, directory: Path) -> None:
    manifest = tagged_image(content, "a", "v1")
    before = snapshot(directory)["index.json"]

    content.put_manifest(manifest, "v1")

    assert snapshot(directory)["index.json"] == before


def test_several_tags_move_together(content: LayoutContent) -> None:
    old = tagged_image(content, "a", "v1")
    content.put_manifest(old, "kept")
    put_image(content, "b")
    new = image_documents("b")[2]

    content.put_tagged(new, ["v1", "v2"])

    assert content.get_manifest("v1") == new
    assert content.get_manifest("v2") == new
    assert content.get_manifest("kept") == old


def test_a_manifest_is_refused_while_something_it_names_is_missing(
    content: LayoutContent, directory: Path
) -> None:
    layer, _, manifest = image_documents("a")
    put(content, layer)

    with pytest.raises(StoreError, match=manifest.config().digest):
        content.put_manifest(manifest, "v1")

    assert content.tags() == ()
    assert content.get_manifest(manifest.descriptor.digest) is None
    assert leftovers(directory) == []


def test_a_layer_that_lies_elsewhere_may_be_missing(content: LayoutContent) -> None:
    """Foreign layers (descriptor.md, `urls`) and subjects need not be in the layout."""
    tagged_image(content, "a", "v1")
    document = image_documents("a")[2].document()
    absent = Descriptor.of(b"absent", OCI_LAYER).document()
    document["layers"].append({**absent, "urls": ["https://example.com/layer"]})
    document["subject"] = Descriptor.of(b"elsewhere", OCI_INDEX).document()

    content.put_manifest(Manifest.make(document), "foreign")

    assert "foreign" in content.tags()


def test_a_media_type_that_a_manifest_does_not_say_is_read_from_its_shape(
    content: LayoutContent,
) -> None:
    document = image_documents("a")[2].document()
    put_image(content, "a")
    del document["mediaType"]
    data = json.dumps(document).encode()
    blob = put(content, data)

    found = content.get_manifest(blob.digest)

    assert found is not None
    assert found.descriptor.media_type == image_documents("a")[2].descriptor.media_type
    index = json.dumps({"schemaVersion": 2, "manifests": []}).encode()
    found = content.get_manifest(put(content, index).digest)
    assert found is not None
    assert found.is_index


@pytest.mark.parametrize(
    "data", [b"{}", b"[]", b"\x1f\x8b", b'{"rootfs": {}}', b'{"mediaType": "text/x", "layers": []}']
)
def test_a_blob_that_is_no_manifest_is_not_found_as_one(
    content: LayoutContent, data: bytes
) -> None:
    assert content.get_manifest(put(content, data).digest) is None


@pytest.mark.parametrize("given", [DATA[:-1], DATA + b"x", b"", DATA[:-1] + b"\0"])
def test_a_blob_of_other_bytes_is_refused_and_leaves_nothing(
    content: LayoutContent, directory: Path, given: bytes
) -> None:
    descriptor = Descriptor.of(DATA[:-1] + b"\1", OCI_LAYER)

    error = refused(lambda: content.put_blob(descriptor, opener(given)))

    assert descriptor.digest in error.message
    assert not content.has_blob(descriptor.digest)
    assert leftovers(directory) == []


def test_a_source_that_breaks_leaves_nothing(content: LayoutContent, directory: Path) -> None:
    class Broken(Exception):
        pass

    def source() -> BinaryIO:
        raise Broken

    with pytest.raises(Broken):
        content.put_blob(Descriptor.of(DATA, OCI_LAYER), source)
    assert leftovers(directory) == []


FULL_DISK = """
import sys
import tempfile
from pathlib import Path
from launch_action.core.errors import StoreError
from support.versions import image_documents, put, put_image
from launch_action.oci.layout import LayoutContent
import os

directory = Path(sys.argv[1]) / "store"
content = LayoutContent(directory, "store")
put_image(content, "a")
content.put_manifest(image_documents("a")[2], "v1")
before = sorted(p.name for p in directory.rglob("*"))
errors = []
try:
    put(content, os.urandom(4 * 1024 * 1024))
except StoreError as error:
    errors.append(error)
assert sorted(p.name for p in directory.rglob("*")) == before
filler = directory.parent / "filler"
with filler.open("wb", buffering=0) as file:
    try:
        while file.write(b"x" * 4096):
            pass
    except OSError:
        pass
try:
    content.put_manifest(image_documents("a")[2], "v2")
except StoreError as error:
    errors.append(error)
assert content.tags() == ("v1",)
assert content.get_manifest("v1") == image_documents("a")[2]
filler.unlink()
content.put_manifest(image_documents("a")[2], "v2")
assert content.tags() == ("v1", "v2")
for error in errors:
    print(error.message)
    print(error.hint)
"""


def can_mount() -> bool:
    done = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "x", "/mnt"], check=False)
    return done.returncode == 0


def test_a_full_disk_is_told_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    if not can_mount():
        pytest.skip("no file system of our own can be mounted here (unshare -rm)")
    root = Path(__file__).parents[3]
    script = 'mount -t tmpfs -o size=1m x "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script, "sh", tmp_path, sys.executable, FULL_DISK],
        env={"PYTHONPATH": f"{root / 'src'}:{root / 'tests'}", "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"no space left for the store: '{tmp_path}/store'"
    assert "free space" in lines[1]
    assert lines[2].startswith("no space left for the store")


def test_a_lock_that_is_never_released_ends_in_an_error(
    content: LayoutContent, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = tagged_image(content, "a", "v1")
    monkeypatch.setattr("launch_action.oci.directory._LOCK_WAIT", 0.05)

    with Directory(directory).lock():
        error = refused(lambda: content.put_manifest(manifest, "v2"))

    assert "another process" in error.hint
    content.put_manifest(manifest, "v2")


def test_readers_need_no_lock(content: LayoutContent, directory: Path) -> None:
    manifest = tagged_image(content, "a", "v1")

    with Directory(directory).lock():
        assert content.tags() == ("v1",)
        assert content.get_manifest("v1") == manifest
        assert read_blob(content, manifest.config())


def test_threads_that_tag_at_once_lose_no_tag(content: LayoutContent) -> None:
    manifest = tagged_image(content, "a", "v0")
    names = [f"v{number}" for number in range(32)]
    threads = [
        threading.Thread(target=content.put_manifest, args=(manifest, name)) for name in names
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert content.tags() == tuple(sorted(names))
