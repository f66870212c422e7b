"""The dependency layers of an image: the virtual environment with light wheels, and heavy ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from launch_action.builders.layers.archive import CONTENT_VERSION, Entry, LayerRecipe
from launch_action.builders.layers.grouping import conflicts, group, merge, summary
from launch_action.builders.layers.install import wheel_entries
from launch_action.builders.layers.installed import installed, installed_entries
from launch_action.builders.layers.overwrites import Part, in_order
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import sorted_entries, with_parents
from launch_action.builders.layers.venv import home, skeleton
from launch_action.builders.layers.wheel import Wheel, read_wheel
from launch_action.builders.layers.writer import layer_key
from launch_action.core.base import PythonFacts
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import BuildError
from launch_action.core.python_name import normal


class PinnedWheel(Protocol):
    """A wheel that is chosen, perhaps not here yet. `sha256` is hexadecimal."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def sha256(self) -> str: ...


W = TypeVar("W", bound=PinnedWheel)


@dataclass(frozen=True, slots=True)
class Tree:
    """Where wheels were installed by another tool, and the interpreter it wrote into scripts."""

    root: Path
    interpreter: str


@dataclass(frozen=True, slots=True)
class Supply(Generic[W]):
    """How a wheel gets here: as a file, or (where that is None or cannot be spliced) installed.

    `wheel` gives a wheel's file, its SHA-256 checked. `tree` installs wheels in a place of its own
    that is removed when the block ends. `warn` is told of light wheels that replace each other's
    files, when their layer is made.
    """

    wheel: Callable[[W], Path] | None
    tree: Callable[[Sequence[W]], AbstractContextManager[Tree]]
    warn: Callable[[str], object] | None = None


def environment_recipes(
    wheels: Sequence[tuple[W, int]],
    python: PythonFacts,
    supply: Supply[W],
    *,
    prefix: str,
    other_layers: int = 0,
    alone: frozenset[str] = frozenset(),
) -> tuple[tuple[LayerRecipe, tuple[W, ...]], ...]:
    """The dependency layers, lowest first, each with the wheels in it; keys need no wheel here.

    Each wheel comes with its size in bytes. The first layer holds the environment itself, the job's
    home and the light wheels, and is there when there are no wheels. `other_layers` counts the
    base's and the code's; wheels that are named in `alone` share no layer. Where two wheels install
    one path, the upper layer wins, and in one layer the later one installed; `replacing_layer`
    makes of this what installing all of them in order would.
    """
    scheme = Scheme(prefix, python.minor)
    by_name = {normal(wheel.name): wheel for wheel, _ in wheels}
    sizes = {normal(wheel.name): size for wheel, size in wheels}
    found = group(sizes, other_layers=other_layers, alone=alone)
    shared = tuple(by_name[name] for name in found.shared)
    first = _shared(shared, python, scheme, supply)
    return (
        (first, shared),
        *((_heavy(by_name[name], scheme, supply), (by_name[name],)) for name in found.heavy),
    )


def wheel_key(wheel_sha256: str, scheme: Scheme, *, lane: str = "wheel") -> str:
    """The key of a layer that holds one wheel. `lane` is what else decides its bytes."""
    return layer_key("wheel", CONTENT_VERSION, lane, wheel_sha256, scheme.root, scheme.python)


def shared_key(
    sha256s: Sequence[str], python: PythonFacts, scheme: Scheme, *, lane: str = "wheel"
) -> str:
    """The key of the layer of the environment and its light wheels, given in the layer's order."""
    where = (scheme.root, scheme.python, python.version, python.executable)
    return layer_key("environment", CONTENT_VERSION, lane, list(sha256s), *where)


def _heavy(wheel: W, scheme: Scheme, supply: Supply[W]) -> LayerRecipe:
    return LayerRecipe(
        key=wheel_key(wheel.sha256, scheme, lane=lane_of(supply)),
        role="dependency",
        title=f"{wheel.name} {wheel.version}",
        entries=lambda: _written((), (wheel,), scheme, supply),
    )


def _shared(
    wheels: tuple[W, ...], python: PythonFacts, scheme: Scheme, supply: Supply[W]
) -> LayerRecipe:
    count = f"{len(wheels)} light package{'' if len(wheels) == 1 else 's'}"
    ours = (*skeleton(scheme, python), home())
    key = shared_key([w.sha256 for w in wheels], python, scheme, lane=lane_of(supply))
    return LayerRecipe(
        key=key,
        role="dependency",
        title=f"Python {python.minor} environment" + (f", {count}" if wheels else ""),
        entries=lambda: _written(ours, wheels, scheme, supply),
    )


def lane_of(supply: Supply[W]) -> str:
    """How the wheels get into a layer."""
    # The same files either way, but compressed by another hand: other bytes, so another key.
    return "wheel" if supply.wheel else "tree"


def _written(
    ours: Sequence[Entry], wheels: Sequence[W], scheme: Scheme, supply: Supply[W]
) -> Iterator[Entry]:
    with ExitStack() as stack:
        parts = layer_files(wheels, scheme, supply, stack)
        if supply.warn:
            for line in summary(conflicts(parts)):
                supply.warn(line)
        files = (entries for _, entries in parts)
        yield from with_parents(sorted_entries(merge((*files, ours))))


def layer_files(
    wheels: Sequence[W], scheme: Scheme, supply: Supply[W], stack: ExitStack
) -> tuple[Part, ...]:
    """The names of a layer's wheels with their files, in the order that they are installed in."""
    return in_order([(wheel.name, wheel_files(wheel, scheme, supply, stack)) for wheel in wheels])


def wheel_files(wheel: W, scheme: Scheme, supply: Supply[W], stack: ExitStack) -> list[Entry]:
    """The files of a wheel at their places; they may be read until `stack` is closed."""
    if supply.wheel:
        found = _read(wheel, supply.wheel(wheel))
        if found.spliceable:
            return wheel_entries(found, scheme)
    tree = stack.enter_context(supply.tree((wheel,)))
    return [
        entry
        for one in installed(tree.root, scheme.python)
        for entry in installed_entries(one, scheme, interpreter=tree.interpreter)
    ]


def _read(wheel: PinnedWheel, path: Path) -> Wheel:
    try:
        return read_wheel(path)
    except BuildError as error:
        # The file is called after its digest, which tells a user nothing.
        message = error.message.replace(path.name, f"{wheel.name} {wheel.version}")
        raise BuildError(message, hint=error.hint) from error
