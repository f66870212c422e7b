"""What every adapter of the port `Content` does alike: registry repositories and OCI layouts."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest
from support.registry import Running, blob_of, running
from support.stores import Open, opening

from launch_action.core.errors import LaunchError
from launch_action.core.image import (
    EMPTY,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    digest_of,
)
from launch_action.core.ports import Content, read_blob
from launch_action.oci.layout import LayoutContent

MEGABYTE = os.urandom(1024) * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("content")) as found:
        yield found


@pytest.fixture(
    params=[pytest.param("registry", marks=pytest.mark.registry), pytest.param("layout")]
)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a repository by its path; one name gives one repository within a test."""
    layout = request.param == "layout"
    with opening(tmp_path, None if layout else request.getfixturevalue("server")) as found:
        yield found


@pytest.fixture
def content(adapter: Open) -> Content:
    return adapter("one")


def source(data: bytes) -> Callable[[], BinaryIO]:
    return lambda: io.BytesIO(data)


def put(content: Content, data: bytes) -> Descriptor:
    descriptor = blob_of(data)
    content.put_blob(descriptor, source(data))
    return descriptor


def image(content: Content, data: bytes = b"layer") -> Manifest:
    """An image of one layer, its manifest not yet stored."""
    layer = put(content, data)
    config = Descriptor.of(b'{"os":"linux"}', OCI_CONFIG)
    content.put_blob(config, source(b'{"os":"linux"}'))
    return Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": config.document(),
            "layers": [layer.document()],
        }
    )


def index(*manifests: Manifest, note: str = "") -> Manifest:
    return Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [m.descriptor.document() for m in manifests],
            "annotations": {"note": note},
        }
    )


def test_a_blob_is_absent_until_it_is_put_and_comes_back_as_it_was(content: Content) -> None:
    descriptor = blob_of(MEGABYTE)
    assert not content.has_blob(descriptor.digest)

    assert content.put_blob(descriptor, source(MEGABYTE)) == "sent"

    assert content.has_blob(descriptor.digest)
    assert read_blob(content, descriptor) == MEGABYTE


def test_a_blob_that_is_there_is_not_opened_again(content: Content) -> None:
    descriptor = put(content, b"once")

    def never() -> BinaryIO:
        raise AssertionError("the source was opened")

    assert content.put_blob(descriptor, never) == "present"


def test_the_source_of_a_blob_is_closed(content: Content) -> None:
    opened: list[BinaryIO] = []

    def remembered() -> BinaryIO:
        opened.append(io.BytesIO(b"closed"))
        return opened[-1]

    content.put_blob(blob_of(b"closed"), remembered)

    assert opened
    assert all(one.closed for one in opened)


def test_an_empty_blob_can_be_kept(content: Content) -> None:
    descriptor = put(content, b"")

    assert content.has_blob(descriptor.digest)
    assert read_blob(content, descriptor) == b""


@pytest.mark.parametrize("given", [b"other bytes", b"short", b"the right bytes and more"])
def test_content_that_is_not_what_its_descriptor_says_is_not_stored(
    content: Content, given: bytes
) -> None:
    descriptor = blob_of(b"right bytes")

    with pytest.raises(LaunchError):
        content.put_blob(descriptor, source(given))

    assert not content.has_blob(descriptor.digest)


def test_a_blob_that_is_missing_is_an_error_that_names_it(content: Content) -> None:
    descriptor = blob_of(b"never stored")

    with pytest.raises(LaunchError, match=descriptor.digest), content.open_blob(descriptor) as got:
        list(got)


def test_a_descriptor_with_another_size_is_an_error(content: Content) -> None:
    right = put(content, b"eleven byte")
    for size in (5, 30):
        wrong = Descriptor(right.media_type, right.digest, size)
        with pytest.raises(LaunchError, match=right.digest), content.open_blob(wrong) as chunks:
            list(chunks)


def test_reading_a_blob_may_stop_in_the_middle(content: Content) -> None:
    descriptor = put(content, MEGABYTE * 4)

    with content.open_blob(descriptor) as chunks:
        assert next(chunks)

    assert len(read_blob(content, descriptor)) == len(MEGABYTE) * 4


def test_a_blob_is_copied_once(adapter: Open) -> None:
    origin, target = adapter("origin"), adapter("target")
    descriptor = put(origin, MEGABYTE)

    assert target.copy_blob(descriptor, origin) in ("mounted", "sent")
    assert target.copy_blob(descriptor, origin) == "present"
    assert read_blob(target, descriptor) == MEGABYTE


