"""The list of an artifact's files: nothing in it leaves the artifact, and it is what it was."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from support.wandb_put import md5_text

from launch_action.core.errors import StoreError
from launch_action.core.wandb_manifest import ManifestFile, hasher, read_manifest

X = {"digest": md5_text(b"x"), "size": 1}
# Of `{"a/b.txt": X}`, by the SDK 0.31 itself: ArtifactManifestV1.digest.
DIGEST = "c84838f2f8863977314389696e4c8f09"


def read(contents: Any, digest: str = DIGEST, algorithm: str = "MANIFEST_MD5") -> Any:
    return read_manifest(json.dumps({"contents": contents}).encode(), digest, algorithm, "it")


# Of `{"a/b.txt": FAST}` likewise, where its maker asks for XXH128.
FAST = {"digest": "XHQBwOwi7u7q8GxkgLLNEQ==", "size": 1, "extra": {"alg": "XXH128"}}
FAST_DIGEST = "06542f64c144d4f762f48b8092b170c4"


def test_files_are_read_by_path() -> None:
    found = read({"a/b.txt": {**X, "birthArtifactID": "Q", "local_path": "/home/x", "extra": {}}})

    assert found == (ManifestFile("a/b.txt", "9dd4e461268c8034f5c8564e155c67a6", 1),)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../x", "a/../../x", "a//x", "./x", "a/.", "a/", "", "a\nb", "a\0b", "\x7f",
     "x" * 5000, ".", ".."],
)  # fmt: skip
def test_a_path_that_leaves_the_artifact_is_refused(path: str) -> None:
    with pytest.raises(StoreError, match="no path inside"):
        read({path: X})


@pytest.mark.parametrize("ref", ["file:///etc/passwd", "s3://bucket/x", "http://host/x", "x"])
def test_what_lies_elsewhere_is_not_fetched(ref: str) -> None:
    with pytest.raises(StoreError, match="is not in the artifact but at"):
        read({"x": {"digest": "x", "ref": ref, "size": 1}})


@pytest.mark.parametrize("size", [-1, None, "1", True, 1.5, []])
def test_a_size_is_a_number_of_bytes(size: Any) -> None:
    with pytest.raises(StoreError, match="no size"):
        read({"x": {**X, "size": size}})


@pytest.mark.parametrize("digest", ["", "zz", 5, None, "nd", md5_text(b"x")[:-4], [1]])
def test_a_digest_is_an_md5(digest: Any) -> None:
    with pytest.raises(StoreError, match="no MD5"):
        read({"x": {**X, "digest": digest}})


@pytest.mark.parametrize("entry", [5, None, [], "x"])
def test_an_entry_is_a_file(entry: Any) -> None:
    with pytest.raises(StoreError, match="is no file"):
        read({"x": entry})


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"5", b'{"contents": 5}', b"[" * 100_000])
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="no list of its files"):
        read_manifest(data, DIGEST, "MANIFEST_MD5", "it")


def test_a_file_is_no_directory() -> None:
    with pytest.raises(StoreError, match="'a' is a file and a directory"):
        read({"a": X, "a/b/c": X}, "f3d4d6b62846f5479d3d633a9684e23e")


def test_the_list_is_the_one_that_the_artifact_was_made_with() -> None:
    with pytest.raises(StoreError, match="has the digest"):
        read({"a/b.txt": X}, "0" * 32)
    with pytest.raises(StoreError, match="has the digest"):
        read({"a/b.txt": X}, DIGEST, "MANIFEST_XXH128")
    with pytest.raises(StoreError, match="MANIFEST_MAGIC"):
        read({"a/b.txt": X}, DIGEST, "MANIFEST_MAGIC")


def test_digests_may_be_xxh128() -> None:
    (found,) = read({"a/b.txt": FAST}, FAST_DIGEST, "MANIFEST_XXH128")

    assert (found.algorithm, found.digest) == ("XXH128", "5c7401c0ec22eeeeeaf06c6480b2cd11")
    same = hasher("XXH128")
    same.update(b"x")
    assert same.hexdigest() == found.digest
    with pytest.raises(StoreError, match="no XXH128"):
        read({"x": {**FAST, "digest": "zz"}})
    with pytest.raises(StoreError, match="of the kind 'MAGIC'"):
        read({"x": {**FAST, "extra": {"alg": "MAGIC"}}})


def test_without_the_package_of_the_extra_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xxhash", None)

    with pytest.raises(StoreError, match="xxhash is not installed") as caught:
        read({"a/b.txt": FAST}, FAST_DIGEST, "MANIFEST_XXH128")
    assert "launch-action[wandb]" in caught.value.hint


def test_there_is_an_end_to_the_number_of_files() -> None:
    with pytest.raises(StoreError, match="over the limit of 100000"):
        read({str(number): X for number in range(100_001)})
