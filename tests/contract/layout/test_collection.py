"""Garbage collection of a layout, and writers that are killed or run at the same time."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.versions import (
    blob_path,
    check_complete,
    image_documents,
    opener,
    put,
    put_image,
    spec,
)

from launch_action.core.errors import StoreError
from launch_action.core.image import OCI_INDEX, OCI_LAYER, Descriptor, Manifest, canonical
from launch_action.core.reference import Digest, Tag
from launch_action.core.store import JobStore
from launch_action.core.tags import key_tag
from launch_action.oci.directory import STATE, Directory
from launch_action.oci.layout import LayoutContent

DATA = os.urandom(100_000)
ROOT = Path(__file__).parents[3]
OLD = 7200.0


def age(directory: Path) -> None:
    """Make every file older than the grace."""
    then = time.time() - OLD
    for path in directory.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                os.utime(path, (then, then))


def digests(directory: Path) -> set[str]:
    return {path.name for path in (directory / "blobs" / "sha256").iterdir()}


def record(content: LayoutContent, seed: str, *aliases: str) -> Digest:
    put_image(content, seed)
    store = JobStore(content)
    version = store.record(spec(seed)).version
    store.point(version, [Tag(alias) for alias in aliases])
    return version.digest


def test_what_a_tag_reaches_is_kept_and_what_nothing_reaches_goes(
    content: LayoutContent, directory: Path
) -> None:
    record(content, "a", "v1")
    kept = digests(directory)
    put(content, DATA)
    put_image(content, "b")
    age(directory)

    freed = content.collect()

    assert digests(directory) == kept
    assert freed > len(DATA)
    assert check_complete(content)


def test_young_files_are_kept(content: LayoutContent, directory: Path) -> None:
    """An image is put without tag, and its index is tagged by another call."""
    put_image(content, "a")
    before = digests(directory)

    assert content.collect() == 0

    assert digests(directory) == before


def test_a_young_manifest_keeps_everything_old_that_it_names(
    content: LayoutContent, directory: Path
) -> None:
    put_image(content, "a")
    before = digests(directory)
    age(directory)
    os.utime(blob_path(directory, image_documents("a")[2].descriptor.digest))

    assert content.collect() == 0

    assert digests(directory) == before


@pytest.mark.parametrize("way", ["has_blob", "put_blob", "get_manifest", "put_manifest"])
def test_what_a_run_asked_for_is_kept_for_its_run(
    content: LayoutContent, directory: Path, way: str
) -> None:
    """The answer "it is there" must stay true until that run has tagged what it makes of it."""
    layer, _, manifest = image_documents("a")
    put_image(content, "a")
    age(directory)
    asked = Descriptor.of(layer, OCI_LAYER)

    match way:
        case "has_blob":
            assert content.has_blob(asked.digest)
        case "put_blob":
            assert content.put_blob(asked, opener(layer)) == "present"
        case "get_manifest":
            assert content.get_manifest(manifest.descriptor.digest)
        case _:
            content.put_manifest(manifest)
    content.collect()

    assert content.has_blob(asked.digest)
    if "manifest" in way:
        content.put_manifest(manifest, "v1")
        assert check_complete(content)


def test_what_a_copy_found_is_kept(content: LayoutContent, directory: Path, tmp_path: Path) -> None:
    """A hard link has its origin's age."""
    other = LayoutContent(tmp_path / "other", "other")
    blob = put(other, DATA)
    age(tmp_path / "other")

    content.copy_blob(blob, other)
    content.collect()

    assert content.has_blob(blob.digest)


def test_a_blob_shared_with_another_layout_frees_nothing(
    content: LayoutContent, directory: Path, tmp_path: Path
) -> None:
    other = LayoutContent(tmp_path / "other", "other")
    assert content.copy_blob(put(other, DATA), other) == "mounted"
    age(directory)

    assert content.collect() == 0
    assert not digests(directory)
    assert digests(tmp_path / "other")


def test_what_killed_writers_left_is_swept_when_it_is_old(
    content: LayoutContent, directory: Path
) -> None:
    put(content, b"x")
    for name in ("partial-old", "partial-young"):
        (directory / STATE / name).write_bytes(DATA)
    then = time.time() - OLD
    os.utime(directory / STATE / "partial-old", (then, then))

    put(LayoutContent(directory, "another run"), b"y")

    assert sorted(path.name for path in (directory / STATE).iterdir()) == ["lock", "partial-young"]


def test_files_that_are_no_blobs_are_left_alone(content: LayoutContent, directory: Path) -> None:
    put_image(content, "a")
    for name in ("README", "A" * 64, "a" * 63):
        blob_path(directory, Digest("sha256:" + "0" * 64)).with_name(name).write_text("mine")
    age(directory)

    content.collect()

    assert digests(directory) == {"README", "A" * 64, "a" * 63}


def test_a_damaged_manifest_on_the_way_stops_the_collection(
    content: LayoutContent, directory: Path
) -> None:
    """Nobody knows what it named."""
    put_image(content, "a")
    manifest = image_documents("a")[2]
    content.put_manifest(manifest, "v1")
    blob_path(directory, manifest.descriptor.digest).write_bytes(b"")
    age(directory)
    before = digests(directory)

    with pytest.raises(StoreError, match=manifest.descriptor.digest) as caught:
        content.collect()

    assert "nothing was collected" in caught.value.hint
    assert digests(directory) == before


