"""The `layers` builder: an image from base, wheels and code, without a daemon and without root.

Whatever is known by its key is named and not made: first from the last images in the store, then
from the local cache. The rest is made and sent by several threads at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

from launch_action.builders.layers.archive import CONTENT_VERSION
from launch_action.builders.layers.base import Base
from launch_action.builders.layers.bytecode_choice import (
    Choice,
    check,
    choose,
    open_compiler,
    settle,
)
from launch_action.builders.layers.codec import codec_of
from launch_action.builders.layers.interpreters import Interpreter
from launch_action.builders.layers.known import StoredLayers
from launch_action.builders.layers.writer import FORMAT
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, BaseRecord, BaseReference, PythonFacts
from launch_action.core.concurrency import BackgroundCall, concurrently
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.frozen import freeze
from launch_action.core.image import Manifest, Platform, fingerprint
from launch_action.core.launch import Built
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.ports import Content, Reporter

if TYPE_CHECKING:
    from launch_action.builders.layers.bytecode import Compiler
    from launch_action.builders.layers.layer_supply import LayerSupply
    from launch_action.builders.layers.packages import Packages
    from launch_action.builders.layers.platform_image import PlatformImage


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
        # Imported where it is used: what is built already needs none of it.
        from launch_action.builders.layers.layer_supply import LayerSupply
        from launch_action.builders.layers.threads import once, thread_pool

        builder = self.builder
        check(self.choice, self.plan.compile, self._python.minor, builder.reporter)
        stored, codec = StoredLayers.read(previous), codec_of(self.plan.compression)
        with ExitStack() as stack, thread_pool("send") as senders, thread_pool("make") as makers:
            supply = LayerSupply(
                target, stored, builder.cache, builder.reporter, codec, self._python.minor,
                makers, senders,
            )  # fmt: skip
            compiler = once(lambda: open_compiler(self.choice, builder.cache, stack))
            images = self._images(supply, compiler)
            built = concurrently(lambda image: image.build(), images)
        builder.cache.trim()
        lines = {
            image.base.facts.platform: found[1] for image, found in zip(images, built, strict=True)
        }
        return Built(tuple(descriptor for descriptor, _ in built), freeze(lines))

    def _images(
        self, supply: LayerSupply, compiler: Callable[[], Compiler | None]
    ) -> list[PlatformImage]:
        from launch_action.builders.layers.platform_image import PlatformImage

        return [
            PlatformImage(
                plan=self.plan,
                context=self.builder.context,
                base=base,
                key=dependencies_key(self.plan, base.facts, self.choice),
                compiled_by=self.choice.version,
                packages=self.builder.packages,
                compiler=compiler,
                supply=supply,
            )
            for base in self.resolved
        ]


def dependencies_key(plan: LayersPlan, facts: BaseFacts, choice: Choice) -> str:
    """What decides the dependency layers: of the base only its interpreter and its libc.

    The interpreter to the patch release: it is in the environment, and markers may ask for it.
    """
    key = fingerprint(
        FORMAT, CONTENT_VERSION, plan.dependency_key, plan.cutoff, choice.key, str(facts.platform),
        facts.libc, facts.libc_version, facts.python.executable, facts.python.version,
    )  # fmt: skip
    return codec_of(plan.compression).key(key)
