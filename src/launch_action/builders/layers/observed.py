"""What is counted and told of on the way into a layer and out of the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader

from launch_action.builders.layers.archive import Entry, LayerRecipe
from launch_action.builders.layers.image import VENV, MadeLayer
from launch_action.core.dataclass import replace


def observe(recipe: LayerRecipe) -> Iterable[Entry]:
    """The entries of a recipe; of packages, with what the layer's descriptor will say of them."""
    return Modules(recipe.entries()) if recipe.role == "dependency" else recipe.entries()


def told(layer: MadeLayer, observed: Iterable[Entry], python: str) -> MadeLayer:
    """The layer with what was observed of its entries on the way."""
    if not isinstance(observed, Modules):
        return layer
    return replace(layer, modules=observed.count, claims=observed.claims(python))


class Modules:
    """Entries on their way into a layer, how many Python files were among them; their claims."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        from launch_action.builders.layers.claims import Claims

        self._entries = self._claims = Claims(entries)
        self.count = 0

    def claims(self, python: str) -> tuple[str, ...]:
        """The layer's places, for Python X.Y, when all entries have passed."""
        from launch_action.builders.layers.scheme import Scheme

        return self._claims.lines(Scheme(f"/{VENV}", python))

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            self.count += entry.kind == "file" and entry.path.endswith(".py")
            yield entry


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
