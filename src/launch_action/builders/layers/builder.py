"""The `layers` builder: an image from base, wheels and code, without a daemon and without root.

Whatever is known by its key is named and not made: first from the last images in the store, then
from the local cache. The rest is made and sent by several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from typing import TYPE_CHECKING, Protocol, TypeVar

from launch_action.builders.layers.archive import LayerRecipe
from launch_action.builders.layers.base import Base
from launch_action.builders.layers.code import code_recipe, import_paths
from launch_action.builders.layers.image import (
    ImageSpec,
    MadeLayer,
    make_config,
    make_manifest,
)
from launch_action.builders.layers.known import (
    StoredLayers,
    cached_layer,
    cached_set,
    note_layer,
    note_set,
)
from launch_action.builders.layers.writer import write_layer
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, BaseReference
from launch_action.core.context import Context
from launch_action.core.errors import BuildError
from launch_action.core.image import (
    OCI_CONFIG,
    Descriptor,
    Layer,
    Manifest,
    Platform,
    fingerprint,
)
from launch_action.core.launch import Built
from launch_action.core.plan import BuildPlan
from launch_action.core.ports import Content, Reporter

if TYPE_CHECKING:
    from launch_action.builders.layers.packages import Packages

# Sending waits for the network, splicing for the processor: a few threads serve both.
_THREADS = 6

T = TypeVar("T")


class BaseSource(Protocol):
    """Resolves a base for a platform and a Python `X.Y`."""

    def __call__(self, reference: BaseReference, platform: Platform, python: str, /) -> Base: ...


@dataclass(frozen=True, slots=True)
class LayersBuilder:
    """A Builder (core.launch) for one build context.

    `packages` is called only when something is to be resolved: what it needs is slow to import.
    """

    context: Context
    base: BaseSource
    packages: Callable[[], Packages]
    cache: Cache
    reporter: Reporter

    def prepare(self, plan: BuildPlan) -> LayersBuild:
        """Resolve the base of every platform. Raises BuildError or RegistryError."""
        bases = tuple(self.base(plan.base, p, plan.python.version) for p in plan.platforms)
        return LayersBuild(self, plan, bases)


@dataclass(frozen=True, slots=True)
class LayersBuild:
    """A build whose bases are resolved."""

    builder: LayersBuilder
    plan: BuildPlan
    resolved: tuple[Base, ...]

    @property
    def bases(self) -> tuple[BaseFacts, ...]:
        return tuple(base.facts for base in self.resolved)

    def build(self, target: Content, previous: tuple[Manifest, ...]) -> Built:
        """Put an image per platform into the target, without tags."""
        stored = StoredLayers.read(previous)
        images, lines = [], set[str]()
        for base in self.resolved:
            pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="layer")
            try:
                image = _Image(self.builder, self.plan, base, target, stored, pool)
                descriptor, packages = image.build()
            finally:
                pool.shutdown(cancel_futures=True)
            images.append(descriptor)
            lines |= set(packages)
        self.builder.cache.trim()
        frozen = "".join(f"{line}\n" for line in sorted(lines, key=str.lower))
        return Built(tuple(images), frozen.encode())


@dataclass(slots=True)
class _Image:
    """One platform's image in the making."""

    builder: LayersBuilder
    plan: BuildPlan
    base: Base
    target: Content
    stored: StoredLayers
    pool: ThreadPoolExecutor

    def build(self) -> tuple[Descriptor, tuple[str, ...]]:
        """The manifest's descriptor, and the requirement lines of what is installed."""
        taken = [self.pool.submit(self._take, layer) for layer in self.base.layers]
        made = [self.pool.submit(self._provide, recipe) for recipe in self.base.recipes]
        code = self.pool.submit(self._provide, code_recipe(self.builder.context, self.plan.files))
        dependencies = self._dependencies()
        _wait(taken)
        layers = [*_wait(made), *_wait(dependencies), code.result()]
        descriptor = self._finish(layers)
        return descriptor, tuple(line for layer in layers for line in layer.packages)

    def _dependencies(self) -> list[Future[MadeLayer]]:
        """The dependency layers, in order; nothing is resolved where the whole set is known."""
        key = self._dependencies_key()
        stored = self.stored.sets.get(key)
        if stored is not None:
            return [self.pool.submit(_same, layer) for layer in stored]
        known = cached_set(self.builder.cache, key)
        cached = [self._known(k) for k in known] if known else []
        if known and all(cached):
            return [self.pool.submit(_same, layer) for layer in cached if layer]
        made = self._resolved()
        note_set(self.builder.cache, key, _wait(made))
        return made

    def _resolved(self) -> list[Future[MadeLayer]]:
        """The dependency layers by way of the index; by uv alone where only uv has its login."""
        from launch_action.builders.layers.download import OnlyUvCan

        try:
            futures = self._submit(by_uv=False)
            _wait(futures)
        except OnlyUvCan as refused:
            self.builder.reporter.info(f"{refused}: uv fetches and installs")
            futures = self._submit(by_uv=True)
        return futures

    def _submit(self, *, by_uv: bool) -> list[Future[MadeLayer]]:
        below = len(self.base.layers) + len(self.base.recipes)
        packages = self.builder.packages()
        recipes = packages.recipes(self.plan, self.base.facts, below, by_uv=by_uv)
        return [self.pool.submit(self._provide, one.recipe, one.packages) for one in recipes]

    def _dependencies_key(self) -> str:
        """What decides the dependency layers: of the base only its interpreter and its libc."""
        facts, plan = self.base.facts, self.plan
        return fingerprint(
            plan.dependency_key, plan.cutoff, plan.compile, str(facts.platform), facts.libc,
            facts.libc_version, facts.python.executable, facts.python.minor,
            facts.python.version if plan.compile else "",
        )  # fmt: skip

    def _take(self, layer: Layer) -> None:
        """See that a layer of the base is in the target."""
        if layer.descriptor.digest in self.stored.digests or self.base.origin is None:
            return
        moved = self.target.copy_blob(layer.descriptor, self.base.origin)
        if moved != "present":
            self.builder.reporter.info(f"base layer {layer.descriptor.digest[7:19]}: {moved}")

    def _provide(self, recipe: LayerRecipe, packages: Sequence[str] = ()) -> MadeLayer:
        """The layer of a recipe, in the target: known, cached, or made now."""
        known = self._known(recipe.key)
        if known is not None:
            return known
        # In the cache before it is sent: a push that fails is not made again by the next run.
        self._make(recipe, tuple(packages))
        made = self._known(recipe.key)
        if made is None:
            raise BuildError(
                f"layer {recipe.title!r} vanished from the cache", hint="run the same command again"
            )
        return made

    def _known(self, key: str) -> MadeLayer | None:
        stored = self.stored.layers.get(key)
        if stored is not None:
            return stored
        cached = cached_layer(self.builder.cache, key)
        if cached is None:
            return None
        layer, path = cached
        descriptor = layer.layer.descriptor
        with self.builder.reporter.transfer(layer.title, descriptor.size) as advance:
            self.target.put_blob(descriptor, lambda: Observed(path.open("rb"), advance))
        return layer

    def _make(self, recipe: LayerRecipe, packages: tuple[str, ...]) -> None:
        cache = self.builder.cache
        with cache.write("layers", recipe.key) as path, path.open("wb") as out:
            written = write_layer(recipe.entries(), out)
        layer = MadeLayer(written.layer, recipe.key, recipe.role, recipe.title, packages)
        note_layer(cache, layer)

    def _finish(self, layers: Sequence[MadeLayer]) -> Descriptor:
        """Config and manifest, after every layer."""
        facts = self.base.facts
        spec = ImageSpec(
            self.plan.entrypoint, import_paths(self.plan.files), self._dependencies_key()
        )
        config = make_config(facts, self.base.layers, layers, spec)
        self.target.put_blob(Descriptor.of(config, OCI_CONFIG), lambda: _opened(config))
        manifest = make_manifest(facts, self.base.layers, layers, config, spec)
        self.target.put_manifest(manifest)
        found = manifest.descriptor
        return Descriptor(found.media_type, found.digest, found.size, platform=facts.platform)


def _wait(futures: Iterable[Future[T]]) -> list[T]:
    """The results in order; the first failure is raised."""
    return [future.result() for future in futures]


def _same(layer: MadeLayer) -> MadeLayer:
    return layer


def _opened(data: bytes) -> BytesIO:
    return BytesIO(data)


class Observed(BufferedReader):
    """A file that tells how much of it was read."""

    def __init__(self, file: BufferedReader, advance: Callable[[int], None]) -> None:
        super().__init__(file.raw)
        self._inner = file  # kept, for it closes what we read from when it goes
        self._advance = advance

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self._advance(len(data))
        return data
