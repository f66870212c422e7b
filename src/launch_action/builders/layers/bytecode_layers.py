"""The layers of bytecode, beside the layers of wheels: those stay what the wheels alone make them.

A heavy wheel's modules have a layer of their own, those of the light wheels another. The order is
that of the wheels' layers, so that where two wheels have one module, the bytecode that is seen is
that of the source that is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from launch_action.builders.layers.archive import CONTENT_VERSION, Entry, LayerRecipe
from launch_action.builders.layers.bytecode import Compiler
from launch_action.builders.layers.bytecode_choice import FORMAT
from launch_action.builders.layers.environment import Supply, W, layer_files
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import with_parents
from launch_action.builders.layers.writer import layer_key


def bytecode_recipes(
    layers: Sequence[Sequence[W]],
    scheme: Scheme,
    supply: Supply[W],
    compiler: Compiler,
    *,
    room: int,
) -> tuple[LayerRecipe | None, ...]:
    """A layer of bytecode for every layer of wheels, lowest first; None where it has none.

    `layers` are the wheels by layer, the light ones first. Of more layers than `room` (at least 1)
    the lowest are compiled into one: neighbours, for the order must stay.
    """
    together = max(len(layers) - max(room, 1), 0) + 1
    first = layers[:together]
    number = sum(map(len, first))
    count = f"{number} packages" if number > 1 else "1 package"
    found: list[LayerRecipe | None] = [_recipe(first, count, scheme, supply, compiler)]
    found += [None] * (together - 1)
    for layer in layers[together:]:
        name = f"{layer[0].name} {layer[0].version}"
        found.append(_recipe([layer], name, scheme, supply, compiler))
    return tuple(found)


def bytecode_key(sha256s: Sequence[str], scheme: Scheme, version: str) -> str:
    """The key of the bytecode of wheels, given in the layer's order, by Python `version`.

    Neither the platform nor the way that the wheels are installed is in it: they change nothing.
    """
    where = (scheme.root, scheme.python)
    return layer_key("bytecode", CONTENT_VERSION, FORMAT, version, list(sha256s), *where)


def _recipe(
    layers: Sequence[Sequence[W]],
    title: str,
    scheme: Scheme,
    supply: Supply[W],
    compiler: Compiler,
) -> LayerRecipe | None:
    wheels = [wheel for layer in layers for wheel in layer]
    if not wheels:
        return None
    return LayerRecipe(
        key=bytecode_key([wheel.sha256 for wheel in wheels], scheme, compiler.version),
        role="bytecode",
        title=f"bytecode of {title}, by Python {compiler.version}",
        entries=lambda: _written(layers, scheme, supply, compiler),
    )


def _written(
    layers: Sequence[Sequence[W]], scheme: Scheme, supply: Supply[W], compiler: Compiler
) -> Iterator[Entry]:
    with ExitStack() as stack:
        parts = [
            entries for layer in layers for _, entries in layer_files(layer, scheme, supply, stack)
        ]
        yield from with_parents(compiler.entries(parts, scheme))
