"""The `layers` builder: an image from base, wheels and code, without a daemon and without root.

Whatever is known by its key is named and not made: first from the last images in the store, then
from the local cache. The rest is made and sent by several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from launch_action.builders.layers.archive import CONTENT_VERSION, LayerRecipe
from launch_action.builders.layers.base import Base
from launch_action.builders.layers.bytecode_choice import (
    Choice,
    check,
    choose,
    open_compiler,
    settle,
)
from launch_action.builders.layers.code import code_recipe, import_paths
from launch_action.builders.layers.codec import Codec, codec_of
from launch_action.builders.layers.image import (
    ImageSpec,
    MadeLayer,
    make_config,
    make_manifest,
)
from launch_action.builders.layers.interpreters import Interpreter
from launch_action.builders.layers.known import (
    StoredLayers,
    cached_layer,
    cached_set,
    note_layer,
    note_set,
)
from launch_action.builders.layers.observed import Observed, observe, told
from launch_action.builders.layers.threads import (
    Turns,
    ended_by_failure,
    once,
    results,
    thread_pool,
)
from launch_action.builders.layers.writer import FORMAT, write_layer
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, BaseRecord, BaseReference, PythonFacts
from launch_action.core.concurrency import BackgroundCall, concurrently
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import BuildError
from launch_action.core.frozen import freeze
from launch_action.core.image import (
    OCI_CONFIG,
    Descriptor,
    Layer,
    Manifest,
    Platform,
    fingerprint,
)
from launch_action.core.launch import Built
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.ports import Content, Reporter
from launch_action.core.reference import Digest
from launch_action.core.version import BUILT, WHEELS, naming_wheels

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from launch_action.builders.layers.bytecode import Compiler
    from launch_action.builders.layers.packages import PackagedRecipe, Packages


class BaseSource(Protocol):
    """Resolves a base for a platform and a Python `X.Y`."""

    def __call__(self, reference: BaseReference, platform: Platform, python: str, /) -> Base: ...


@dataclass(frozen=True, slots=True)
class LayersBuilder:
    """A Builder (core.launch) for one build context.

    `packages` is called only when something is to be resolved: what it needs is slow to import.
    `interpreters` gives those of this machine that may compile for an X.Y.
    """

    context: Context
    base: BaseSource
    packages: Callable[[], Packages]
    cache: Cache
    reporter: Reporter
    interpreters: Callable[[str], Iterator[Interpreter]]

    def prepare(self, plan: LayersPlan) -> LayersBuild:
        """Resolve the base of every platform. Raises BuildError or RegistryError."""
        wanted = plan.compile if plan.dependencies.kind != "none" else False
        minor = plan.python.version
        # Programs may have to be asked, in the time that the base takes.
        with BackgroundCall(
            lambda: tuple(self.interpreters(minor)) if wanted is not False else ()
        ) as here:
            bases = tuple(concurrently(lambda p: self.base(plan.base, p, minor), plan.platforms))
        found = here.result()
        return LayersBuild(self, plan, bases, found, choose(wanted, bases[0].facts.python, found))


@dataclass(frozen=True, slots=True)
class LayersBuild:
    """A build whose bases are resolved, and the Python chosen that compiles, if it is `here`."""

    builder: LayersBuilder
    plan: LayersPlan
    resolved: tuple[Base, ...]
    here: tuple[Interpreter, ...]
    choice: Choice

    @property
    def bases(self) -> tuple[BaseRecord, ...]:
        return tuple(base.facts.record for base in self.resolved)

    @property
    def _python(self) -> PythonFacts:
        """The target's: of one minor version on every platform."""
        return self.resolved[0].facts.python

    @property
    def choices(self) -> tuple[str, ...]:
        return (self.choice.key,) if self.choice.key else ()

    def over(self, previous: tuple[Manifest, ...]) -> LayersBuild:
        """The same with the Python that compiled the earlier images, where that saves compiling."""
        stored = StoredLayers.read(previous)

        def is_known(choice: Choice) -> bool:
            keys = (dependencies_key(self.plan, base.facts, choice) for base in self.resolved)
            return all(stored.complete(key) for key in keys)

        chosen = settle(self.choice, stored.compilers, self._python, self.here, is_known)
        return replace(self, choice=chosen)

    def build(self, target: Content, previous: tuple[Manifest, ...]) -> Built:
        """Put an image per platform into the target, without tags.

        The images are made at once, and what is the same in several of them is made once.
        """
        builder = self.builder
        check(self.choice, self.plan.compile, self._python.minor, builder.reporter)
        stored, codec = StoredLayers.read(previous), codec_of(self.plan.compression)
        sent: dict[Digest, Future[None]] = {}
        turns = Turns()
        with ExitStack() as stack, thread_pool("send") as senders, thread_pool("make") as makers:
            compiler = once(lambda: open_compiler(self.choice, builder.cache, stack))
            images = [
                _Image(self, base, target, stored, makers, senders, codec, compiler, turns, sent)
                for base in self.resolved
            ]
            built = concurrently(_Image.build, images)
        builder.cache.trim()
        lines = {
            image.base.facts.platform: found[1] for image, found in zip(images, built, strict=True)
        }
        return Built(tuple(descriptor for descriptor, _ in built), freeze(lines))


