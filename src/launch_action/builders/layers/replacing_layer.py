"""The layer above all packages, with the files that installing them in order would have left.

Every heavy wheel has a layer of its own, and the light ones share the lowest. Where wheels of two
layers install one path, that of the upper layer is seen, whatever their order: this layer puts the
right one above. It is there only where two such files differ, and is a function of those wheels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from launch_action.builders.layers.archive import CONTENT_VERSION, Entry, LayerRecipe
from launch_action.builders.layers.bytecode import Compiler
from launch_action.builders.layers.bytecode_choice import FORMAT
from launch_action.builders.layers.environment import Supply, W, lane_of, layer_files
from launch_action.builders.layers.overwrites import replacing
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import sorted_entries, with_parents
from launch_action.builders.layers.writer import layer_key


def replacing_recipes(
    layers: Sequence[Sequence[W]], scheme: Scheme, supply: Supply[W], compiler: Compiler | None
) -> tuple[LayerRecipe, LayerRecipe | None] | None:
    """The layer for these layers' wheels, the lowest first, and that of its bytecode.

    None where what is seen is right. The wheels are read for it; who is told of conflicts between
    the layers is `supply.warn`.
    """
    with ExitStack() as stack:
        found, lines = _found(layers, scheme, supply, stack)
    for line in lines if supply.warn else ():
        supply.warn(line)  # type: ignore[misc]  # it is there
    if not found:
        return None
    names = ", ".join(wheel.name for layer in layers for wheel in layer)
    title = f"{len(found)} files that packages replace" if len(found) > 1 else "a file replaced"
    hashes = [[wheel.sha256 for wheel in layer] for layer in layers]
    what = (CONTENT_VERSION, hashes, scheme.root, scheme.python)
    above = LayerRecipe(
        key=layer_key("replacing", lane_of(supply), *what),
        role="dependency",
        title=f"{title} ({names})" if len(names) < 60 else title,
        entries=lambda: _files(layers, scheme, supply),
    )
    if compiler is None:
        return above, None
    bytecode = LayerRecipe(
        key=layer_key("bytecode of replacing", FORMAT, compiler.version, *what),
        role="bytecode",
        title=f"bytecode of {title}, by Python {compiler.version}",
        entries=lambda: _bytecode(layers, scheme, supply, compiler),
    )
    return above, bytecode


def _found(
    layers: Sequence[Sequence[W]], scheme: Scheme, supply: Supply[W], stack: ExitStack
) -> tuple[list[Entry], tuple[str, ...]]:
    return replacing([layer_files(layer, scheme, supply, stack) for layer in layers])


def _files(layers: Sequence[Sequence[W]], scheme: Scheme, supply: Supply[W]) -> Iterator[Entry]:
    with ExitStack() as stack:
        yield from with_parents(sorted_entries(_found(layers, scheme, supply, stack)[0]))


def _bytecode(
    layers: Sequence[Sequence[W]], scheme: Scheme, supply: Supply[W], compiler: Compiler
) -> Iterator[Entry]:
    with ExitStack() as stack:
        files = sorted_entries(_found(layers, scheme, supply, stack)[0])
        yield from with_parents(compiler.entries([files], scheme))
