"""The layout directory as files: what is written, what is refused, what other tools read."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from support.versions import (
    AMD64,
    ARM64,
    blob_path,
    image_documents,
    opener,
    put,
    put_image,
    recording,
)

from launch_action.core.errors import StoreError
from launch_action.core.image import OCI_INDEX, OCI_LAYER, Descriptor, Manifest, digest_of
from launch_action.core.ports import read_blob
from launch_action.core.reference import Tag
from launch_action.core.store import JobStore
from launch_action.oci.directory import STATE, Directory
from launch_action.oci.layout import LayoutContent

DATA = os.urandom(3 * 1024 * 1024 + 17)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def content(directory: Path) -> LayoutContent:
    return LayoutContent(directory, "acme/train")


def index_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "index.json").read_bytes())
    return found


def tagged_image(content: LayoutContent, seed: str, tag: str) -> Manifest:
    put_image(content, seed)
    manifest = image_documents(seed)[2]
    content.put_manifest(manifest, tag)
    return manifest


def snapshot(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Every name below a directory with inode, size and modification time."""
    return {
        str(path.relative_to(directory)): (found.st_ino, found.st_size, found.st_mtime_ns)
        for path in sorted(directory.rglob("*"))
        if (found := path.lstat())
    }


def leftovers(directory: Path) -> list[str]:
    """What lies in the staging folder besides the lock."""
    return [path.name for path in (directory / STATE).iterdir() if path.name != "lock"]


# ---------------------------------------------------------------------------- what is written


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


# ---------------------------------------------------------------------------- what is refused


def refused(act: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    assert caught.value.hint
    assert caught.value.message[0].islower()
    return caught.value


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


# ---------------------------------------------------------------------------- full disk, locks

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
    root = Path(__file__).parents[2]
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


# ---------------------------------------------------------------------------- taking over


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


# ---------------------------------------------------------------------------- as a base image


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


# ---------------------------------------------------------------------------- other tools


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
    version = store.record(recording(platforms=(AMD64, ARM64))).version
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
    store.point(store.record(recording()).version, [Tag("main")])
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