def dependencies_key(plan: LayersPlan, facts: BaseFacts, choice: Choice) -> str:
    """What decides the dependency layers: of the base only its interpreter and its libc.

    The interpreter to the patch release: it is in the environment, and markers may ask for it.
    """
    key = fingerprint(
        FORMAT, CONTENT_VERSION, plan.dependency_key, plan.cutoff, choice.key, str(facts.platform),
        facts.libc, facts.libc_version, facts.python.executable, facts.python.version,
    )  # fmt: skip
    return codec_of(plan.compression).key(key)


@dataclass(slots=True)
class _Image:
    """One platform's image in the making; `sent` is what is on its way to the target.

    `sent` and `turns` are the same for the images of all platforms. `wheels` names the list of the
    wheels in it, `resolved` is that list where it was made here.
    """

    of: LayersBuild
    base: Base
    target: Content
    stored: StoredLayers
    makers: ThreadPoolExecutor
    senders: ThreadPoolExecutor
    codec: Codec
    compiler: Callable[[], Compiler | None]
    turns: Turns
    sent: dict[Digest, Future[None]]
    wheels: Descriptor | None = None
    resolved: bytes = b""

    @property
    def builder(self) -> LayersBuilder:
        return self.of.builder

    @property
    def plan(self) -> LayersPlan:
        return self.of.plan

    @property
    def key(self) -> str:
        return dependencies_key(self.plan, self.base.facts, self.of.choice)

    def build(self) -> tuple[Descriptor, tuple[str, ...]]:
        """The manifest's descriptor, and the requirement lines of what is installed."""
        with ended_by_failure(self.makers):
            return self._build()

    def _build(self) -> tuple[Descriptor, tuple[str, ...]]:
        for layer in self.base.layers:
            self.sent[layer.descriptor.digest] = self.senders.submit(self._take, layer)
        made = [self.makers.submit(self._provide, recipe) for recipe in self.base.recipes]
        code = self.makers.submit(self._provide, code_recipe(self.builder.context, self.plan.files))
        dependencies = self._dependencies()
        layers = [*results(made), *dependencies, code.result()]
        descriptor = self._finish(layers)
        return descriptor, tuple(line for layer in layers for line in layer.packages)

    def _dependencies(self) -> list[MadeLayer]:
        """The dependency layers, in order; nothing is resolved where the whole set is known."""
        key = self.key
        stored = self.stored.sets.get(key)
        if stored is not None and stored.complete:
            self.wheels = stored.wheels
            return list(stored.layers)
        known = cached_set(self.builder.cache, key)
        cached = [self._known(k) for k in known.layers] if known else []
        if known and all(cached):
            self._list(known.wheels)
            return [layer for layer in cached if layer]
        made = self._resolved()
        note_set(self.builder.cache, key, made, self.resolved)
        self._list(self.resolved)
        return made

    def _resolved(self) -> list[MadeLayer]:
        """The dependency layers by way of the index; by uv alone where only uv has its login."""
        from launch_action.builders.layers.download import OnlyUvCan

        try:
            pairs = self._pairs(by_uv=False)
        except OnlyUvCan as refused:
            self.builder.reporter.info(f"{refused}: uv fetches and installs")
            pairs = self._pairs(by_uv=True)
        # Bytecode above all wheels: with and without it, engines share what is below.
        return [*(layer for layer, _ in pairs), *(layer for _, layer in pairs if layer)]

    def _pairs(self, *, by_uv: bool) -> list[tuple[MadeLayer, MadeLayer | None]]:
        """Layers of wheels with those of their bytecode, and what must lie above all of them."""
        from launch_action.builders.layers.claims import clashing

        below = len(self.base.layers) + len(self.base.recipes)
        packages = self.builder.packages()
        what = (self.plan, self.base.facts)
        recipes = packages.recipes(*what, below, self.compiler(), by_uv=by_uv)
        self.resolved = packages.listed(recipes)
        pairs = results([self.makers.submit(self._packaged, one) for one in recipes])
        clash = [recipes[number] for number in clashing([layer.claims for layer, _ in pairs])]
        above = packages.replacing(*what, clash, self.compiler(), by_uv=by_uv) if clash else None
        return [*pairs, self._packaged(above)] if above else pairs

    def _packaged(self, one: PackagedRecipe) -> tuple[MadeLayer, MadeLayer | None]:
        """A layer of wheels, and that of their bytecode if they have modules."""
        layer = self._provide(one.recipe, one.packages)
        if one.bytecode is None or (layer.modules == 0 and not one.shared):
            return layer, None
        return layer, self._provide(one.bytecode)

    def _list(self, wheels: bytes) -> None:
        """See that the list of the wheels is in the target, for the version to name it."""
        if wheels:
            from launch_action.core.materials import built_names

            named, built = Descriptor.of(wheels, WHEELS), built_names(wheels)
            self.wheels = named.annotated({BUILT: built}) if built else named
            self.sent[named.digest] = self.senders.submit(self._put, named, wheels)

    def _put(self, descriptor: Descriptor, data: bytes) -> None:
        self.target.put_blob(descriptor, lambda: _opened(data))

    def _take(self, layer: Layer) -> None:
        """See that a layer of the base is in the target."""
        if layer.descriptor.digest in self.stored.digests or self.base.origin is None:
            return
        moved = self.target.copy_blob(layer.descriptor, self.base.origin)
        if moved != "present":
            self.builder.reporter.info(f"base layer {layer.descriptor.digest[7:19]}: {moved}")

    def _provide(self, recipe: LayerRecipe, packages: Sequence[str] = ()) -> MadeLayer:
        """The layer of a recipe, in the target or on its way: known, cached, or made now."""
        recipe = replace(recipe, key=self.codec.key(recipe.key))
        with self.turns.of(recipe.key):
            return self._known(recipe.key) or self._made(recipe, packages)

    def _made(self, recipe: LayerRecipe, packages: Sequence[str]) -> MadeLayer:
        self._check_sent()
        # In the cache before it is sent: a push that fails is not made again by the next run.
        self._make(recipe, tuple(packages))
        made = self._known(recipe.key)
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

    def _known(self, key: str) -> MadeLayer | None:
        stored = self.stored.layers.get(key)
        if stored is not None:
            return stored
        cached = cached_layer(self.builder.cache, key)
        if cached is None:
            return None
        digest = cached[0].layer.descriptor.digest
        if digest not in self.sent:
            self.sent[digest] = self.senders.submit(self._send, *cached)
        return cached[0]

    def _send(self, layer: MadeLayer, path: Path) -> None:
        descriptor = layer.layer.descriptor
        with self.builder.reporter.transfer(layer.title, descriptor.size) as advance:
            self.target.put_blob(descriptor, lambda: Observed(path.open("rb"), advance))

    def _make(self, recipe: LayerRecipe, packages: tuple[str, ...]) -> None:
        cache = self.builder.cache
        with cache.write("layers", recipe.key) as path, path.open("wb") as out:
            observed = observe(recipe)
            written = write_layer(observed, out, self.codec)
        layer = MadeLayer(written.layer, recipe.key, recipe.role, recipe.title, packages)
        note_layer(cache, told(layer, observed, self.base.facts.python.minor))

    def _finish(self, layers: Sequence[MadeLayer]) -> Descriptor:
        """The config beside the layers, the manifest after all of them."""
        facts = self.base.facts
        spec = ImageSpec(
            self.plan.entrypoint, import_paths(self.plan.files), self.key, self.of.choice.version
        )
        config = make_config(facts, self.base.layers, layers, spec)
        self._put(Descriptor.of(config, OCI_CONFIG), config)
        results(list(self.sent.values()))
        manifest = make_manifest(facts, self.base.layers, layers, config, spec)
        self.target.put_manifest(manifest)
        found = manifest.descriptor
        image = Descriptor(found.media_type, found.digest, found.size, platform=facts.platform)
        return naming_wheels(image, self.wheels)


def _opened(data: bytes) -> BytesIO:
    return BytesIO(data)
