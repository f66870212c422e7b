"""Layers for images: known by their key, cached, or made now; and sent to the target meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.builders.layers.archive import LayerRecipe
from launch_action.builders.layers.base import Base
from launch_action.builders.layers.codec import Codec
from launch_action.builders.layers.image import MadeLayer
from launch_action.builders.layers.known import StoredLayers, cached_layer, note_layer
from launch_action.builders.layers.observed import Observed, observe, told
from launch_action.builders.layers.threads import Turns, results
from launch_action.builders.layers.writer import write_layer
from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import BuildError
from launch_action.core.image import Descriptor, Layer
from launch_action.core.ports import Content, Reporter
from launch_action.core.reference import Digest

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor


@dataclass(frozen=True, slots=True)
class LayerSupply:
    """Provides the layers of one build, for the images of all its platforms; safe for threads.

    `stored` are the layers of earlier images in the target. `python` is the X.Y of the images,
    `sent` what is on its way to the target. What several images want is made once.
    """

    target: Content
    stored: StoredLayers
    cache: Cache
    reporter: Reporter
    codec: Codec
    python: str
    makers: ThreadPoolExecutor
    senders: ThreadPoolExecutor
    sent: dict[Digest, Future[None]] = field(default_factory=dict)
    _turns: Turns = field(default_factory=Turns)

    def ordered(self, recipe: LayerRecipe) -> Future[MadeLayer]:
        """The layer of a recipe, provided by another thread."""
        return self.makers.submit(self.provide, recipe)

    def provide(self, recipe: LayerRecipe, packages: Sequence[str] = ()) -> MadeLayer:
        """The layer of a recipe, in the target or on its way: known, cached, or made now.

        Raises BuildError, and what sending another one has failed with.
        """
        recipe = replace(recipe, key=self.codec.key(recipe.key))
        with self._turns.of(recipe.key):
            return self.known(recipe.key) or self._made(recipe, packages)

    def known(self, key: str) -> MadeLayer | None:
        """The layer that the target or the cache has by this key."""
        stored = self.stored.layers.get(key)
        if stored is not None:
            return stored
        cached = cached_layer(self.cache, key)
        if cached is None:
            return None
        digest = cached[0].layer.descriptor.digest
        if digest not in self.sent:
            self.sent[digest] = self.senders.submit(self._send_layer, *cached)
        return cached[0]

    def take(self, base: Base) -> None:
        """See that the layers of a base come into the target."""
        for layer in base.layers:
            self.sent[layer.descriptor.digest] = self.senders.submit(self._take, layer, base.origin)

    def send(self, descriptor: Descriptor, data: bytes) -> None:
        """Put a document into the target, beside what is made."""
        self.sent[descriptor.digest] = self.senders.submit(self.put, descriptor, data)

    def put(self, descriptor: Descriptor, data: bytes) -> None:
        """Put a document into the target."""
        self.target.put_blob(descriptor, lambda: BytesIO(data))

    def settle(self) -> None:
        """Wait until everything is in the target. Raises what a sending has failed with."""
        results(list(self.sent.values()))

    def _made(self, recipe: LayerRecipe, packages: Sequence[str]) -> MadeLayer:
        self._check_sent()
        # In the cache before it is sent: a push that fails is not made again by the next run.
        self._make(recipe, tuple(packages))
        made = self.known(recipe.key)
        if made is None:
            raise BuildError(
                f"layer {recipe.title!r} vanished from the cache", hint="run the same command again"
            )
        return made

    def _check_sent(self) -> None:
        """Raise what a sending has failed with: nothing more is worth making then."""
        for future in list(self.sent.values()):
            if future.done():
                future.result()

    def _make(self, recipe: LayerRecipe, packages: tuple[str, ...]) -> None:
        with self.cache.write("layers", recipe.key) as path, path.open("wb") as out:
            observed = observe(recipe)
            written = write_layer(observed, out, self.codec)
        layer = MadeLayer(written.layer, recipe.key, recipe.role, recipe.title, packages)
        note_layer(self.cache, told(layer, observed, self.python))

    def _take(self, layer: Layer, origin: Content | None) -> None:
        if layer.descriptor.digest in self.stored.digests or origin is None:
            return
        moved = self.target.copy_blob(layer.descriptor, origin)
        if moved != "present":
            self.reporter.info(f"base layer {layer.descriptor.digest[7:19]}: {moved}")

    def _send_layer(self, layer: MadeLayer, path: Path) -> None:
        descriptor = layer.layer.descriptor
        with self.reporter.transfer(layer.title, descriptor.size) as advance:
            self.target.put_blob(descriptor, lambda: Observed(path.open("rb"), advance))
