"""Takes a built image over into the target repository, and says what is installed in it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from launch_action.builders.buildkit.installed import Installed, cached_read, installed
from launch_action.builders.buildkit.saved_image import SavedImage
from launch_action.builders.layers.codec import Codec
from launch_action.builders.layers.image import MadeLayer
from launch_action.builders.layers.known import StoredLayers, cached_layer, note_layer
from launch_action.builders.layers.tar_stream import decompress_zstd, inflate
from launch_action.builders.layers.writer import layer_key
from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.image import (
    OCI_CONFIG,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    OCI_MANIFEST,
    UNKNOWN_PLATFORM,
    Descriptor,
    Layer,
    Manifest,
    Platform,
    parse_object,
)
from launch_action.core.ports import Content, Reporter, read_blob
from launch_action.core.reference import Digest

_AT_ONCE = 4
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class BaseLayers:
    """Where the layers of a base image are, by digest and by diff_id."""

    by_digest: Mapping[Digest, Content]
    by_diff_id: Mapping[Digest, tuple[Descriptor, Content]]


@dataclass(frozen=True, slots=True)
class Taken:
    """An image in the target: its manifest by digest with its platform, and what it installs."""

    image: Descriptor
    installed: Installed


@dataclass(frozen=True, slots=True)
class Taking:
    """Moves images to `target`, compressed by `codec` where they are not compressed yet.

    `platforms` are those of the plan, `bases` what may be mounted.
    """

    target: Content
    platforms: tuple[Platform, ...]
    bases: BaseLayers
    stored: StoredLayers
    cache: Cache
    reporter: Reporter
    codec: Codec

    def layout(self, layout: Content, built: Manifest) -> tuple[Taken, ...]:
        """Take over the images of an OCI layout: an image manifest, or an index of them."""
        return tuple(
            self._layout_image(layout, _required(layout, entry.digest)) for entry in _images(built)
        )

    def there(self, built: Manifest) -> tuple[Taken, ...]:
        """The images of an index or manifest that is in the target already."""
        return tuple(
            self._taken(self.target, _required(self.target, entry.digest))
            for entry in _images(built)
        )

    def saved(self, image: SavedImage) -> Taken:
        """Take over an image that the engine saved; its layers are compressed where need be."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            layers = list(pool.map(lambda one: self._saved_layer(*one), image.layers))
        config = Descriptor.of(image.config, OCI_CONFIG)
        self.target.put_blob(config, lambda: io.BytesIO(image.config))
        manifest = Manifest.make(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": config.document(),
                "layers": [layer.document() for layer in layers],
            }
        )
        self.target.put_manifest(manifest)
        document = parse_object(image.config, "the image's config")
        read = [
            cached_read(self.cache, diff_id, partial(_plain, path))
            for diff_id, path in image.layers
        ]
        return Taken(self._described(manifest, document), installed(read, document))

    def _layout_image(self, layout: Content, manifest: Manifest) -> Taken:
        blobs = (*manifest.layers(), manifest.config())
        total = sum(blob.size for blob in blobs)
        with (
            self.reporter.transfer("image", total) as advance,
            ThreadPoolExecutor(_AT_ONCE) as pool,
        ):
            for size in pool.map(lambda blob: self._copy(layout, blob), blobs):
                advance(size)
        self.target.put_manifest(manifest)
        return self._taken(layout, manifest)

    def _copy(self, layout: Content, blob: Descriptor) -> int:
        """Take a blob over: by mount where a base in the same registry has it."""
        base = self.bases.by_digest.get(blob.digest)
        neighbour = base is not None and _host(base) == _host(self.target)
        self.target.copy_blob(blob, base if base is not None and neighbour else layout)
        return blob.size

    def _taken(self, origin: Content, manifest: Manifest) -> Taken:
        document = parse_object(read_blob(origin, manifest.config()), "the image's config")
        diff_ids = [str(found) for found in document.get("rootfs", {}).get("diff_ids", ())]
        read = [
            cached_read(self.cache, diff_id, partial(_unpacked, origin, layer))
            for diff_id, layer in zip(diff_ids, manifest.layers(), strict=True)
        ]
        return Taken(self._described(manifest, document), installed(read, document))

    def _described(self, manifest: Manifest, config: Mapping[str, Any]) -> Descriptor:
        real = Platform(
            str(config.get("os")), str(config.get("architecture")), str(config.get("variant") or "")
        )
        wanted = next((one for one in self.platforms if one.accepts(real)), real)
        found = manifest.descriptor
        return Descriptor(found.media_type, found.digest, found.size, platform=wanted)

    def _saved_layer(self, diff_id: Digest, path: Path) -> Descriptor:
        base = self.bases.by_diff_id.get(diff_id)
        if base is not None:
            self.target.copy_blob(*base)
            return base[0]
        if _is_gzip(path):  # as an engine keeps it that has images in containerd
            descriptor = _described_file(path)
            self.target.put_blob(descriptor, lambda: path.open("rb"))
            return descriptor
        key = self.codec.key(layer_key("saved", diff_id))
        stored = self.stored.layers.get(key)
        if stored is not None:
            return stored.annotated()
        if cached_layer(self.cache, key) is None:
            self._compress(key, diff_id, path)
        made = cached_layer(self.cache, key)
        if made is None:
            raise BuildError(
                f"layer {diff_id} vanished from the cache", hint="run the same command again"
            )
        self.target.put_blob(made[0].layer.descriptor, lambda: made[1].open("rb"))
        return made[0].annotated()

    def _compress(self, key: str, diff_id: Digest, path: Path) -> None:
        digest, plain, size = hashlib.sha256(), hashlib.sha256(), 0
        with self.cache.write("layers", key) as place, place.open("wb") as out:
            for data in _chunks(path, self.codec.run):
                plain.update(data)
                packed = self.codec.compress(data)
                digest.update(packed)
                size += out.write(packed)
        if f"sha256:{plain.hexdigest()}" != diff_id:
            raise BuildError(
                f"the engine saved layer {diff_id} damaged", hint="run the same command again"
            )
        layer = Layer(
            Descriptor(self.codec.media_type, Digest(f"sha256:{digest.hexdigest()}"), size), diff_id
        )
        note_layer(self.cache, MadeLayer(layer, key, "base", "Dockerfile step"))


def _images(built: Manifest) -> Sequence[Descriptor]:
    if not built.is_index:
        return (built.descriptor,)
    return [entry for entry in built.entries() if entry.platform not in (None, UNKNOWN_PLATFORM)]


def _required(content: Content, digest: Digest) -> Manifest:
    found = content.get_manifest(digest)
    if found is None:
        raise BuildError(
            f"the builder handed over an image without its manifest {digest}",
            hint="run the same command again; if it stays, use another builder",
        )
    return found


def _unpacked(origin: Content, layer: Descriptor) -> Iterator[bytes]:
    with origin.open_blob(layer) as chunks:
        if layer.media_type.endswith("gzip"):
            yield from inflate(chunks)
        else:
            yield from decompress_zstd(chunks) if layer.media_type == OCI_LAYER_ZSTD else chunks
        # To the end: the blob's digest is checked there, and nothing is believed before.
        for _ in chunks:
            pass


def _chunks(path: Path, size: int = _CHUNK) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.read(size), b"")


def _plain(path: Path) -> Iterator[bytes]:
    return inflate(_chunks(path)) if _is_gzip(path) else _chunks(path)


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _described_file(path: Path) -> Descriptor:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return Descriptor(OCI_LAYER_GZIP, Digest(f"sha256:{found}"), path.stat().st_size)


def _host(content: Content) -> str:
    return content.name.partition("/")[0]
