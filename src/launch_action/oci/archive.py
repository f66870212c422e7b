"""An image as the archive that `docker load` reads, streamed from a store.

Source of the format: Docker image specification 1.2, "Combined Image JSON + Filesystem Changeset
Format" (`manifest.json`); layers may be compressed.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

from launch_action.core.image import Descriptor, Manifest, canonical
from launch_action.core.ports import Content

_BLOCK = tarfile.BLOCKSIZE


def docker_archive(content: Content, image: Manifest) -> Iterator[bytes]:
    """The archive of one image manifest, in chunks. Raises the store's errors on the way."""
    config, layers = image.config(), image.layers()
    document = canonical(
        [{"Config": _name(config), "RepoTags": None, "Layers": [_name(layer) for layer in layers]}]
    )
    yield _header("manifest.json", len(document))
    yield document + _padding(len(document))
    for descriptor in dict.fromkeys((config.digest, *(layer.digest for layer in layers))):
        blob = next(d for d in (config, *layers) if d.digest == descriptor)
        yield _header(_name(blob), blob.size)
        with content.open_blob(blob) as chunks:
            yield from chunks
        yield _padding(blob.size)
    yield bytes(2 * _BLOCK)


def _name(blob: Descriptor) -> str:
    return f"blobs/sha256/{blob.digest.hex}"


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)
