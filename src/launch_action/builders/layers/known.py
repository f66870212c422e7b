"""Layers that need no making: those of the last images in the store, and those of the local cache.

The last image is the cache: its manifest's layer descriptors carry what each layer was made from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from launch_action.builders.layers.image import (
    BYTECODE,
    DEPENDENCIES_KEY,
    MadeLayer,
    read_layer,
)
from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError, RegistryError
from launch_action.core.image import Descriptor, Layer, Manifest
from launch_action.core.reference import Digest
from launch_action.core.version import wheels_of


@dataclass(frozen=True, slots=True)
class KnownSet:
    """The layers of a set of dependencies, and the list of its wheels; both are stored."""

    layers: tuple[MadeLayer, ...]
    wheels: Descriptor | None

    @property
    def complete(self) -> bool:
        """Whether the list is there, or nothing to be listed."""
        return self.wheels is not None or not any(layer.packages for layer in self.layers)


@dataclass(frozen=True, slots=True)
class CachedSet:
    """The keys of a set's layers, in order, and the list of its wheels (empty for none)."""

    layers: tuple[str, ...]
    wheels: bytes


# Of the layers that a set of dependencies comes to.
DEPENDENCY_ROLES = ("dependency", "bytecode")


@dataclass(frozen=True, slots=True)
class StoredLayers:
    """Layers that the target repository holds, by key; dependency sets by their key.

    `compilers` are the versions of Python that compiled them, the first image's first.
    """

    layers: Mapping[str, MadeLayer]
    sets: Mapping[str, KnownSet]
    digests: frozenset[Digest]
    compilers: tuple[str, ...] = ()

    @classmethod
    def read(cls, manifests: Iterable[Manifest]) -> StoredLayers:
        """Read the image manifests of earlier versions; what is not ours is passed over."""
        layers: dict[str, MadeLayer] = {}
        sets: dict[str, KnownSet] = {}
        digests: set[Digest] = set()
        compilers = []
        for manifest in manifests:
            named = manifest.layers()
            found = [layer for layer in map(_read, named) if layer]
            digests |= {layer.digest for layer in named}
            layers |= {layer.key: layer for layer in found}
            compilers.append(manifest.annotations().get(BYTECODE, ""))
            key = manifest.annotations().get(DEPENDENCIES_KEY)
            if key:
                dependencies = tuple(layer for layer in found if layer.role in DEPENDENCY_ROLES)
                sets[key] = KnownSet(dependencies, wheels_of(manifest.descriptor))
        return cls(layers, sets, frozenset(digests), tuple(filter(None, compilers)))

    def complete(self, key: str) -> bool:
        """Whether everything of this set of dependencies is there."""
        return key in self.sets and self.sets[key].complete


def cached_layer(cache: Cache, key: str) -> tuple[MadeLayer, Path] | None:
    """The layer of this key that an earlier run left in the cache, with its file."""
    note = cache.find("layer-notes", key)
    blob = cache.find("layers", key)
    if note is None or blob is None:
        return None
    try:
        layer = _from_note(json.loads(note.read_bytes()), key)
        return (layer, blob) if blob.stat().st_size == layer.layer.descriptor.size else None
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None  # trimmed meanwhile, or written by another version: made again


def note_layer(cache: Cache, made: MadeLayer) -> None:
    """Keep what is known of a layer beside its file in the cache."""
    with cache.write("layer-notes", made.key) as path:
        path.write_text(
            json.dumps(
                {
                    "type": made.layer.descriptor.media_type,
                    "digest": made.layer.descriptor.digest,
                    "size": made.layer.descriptor.size,
                    "diff_id": made.layer.diff_id,
                    "role": made.role,
                    "title": made.title,
                    "packages": made.packages,
                    "modules": made.modules,
                    "claims": made.claims,
                }
            )
        )


def cached_set(cache: Cache, key: str) -> CachedSet | None:
    """What a set of dependencies came to in an earlier run; None when not known."""
    path = cache.find("dependency-sets", key)
    try:
        found = json.loads(path.read_bytes()) if path else {}
        return CachedSet(tuple(map(str, found["layers"])), str(found["wheels"]).encode())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def note_set(cache: Cache, key: str, layers: Iterable[MadeLayer], wheels: bytes) -> None:
    """Keep which layers a set of dependencies came to, and the list of its wheels."""
    with cache.write("dependency-sets", key) as path:
        found = {"layers": [layer.key for layer in layers], "wheels": wheels.decode()}
        path.write_text(json.dumps(found))


def _read(descriptor: Descriptor) -> MadeLayer | None:
    try:
        return read_layer(descriptor)
    except (RegistryError, InputError):
        return None


def _from_note(found: Mapping[str, object], key: str) -> MadeLayer:
    size, packages, modules = found["size"], found["packages"], found["modules"]
    claims = found["claims"]
    if not isinstance(size, int) or not isinstance(modules, int):
        raise TypeError(key)
    if not isinstance(packages, list) or not isinstance(claims, list):
        raise TypeError(key)
    descriptor = Descriptor(str(found["type"]), Digest(str(found["digest"])), size)
    return MadeLayer(
        Layer(descriptor, Digest(str(found["diff_id"]))),
        key,
        str(found["role"]),
        str(found["title"]),
        tuple(str(line) for line in packages),
        modules,
        tuple(str(line) for line in claims),
    )