def test_a_blob_is_copied_between_kinds_of_repositories(adapter: Open, tmp_path: Path) -> None:
    here, there = adapter("origin"), LayoutContent(tmp_path / "another", "another")
    descriptor = put(here, MEGABYTE)

    assert there.copy_blob(descriptor, here) in ("sent", "mounted")
    assert adapter("target").copy_blob(descriptor, there) in ("sent", "mounted")
    assert read_blob(adapter("target"), descriptor) == MEGABYTE


def test_a_manifest_comes_back_byte_by_byte_by_tag_and_by_digest(content: Content) -> None:
    manifest = image(content)

    content.put_manifest(manifest, "v1")

    assert content.get_manifest("v1") == manifest
    assert content.get_manifest(manifest.descriptor.digest) == manifest


def test_a_manifest_without_tag_is_found_by_its_digest_alone(content: Content) -> None:
    manifest = image(content, b"untagged")

    content.put_manifest(manifest)

    assert content.get_manifest(manifest.descriptor.digest) == manifest
    assert manifest.descriptor.digest not in content.tags()


def test_an_index_with_a_job_manifest_is_kept_as_it_is(content: Content) -> None:
    platform = image(content)
    content.put_blob(EMPTY, source(b"{}"))
    layer = put(content, b'{"job": 1}')
    job = Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.launch-action.job.v1+json",
            "config": EMPTY.document(),
            "layers": [layer.document()],
        }
    )
    for one in (platform, job):
        content.put_manifest(one)
    both = index(platform, job)

    content.put_manifest(both, "latest")

    found = content.get_manifest("latest")
    assert found == both
    assert found.is_index
    assert [d.digest for d in found.entries()] == [
        platform.descriptor.digest,
        job.descriptor.digest,
    ]


def test_what_is_not_there_is_none_and_no_error(content: Content) -> None:
    assert content.get_manifest("latest") is None
    assert content.get_manifest(digest_of(b"nothing")) is None
    assert content.tags() == ()


def test_a_tag_moves_and_the_manifest_before_stays(content: Content) -> None:
    first, second = image(content, b"first"), image(content, b"second")

    content.put_manifest(first, "latest")
    content.put_manifest(second, "latest")

    assert content.get_manifest("latest") == second
    assert content.get_manifest(first.descriptor.digest) == first
    assert content.tags() == ("latest",)


def test_tags_are_listed_sorted_and_once(content: Content) -> None:
    manifest = image(content)
    for tag in ("v2", "latest", "V1", "v10", "v2"):
        content.put_manifest(manifest, tag)

    assert content.tags() == ("V1", "latest", "v10", "v2")


def test_a_deleted_manifest_is_gone_with_its_tags(content: Content) -> None:
    gone, kept = image(content, b"gone"), image(content, b"kept")
    content.put_manifest(gone, "a")
    content.put_manifest(gone, "b")
    content.put_manifest(kept, "c")

    assert content.delete_manifest(gone.descriptor.digest)

    assert content.get_manifest("a") is None
    assert content.get_manifest(gone.descriptor.digest) is None
    assert content.tags() == ("c",)
    assert content.get_manifest("c") == kept


def test_deleting_what_is_not_there_is_no_error_and_deletes_nothing(content: Content) -> None:
    content.put_manifest(image(content), "kept")

    assert content.delete_manifest(digest_of(b"nothing"))
    content.delete_tag("nothing")

    assert content.tags() == ("kept",)


def test_a_deleted_tag_leaves_its_manifest_or_is_said_to_be_still_there(content: Content) -> None:
    manifest = image(content)
    content.put_manifest(manifest, "pr-1")
    content.put_manifest(manifest, "v1")

    deleted = content.delete_tag("pr-1")

    assert ("pr-1" in content.tags()) is not deleted
    assert content.get_manifest("v1") == manifest


def test_many_threads_put_and_get_at_once(content: Content) -> None:
    blobs = [bytes([i]) * 50_000 + os.urandom(8) for i in range(16)]
    shared = blob_of(b"the same for everyone")
    ready = threading.Barrier(8)

    def work(data: bytes) -> bool:
        if data in blobs[:8]:
            ready.wait(20)
        content.put_blob(shared, source(b"the same for everyone"))
        return read_blob(content, put(content, data)) == data

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, blobs))
    assert read_blob(content, shared) == b"the same for everyone"
