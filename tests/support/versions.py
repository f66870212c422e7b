"""Recordings and images for tests of the store: small, real documents, made from a seed."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from launch_action.core.image import (
    EMPTY,
    OCI_CONFIG,
    OCI_LAYER,
    OCI_LAYER_GZIP,
    OCI_MANIFEST,
    Descriptor,
    Manifest,
    Platform,
    canonical,
    digest_of,
    fingerprint,
)
from launch_action.core.ports import Content
from launch_action.core.reference import Digest, Tag
from launch_action.core.version import JobFiles, VersionSpec

AMD64 = Platform("linux", "amd64")
ARM64 = Platform("linux", "arm64", "v8")
JOB_NAME = "job-https___github.com_acme_mono-jobs_train.py"
COMMIT = "1759231bf22f2d4ab716eb97ad8ad30e4d007342"


def opener(data: bytes) -> Callable[[], BinaryIO]:
    """What `put_blob` takes, for bytes."""
    return lambda: io.BytesIO(data)


def put(content: Content, data: bytes, media_type: str = OCI_LAYER) -> Descriptor:
    """Store bytes as a blob."""
    descriptor = Descriptor.of(data, media_type)
    content.put_blob(descriptor, opener(data))
    return descriptor


def put_manifest(content: Content, tag: str) -> Manifest:
    """Store a manifest without layers under a tag."""
    put(content, b"{}", EMPTY.media_type)
    manifest = Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": EMPTY.document(),
            "layers": [],
        }
    )
    content.put_manifest(manifest, tag)
    return manifest


def image_documents(seed: str, platform: Platform = AMD64) -> tuple[bytes, bytes, Manifest]:
    """Layer, config and manifest of a tiny image with one file, `seed`."""
    text = f"{seed} {platform}".encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("seed")
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))
    # Compressed, because skopeo compresses what is not, and the digest would be another one.
    layer = gzip.compress(archive.getvalue(), mtime=0)
    rootfs = {"type": "layers", "diff_ids": [str(digest_of(archive.getvalue()))]}
    config = canonical({**platform.document(), "config": {}, "rootfs": rootfs})
    manifest = Manifest.make(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": Descriptor.of(config, OCI_CONFIG).document(),
            "layers": [Descriptor.of(layer, OCI_LAYER_GZIP).document()],
        }
    )
    return layer, config, manifest


def put_image(content: Content, seed: str, platform: Platform = AMD64) -> Descriptor:
    """Store a tiny image without a tag; returns its descriptor with the platform."""
    layer, config, manifest = image_documents(seed, platform)
    put(content, layer)
    put(content, config, OCI_CONFIG)
    content.put_manifest(manifest)
    return image_descriptor(seed, platform)


def image_descriptor(seed: str, platform: Platform = AMD64) -> Descriptor:
    """The descriptor of the tiny image, as an index names it."""
    found = image_documents(seed, platform)[2].descriptor
    return Descriptor(found.media_type, found.digest, found.size, platform=platform)


def spec(
    seed: str = "a",
    *,
    commit: str = COMMIT,
    created: str = "2024-05-01T12:00:00Z",
    job_name: str = JOB_NAME,
    platforms: tuple[Platform, ...] = (AMD64,),
    schema: bytes | None = None,
    code: Descriptor | None = None,
) -> VersionSpec:
    """A version of the images of this seed."""
    return VersionSpec(
        job_name=job_name,
        remote="https://github.com/acme/mono.git",
        commit=commit,
        created=created,
        build_key=fingerprint(seed) if platforms else "",
        images=tuple(image_descriptor(seed, platform) for platform in platforms),
        files=JobFiles(
            document=f'{{"seed": "{seed}", "commit": "{commit}"}}\n'.encode(),
            frozen=b"numpy==1.26.4\n",
            schema=schema,
            code=code,
        ),
    )


def check_complete(content: Content) -> dict[Tag, Digest]:
    """Read every tag with everything it reaches, bytes and all; returns what each tag names."""
    found: dict[Tag, Digest] = {}
    read: set[Digest] = set()
    for name in content.tags():
        manifest = content.get_manifest(name)
        assert manifest is not None, name
        _read_all(content, manifest, read)
        found[Tag(name)] = manifest.descriptor.digest
    return found


def _read_all(content: Content, manifest: Manifest, read: set[Digest]) -> None:
    for entry in manifest.entries():
        if entry.digest not in read:
            below = content.get_manifest(entry.digest)
            assert below is not None, entry.digest
            assert below.descriptor.size == entry.size
            _read_all(content, below, read)
    if not manifest.is_index:
        for blob in (manifest.config(), *manifest.layers()):
            if blob.digest not in read:
                read.add(blob.digest)
                with content.open_blob(blob) as chunks:
                    assert sum(len(chunk) for chunk in chunks) == blob.size
    read.add(manifest.descriptor.digest)


def blob_path(directory: Path, digest: Digest) -> Path:
    """Where a layout keeps a blob."""
    return directory / "blobs" / "sha256" / digest.hex
