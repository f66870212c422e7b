"""Base images: a reference becomes facts, layers that are taken over, and layers that are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from launch_action.builders.layers.archive import LayerRecipe
from launch_action.cache import Cache
from launch_action.core.base import (
    BaseFacts,
    BaseReference,
    DebianBase,
    LayoutBase,
    RegistryBase,
)
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.image import Layer, Platform
from launch_action.core.ports import Content, Reporter
from launch_action.core.reference import Repository


@dataclass(frozen=True, slots=True)
class Base:
    """A resolved base. `layers` are there in `origin`, lowest first; `recipes` are to be made."""

    facts: BaseFacts
    layers: tuple[Layer, ...] = ()
    origin: Content | None = None
    recipes: tuple[LayerRecipe, ...] = ()


def resolve_base(
    reference: BaseReference,
    platform: Platform,
    python: str,
    *,
    open_content: Callable[[Repository], Content],
    open_layout: Callable[[str], Content],
    cache: Cache,
    reporter: Reporter,
) -> Base:
    """Find the base for a platform, and see that it has Python `python` (X.Y).

    Raises BuildError when it is not there, not for this platform, or has another Python or none;
    RegistryError or StoreError when what is stored cannot be read.
    """
    # Each kind imports what only it needs.
    if isinstance(reference, DebianBase):
        from launch_action.builders.layers.debian import resolve_debian

        made, recipe = resolve_debian(reference, platform, python, cache=cache, reporter=reporter)
        return Base(made, recipes=(recipe,))
    from launch_action.builders.layers.base_facts import image_facts
    from launch_action.builders.layers.base_image import find_image

    if isinstance(reference, RegistryBase):
        origin = open_content(reference.reference.repository)
        selector = reference.reference.selector
    elif isinstance(reference, LayoutBase):
        origin = open_layout(reference.directory)
        selector = reference.selector
    else:
        assert_never(reference)
    image = find_image(origin, selector, platform, name=str(reference), cache=cache)
    facts = image_facts(image, origin, python, name=str(reference), cache=cache, reporter=reporter)
    if isinstance(reference, LayoutBase):
        # Where the directory is, is this machine's own affair: the name goes into the image.
        facts = replace(facts, name=f"oci@{facts.identity}")
    return Base(facts, image.layers, origin)
