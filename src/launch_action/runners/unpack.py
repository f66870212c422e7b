"""Unpack a job's layers into a run directory; dependencies once, then shared by hard links."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass
from launch_action.core.image import Descriptor, fingerprint
from launch_action.core.run import JobImage, LayerRef
from launch_action.runners.stream import ChunkStream
from launch_action.runners.tree import is_whole, keep_bytecode, link, publish, tree_of

# Part of the key of unpacked dependencies: what is made of the same layers.
_FORMAT = "environment-1"
_BUFFER = 256 * 1024

OpenBlob = Callable[[Descriptor], AbstractContextManager[Iterator[bytes]]]
Extract = Callable[[BinaryIO, Path], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacking:
    """Where layers come from (`open_blob`), what unpacks one (`extract`), and what is kept."""

    open_blob: OpenBlob
    extract: Extract
    cache: Cache | None

    def unpack(self, image: JobImage, root: Path) -> None:
        """Unpack the job's own layers, dependencies and code, below `root`."""
        if not self._shared(image, root):
            self._unpack_all(image.of_role("dependency"), root)
        self._unpack_all(image.of_role("code"), root)

    def keep(self, image: JobImage, root: Path) -> None:
        """Keep what a run below `root` added to its dependencies and the next one can use."""
        if entry := self._entry(image):
            keep_bytecode(entry, root)

    def _entry(self, image: JobImage) -> Path | None:
        layers = image.of_role("dependency")
        if not self.cache or not layers:
            return None
        key = fingerprint(_FORMAT, [layer.diff_id for layer in layers])
        return self.cache.directory("environments") / key

    def _shared(self, image: JobImage, root: Path) -> bool:
        """Link the unpacked dependencies from the cache, where they are put first if missing."""
        entry = self._entry(image)
        if not self.cache or not entry:
            return False
        if link(entry, root):
            return True
        # The cache has none, or not all of one any more.
        _clear(root)
        with self.cache.lock(f"environment-{entry.name[:16]}"):
            if not is_whole(entry):
                shutil.rmtree(entry, ignore_errors=True)
                self._unpack_all(image.of_role("dependency"), tree_of(entry))
                publish(entry)
            if link(entry, root):
                return True
        _clear(root)
        return False

    def _unpack_all(self, layers: Iterable[LayerRef], root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        for layer in layers:
            with self.open_blob(layer.descriptor) as chunks:
                self.extract(BufferedReader(ChunkStream(chunks), _BUFFER), root)
                # The digest is checked at the end of the stream, which may be after the archive's.
                deque(chunks, maxlen=0)


def _clear(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
