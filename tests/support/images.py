"""What is in a stored image: its config, and the files of its layers."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from launch_action.core.image import Descriptor, Manifest
from launch_action.core.ports import Content
from launch_action.core.store import JobStore


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a layer: `mode` in octal digits, `target` of a link."""

    mode: str
    data: bytes
    target: str = ""


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image of a job version."""

    content: Content
    manifest: Manifest

    @property
    def config(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.blob(self.manifest.config()))
        return found

    def blob(self, descriptor: Descriptor) -> bytes:
        with self.content.open_blob(descriptor) as chunks:
            return b"".join(chunks)

    def files(self, *, layers: slice = slice(None)) -> dict[str, StoredFile]:
        """The files of these layers, a later layer's over an earlier one's."""
        found: dict[str, StoredFile] = {}
        for layer in self.manifest.layers()[layers]:
            with tarfile.open(fileobj=io.BytesIO(gzip.decompress(self.blob(layer)))) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    found[member.name.removeprefix("./")] = StoredFile(
                        f"{member.mode & 0o7777:o}", file.read() if file else b"", member.linkname
                    )
        return found


def stored_images(content: Content, selector: str = "latest") -> Iterator[StoredImage]:
    """The images of a job version, in the order of its index."""
    for image in JobStore(content).load(selector).images:
        manifest = content.get_manifest(image.digest)
        assert manifest is not None
        yield StoredImage(content, manifest)
