"""One platform's image in the making: its layers are provided, then named by a manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from launch_action.builders.layers.base import Base
from launch_action.builders.layers.code import code_recipe, import_paths
from launch_action.builders.layers.image import ImageSpec, MadeLayer, make_config, make_manifest
from launch_action.builders.layers.known import cached_set, note_set
from launch_action.builders.layers.layer_supply import LayerSupply
from launch_action.builders.layers.threads import ended_by_failure, results
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass
from launch_action.core.image import OCI_CONFIG, Descriptor
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.version import BUILT, WHEELS, naming_wheels

if TYPE_CHECKING:
    from launch_action.builders.layers.bytecode import Compiler
    from launch_action.builders.layers.packages import PackagedRecipe, Packages


@dataclass(slots=True)
class PlatformImage:
    """One platform's image; `supply` is the same for the images of all platforms.

    `key` is that of its dependencies, `compiled_by` the Python of their bytecode. `packages` is
    called only when something is to be resolved. `wheels` names the list of the wheels in it,
    `resolved` is that list where it was made here.
    """

    plan: LayersPlan
    context: Context
    base: Base
    key: str
    compiled_by: str
    packages: Callable[[], Packages]
    compiler: Callable[[], Compiler | None]
    supply: LayerSupply
    wheels: Descriptor | None = None
    resolved: bytes = b""

    def build(self) -> tuple[Descriptor, tuple[str, ...]]:
        """The manifest's descriptor, and the requirement lines of what is installed."""
        with ended_by_failure(self.supply.makers):
            return self._build()

    def _build(self) -> tuple[Descriptor, tuple[str, ...]]:
        supply = self.supply
        supply.take(self.base)
        made = [supply.ordered(recipe) for recipe in self.base.recipes]
        code = supply.ordered(code_recipe(self.context, self.plan.files))
        dependencies = self._dependencies()
        layers = [*results(made), *dependencies, code.result()]
        descriptor = self._finish(layers)
        return descriptor, tuple(line for layer in layers for line in layer.packages)

    def _dependencies(self) -> list[MadeLayer]:
        """The dependency layers, in order; nothing is resolved where the whole set is known."""
        stored = self.supply.stored.sets.get(self.key)
        if stored is not None and stored.complete:
            self.wheels = stored.wheels
            return list(stored.layers)
        known = cached_set(self.supply.cache, self.key)
        cached = [self.supply.known(k) for k in known.layers] if known else []
        if known and all(cached):
            self._list(known.wheels)
            return [layer for layer in cached if layer]
        made = self._resolved()
        note_set(self.supply.cache, self.key, made, self.resolved)
        self._list(self.resolved)
        return made

    def _resolved(self) -> list[MadeLayer]:
        """The dependency layers by way of the index; by uv alone where only uv has its login."""
        from launch_action.builders.layers.download import OnlyUvCan

        try:
            pairs = self._pairs(by_uv=False)
        except OnlyUvCan as refused:
            self.supply.reporter.info(f"{refused}: uv fetches and installs")
            pairs = self._pairs(by_uv=True)
        # Bytecode above all wheels: with and without it, engines share what is below.
        return [*(layer for layer, _ in pairs), *(layer for _, layer in pairs if layer)]

    def _pairs(self, *, by_uv: bool) -> list[tuple[MadeLayer, MadeLayer | None]]:
        """Layers of wheels with those of their bytecode, and what must lie above all of them."""
        from launch_action.builders.layers.claims import clashing

        below = len(self.base.layers) + len(self.base.recipes)
        packages = self.packages()
        what = (self.plan, self.base.facts)
        recipes = packages.recipes(*what, below, self.compiler(), by_uv=by_uv)
        self.resolved = packages.listed(recipes)
        pairs = results([self.supply.makers.submit(self._packaged, one) for one in recipes])
        clash = [recipes[number] for number in clashing([layer.claims for layer, _ in pairs])]
        above = packages.replacing(*what, clash, self.compiler(), by_uv=by_uv) if clash else None
        return [*pairs, self._packaged(above)] if above else pairs

    def _packaged(self, one: PackagedRecipe) -> tuple[MadeLayer, MadeLayer | None]:
        """A layer of wheels, and that of their bytecode if they have modules."""
        layer = self.supply.provide(one.recipe, one.packages)
        if one.bytecode is None or (layer.modules == 0 and not one.shared):
            return layer, None
        return layer, self.supply.provide(one.bytecode)

    def _list(self, wheels: bytes) -> None:
        """See that the list of the wheels is in the target, for the version to name it."""
        if wheels:
            from launch_action.core.materials import built_names

            named, built = Descriptor.of(wheels, WHEELS), built_names(wheels)
            self.wheels = named.annotated({BUILT: built}) if built else named
            self.supply.send(named, wheels)

    def _finish(self, layers: Sequence[MadeLayer]) -> Descriptor:
        """The config beside the layers, the manifest after all of them."""
        facts = self.base.facts
        spec = ImageSpec(
            self.plan.entrypoint, import_paths(self.plan.files), self.key, self.compiled_by
        )
        config = make_config(facts, self.base.layers, layers, spec)
        self.supply.put(Descriptor.of(config, OCI_CONFIG), config)
        self.supply.settle()
        manifest = make_manifest(facts, self.base.layers, layers, config, spec)
        self.supply.target.put_manifest(manifest)
        found = manifest.descriptor
        image = Descriptor(found.media_type, found.digest, found.size, platform=facts.platform)
        return naming_wheels(image, self.wheels)
