"""From a plan's dependency inputs to the recipes of its dependency layers.

The index is asked only here, and only when no earlier image and no cache knows the layers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

from launch_action.builders.layers.archive import LayerRecipe
from launch_action.builders.layers.bytecode import Compiler
from launch_action.builders.layers.bytecode_layers import bytecode_recipes
from launch_action.builders.layers.download import Downloader, OnlyUvCan
from launch_action.builders.layers.environment import Supply, Tree, environment_recipes
from launch_action.builders.layers.grouping import MAX_LAYERS
from launch_action.builders.layers.image import VENV
from launch_action.builders.layers.index_auth import read_logins
from launch_action.builders.layers.lock import LockedWheel, Resolution
from launch_action.builders.layers.replacing_layer import replacing_recipes
from launch_action.builders.layers.resolve import Uv, find_uv, resolve
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.source_wheels import SourceBuilder
from launch_action.builders.layers.target import Target
from launch_action.builders.layers.uv_install import install_tree
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError
from launch_action.core.image import fingerprint
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.materials import InstalledWheel, public_url, render_wheels
from launch_action.core.ports import Reporter
from launch_action.core.python_name import normal
from launch_action.scratch import scratch_directory

_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class PackagedRecipe:
    """A dependency layer to be made, with what it installs, and the requirement lines of that.

    `bytecode` is the layer of its bytecode, if it is compiled, and of that of the layers after it
    that have none, if there are such: then it is `shared`.
    """

    recipe: LayerRecipe
    packages: tuple[str, ...]
    wheels: tuple[InstalledWheel, ...] = ()
    bytecode: LayerRecipe | None = None
    shared: bool = False
    locked: tuple[LockedWheel, ...] = ()


@dataclass(frozen=True, slots=True)
class Packages:
    """Resolves and fetches. `environment` is where logins, proxies and indexes are read.

    Where `trusted` is False nothing of a package is run: versions that have only a source are
    passed over, and nothing is built.
    """

    context: Context
    cache: Cache
    reporter: Reporter
    environment: Mapping[str, str] = field(repr=False)
    trusted: bool = True

    def recipes(
        self,
        plan: LayersPlan,
        base: BaseFacts,
        below: int,
        compiler: Compiler | None = None,
        *,
        by_uv: bool = False,
    ) -> tuple[PackagedRecipe, ...]:
        """The dependency layers on a base of `below` layers, lowest first.

        With `by_uv` uv fetches and installs, for indexes whose login only it has. Raises
        BuildError; a recipe whose wheel needs such a login raises OnlyUvCan when it is made.
        """
        target, uv, downloader = self._tools(plan, base)
        with self.reporter.phase("resolve"):
            found = self._resolve(plan, target, uv, downloader)
        self.reporter.info(f"{len(found.wheels)} packages for {target}")
        supply = self._supply(plan, base, by_uv=by_uv)
        return self._layered(found, base, supply, below, compiler)

    def replacing(
        self,
        plan: LayersPlan,
        base: BaseFacts,
        layers: Sequence[PackagedRecipe],
        compiler: Compiler | None = None,
        *,
        by_uv: bool = False,
    ) -> PackagedRecipe | None:
        """The layer above these, whose wheels may replace each other's files; None for none.

        Raises BuildError and OnlyUvCan: the wheels are read.
        """
        supply = self._supply(plan, base, by_uv=by_uv)
        scheme = Scheme(f"/{VENV}", base.python.minor)
        found = replacing_recipes([one.locked for one in layers], scheme, supply, compiler)
        return PackagedRecipe(found[0], (), bytecode=found[1]) if found else None

    def _tools(self, plan: LayersPlan, base: BaseFacts) -> tuple[Target, Uv, Downloader]:
        logins = read_logins(plan.dependencies, self.environment)
        return (
            Target(base.python.version, base.platform, base.libc, base.libc_version),
            Uv(find_uv(), self.cache.directory("uv"), self.environment),
            Downloader(self.cache, logins, self.context, self.environment),
        )

    def _supply(self, plan: LayersPlan, base: BaseFacts, *, by_uv: bool) -> Supply[LockedWheel]:
        target, uv, downloader = self._tools(plan, base)
        return Supply(
            None if by_uv else self._fetcher(downloader),
            _installer(plan.dependencies, target, uv, downloader),
            self.reporter.warning,
        )

    def _layered(
        self,
        found: Resolution,
        base: BaseFacts,
        supply: Supply[LockedWheel],
        below: int,
        compiler: Compiler | None,
    ) -> tuple[PackagedRecipe, ...]:
        # Besides: the code, and bytecode, which has what room is left. Wheels are not moved by it.
        others = below + 2
        recipes = environment_recipes(
            [(wheel, wheel.size or 0) for wheel in found.wheels],
            base.python,
            supply,
            prefix=f"/{VENV}",
            other_layers=others,
            alone=_of_the_commit(found),
        )
        compiled: Sequence[LayerRecipe | None] = [None] * len(recipes)
        if compiler:
            scheme = Scheme(f"/{VENV}", base.python.minor)
            room = MAX_LAYERS - others - len(recipes) + 1
            layers = [wheels for _, wheels in recipes]
            compiled = bytecode_recipes(layers, scheme, supply, compiler, room=room)
        lines = dict(zip((w.name for w in _by_name(found)), found.frozen, strict=True))
        return tuple(
            PackagedRecipe(
                recipe,
                tuple(lines[wheel.name] for wheel in wheels),
                tuple(map(_installed, wheels)),
                bytecode,
                shared=None in compiled,
                locked=wheels,
            )
            for (recipe, wheels), bytecode in zip(recipes, compiled, strict=True)
        )

    def listed(self, recipes: Sequence[PackagedRecipe]) -> bytes:
        """The list of the wheels in these layers, as it is kept with a version; empty for none."""
        wheels = [wheel for one in recipes for wheel in one.wheels]
        return render_wheels(wheels) if wheels else b""

    def wheels(self, plan: LayersPlan, base: BaseFacts) -> tuple[tuple[LockedWheel, Path], ...]:
        """The wheels for a base, each with a file of its content.

        Raises BuildError, also where only uv has the login to an index.
        """
        target, uv, downloader = self._tools(plan, base)
        fetch = self._fetcher(downloader)
        try:
            with self.reporter.phase("resolve"):
                found = self._resolve(plan, target, uv, downloader)
            with ThreadPoolExecutor(_CONNECTIONS) as pool:
                files = list(pool.map(fetch, found.wheels))
        except OnlyUvCan as refused:
            raise BuildError(
                f"the index's login is uv's alone: {refused}",
                hint="build with --builder layers, or give the login in the index's URL or netrc",
            ) from refused
        return tuple(zip(found.wheels, files, strict=True))

    def _resolve(
        self, plan: LayersPlan, target: Target, uv: Uv, downloader: Downloader
    ) -> Resolution:
        found = resolve(
            plan.dependencies,
            target,
            cutoff=plan.cutoff,
            uv=uv,
            context=self.context,
            build_metadata=self.trusted,
            cache=self.cache,
            key=fingerprint(plan.dependency_key, str(target), self.trusted),
        )
        if self.trusted:
            sources = SourceBuilder(
                plan.dependencies,
                target,
                uv,
                downloader,
                plan.cutoff,
                self.context,
                self.reporter.info,
                self.reporter.warning,
            )
            self._warn_moving(plan.dependencies, found)
            found = sources.complete(found)
        found.require_wheels(target, trusted=self.trusted)
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            return Resolution(tuple(pool.map(partial(_sized, downloader), found.wheels)))

    def _warn_moving(self, inputs: DependencyInputs, found: Resolution) -> None:
        """Of branches that a package names, not the project: no key knows where they are."""
        known = {one.plain for one in inputs.repositories}
        for source in found.sources:
            if source.kind != "git" or source.url in known or not source.requested:
                continue
            if source.requested != source.revision:
                self.reporter.warning(
                    f"{source.name} is a package's own requirement of {source.url} at "
                    f"{source.requested!r}: {source.revision} is recorded, and another day may "
                    "give another; require it yourself to pin it"
                )

    def _fetcher(self, downloader: Downloader) -> Callable[[LockedWheel], Path]:
        def fetch(wheel: LockedWheel) -> Path:
            with self.reporter.transfer(wheel.filename, wheel.size or 0) as advance:
                return downloader.fetch(wheel, advance)

        return fetch


def _of_the_commit(found: Resolution) -> frozenset[str]:
    """What is built from directories of the commit: another commit, another wheel."""
    own = (one for one in found.wheels if one.built and "://" not in one.built)
    return frozenset(normal(one.name) for one in own)


def _installed(wheel: LockedWheel) -> InstalledWheel:
    name, url = normal(wheel.name), public_url(wheel.url)
    return InstalledWheel(
        name,
        wheel.version,
        wheel.filename,
        url,
        wheel.sha256,
        wheel.path,
        # Of a repository the fragment is the directory, and there is no query.
        wheel.built if wheel.built.startswith("git+") else public_url(wheel.built),
    )


def _sized(downloader: Downloader, wheel: LockedWheel) -> LockedWheel:
    """The wheel with its digest and size, which decide its layer. An index without either tells
    them by the file itself, or (the size alone, behind a login only uv has) not at all."""
    try:
        complete = downloader.complete(wheel)
        return replace(complete, size=downloader.size(complete))
    except OnlyUvCan:
        if wheel.sha256:
            return wheel
        raise


def _installer(
    inputs: DependencyInputs, target: Target, uv: Uv, downloader: Downloader
) -> Callable[[Sequence[LockedWheel]], AbstractContextManager[Tree]]:
    @contextmanager
    def install(wheels: Sequence[LockedWheel]) -> Iterator[Tree]:
        with scratch_directory() as name:
            root = Path(name, "tree")
            install_tree(wheels, inputs, target, root, uv=uv, fetch=downloader.fetch)
            yield Tree(root, sys.executable)

    return install


def _by_name(found: Resolution) -> list[LockedWheel]:
    return sorted(found.wheels, key=lambda one: one.name)