def test_an_image_of_which_a_platform_is_absent_is_collected_around(
    content: LayoutContent, directory: Path
) -> None:
    """skopeo copies one platform of an index and leaves the index as it is."""
    record(content, "a", "v1")
    sparse = {
        "schemaVersion": 2,
        "mediaType": OCI_INDEX,
        "manifests": [
            image_documents("a")[2].descriptor.document(),
            image_documents("absent")[2].descriptor.document(),
        ],
    }
    index = Manifest.make(sparse)
    put(content, index.data)
    document = (directory / "index.json").read_bytes()
    (directory / "index.json").write_bytes(
        document.replace(b'"manifests":[', b'"manifests":[%s,' % _entry(index))
    )
    age(directory)
    before = digests(directory)

    assert content.collect() == 0
    assert digests(directory) == before


def _entry(manifest: Manifest) -> bytes:
    found = manifest.descriptor
    return canonical(found.document())


def test_a_collection_killed_anywhere_leaves_no_manifest_with_a_hole(
    content: LayoutContent, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is found by digest counts as stored: it must be whole, or not be found."""

    class Killed(BaseException):
        pass

    digest = record(content, "a", "v1")
    kept = Directory.remove
    for limit in range(len(digests(directory))):
        record(content, "a", "v1")
        for tag in content.tags():
            content.delete_tag(tag)
        age(directory)
        steps = iter(range(limit))

        def remove(files: Directory, path: str, steps: Iterator[int] = steps) -> None:
            if next(steps, None) is None:
                raise Killed
            kept(files, path)

        monkeypatch.setattr(Directory, "remove", remove)
        with pytest.raises(Killed):
            content.collect()
        monkeypatch.undo()

        index = content.get_manifest(digest)
        if index:
            content.put_manifest(index, "found")
            assert check_complete(content)
            content.delete_tag("found")
    age(directory)
    content.collect()
    assert digests(directory) == set()


def test_a_manifest_that_another_names_survives_its_deletion(
    content: LayoutContent, directory: Path
) -> None:
    record(content, "a", "v1")
    image = image_documents("a")[2]
    content.put_manifest(image, "image")

    content.delete_manifest(image.descriptor.digest)

    assert content.get_manifest("image") is None
    assert check_complete(content)


def test_a_deleted_manifest_is_not_found(content: LayoutContent) -> None:
    digest = record(content, "a", "v1")

    content.delete_manifest(digest)

    assert content.get_manifest(digest) is None
    assert content.tags() == ()


# ---------------------------------------------------------------------------- processes


def writer(directory: Path, seed: str, count: int) -> subprocess.Popen[str]:
    """Start a process that records versions, and collects now and then."""
    return subprocess.Popen(
        [sys.executable, ROOT / "tests/support/layout_writer.py", directory, seed, str(count)],
        env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_that_write_and_collect_at_once_lose_nothing(
    content: LayoutContent, directory: Path
) -> None:
    writers = [writer(directory, seed, 12) for seed in ("a", "b", "c")]

    said = [child.communicate(timeout=120)[0].split() for child in writers]
    printed = [line for lines in said for line in lines if line != "ready"]

    assert [child.returncode for child in writers] == [0, 0, 0]
    assert len(set(printed)) == 36
    found = check_complete(content)
    for seed in ("a", "b", "c"):
        for number in range(12):
            assert found[Tag(f"{seed}-{number}")] in printed
    assert len([tag for tag in found if tag.startswith("key-")]) == 36


def test_a_writer_killed_at_any_moment_leaves_every_alias_complete(
    content: LayoutContent, directory: Path
) -> None:
    moments = random.Random(2)
    survivors: dict[Tag, Digest] = {}
    for round_number in range(10):
        child = writer(directory, f"r{round_number}", 1000)
        assert child.stdout
        assert child.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.3))
        os.kill(child.pid, signal.SIGKILL)
        said = child.communicate(timeout=60)[0].split()
        assert child.returncode == -signal.SIGKILL

        found = check_complete(content)

        assert {tag: found[tag] for tag in survivors} == survivors
        assert set(said) <= set(found.values())
        survivors = {tag: digest for tag, digest in found.items() if tag != "latest"}
    assert survivors, "every writer was killed before it wrote anything"
    age(directory)
    content.collect()
    assert check_complete(content)
    assert writer(directory, "last", 1).wait(60) == 0


def test_what_is_written_while_another_collects_is_complete(
    content: LayoutContent, directory: Path
) -> None:
    """Everything is made old before each step, so that only what the step does protects it."""
    done = threading.Event()
    collected: list[int] = []

    def collect() -> None:
        while not done.wait(0.002):
            collected.append(LayoutContent(directory, "collector").collect())

    record(content, "base", "v0")
    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for number in range(15):
            age(directory)
            record(content, "base", f"v{number}")
            record(content, f"n{number % 5}", "moving")
            content.delete_tag("moving")
            content.delete_tag(key_tag(spec(f"n{number % 5}").build_key))
    finally:
        done.set()
        collector.join()

    assert sum(collected) > 0
    assert len([tag for tag in check_complete(content) if tag.startswith("v")]) == 15
