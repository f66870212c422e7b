"""Puts the builder of a plan together: what it needs of the world, imported where it is used."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from launch_action.builders.layers.base import Base, resolve_base
from launch_action.builders.layers.builder import LayersBuilder
from launch_action.builders.layers.interpreters import Machine
from launch_action.core.base import BaseFacts, BaseReference
from launch_action.core.image import Platform
from launch_action.core.inputs import Inputs
from launch_action.core.launch import Prepare
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.ports import Content
from launch_action.core.reference import Repository
from launch_action.planning.launch_plan import PlannedLaunch
from launch_action.planning.workplace import Workplace

if TYPE_CHECKING:
    from launch_action.builders.buildkit.builder import BuildkitBuilder
    from launch_action.builders.layers.lock import LockedWheel
    from launch_action.builders.layers.packages import Packages


def prepare(place: Workplace, planned: PlannedLaunch) -> Prepare:
    """What resolves the bases of the plan and then builds it."""
    build = planned.plan.build
    match build.builder:
        case "layers":
            return partial(_layers(place, planned).prepare, build)
        case "buildkit":
            place.reporter.info(f"builder buildkit: {build.reason}")
            return partial(_buildkit(place, planned).prepare, build)
        case _:
            assert_never(build)


def _layers(place: Workplace, planned: PlannedLaunch) -> LayersBuilder:
    return LayersBuilder(
        planned.context,
        partial(_base, place),
        partial(_packages, place, planned),
        place.cache,
        place.reporter,
        Machine(place.cache, place.environment, planned.top).interpreters,
    )


def _buildkit(place: Workplace, planned: PlannedLaunch) -> BuildkitBuilder:
    from launch_action.builders.buildkit.builder import BuildkitBuilder
    from launch_action.builders.buildkit.tools import Tools

    inputs, store, source = place.inputs, planned.plan.store, planned.plan.source

    def facts(reference: BaseReference, platform: Platform, python: str) -> BaseFacts:
        return _base(place, reference, platform, python).facts

    def wheels(plan: LayersPlan, base: BaseFacts) -> Sequence[tuple[LockedWheel, Path]]:
        return _packages(place, planned).wheels(plan, base)

    tools = Tools(
        context=planned.context,
        environment=place.environment,
        folder=place.directory,
        open_content=partial(place.registries.open, mirrored=True),
        open_layout=_open_layout,
        cache=place.cache,
        reporter=place.reporter,
        facts=facts,
        wheels=wheels,
        repository=store.name if store.kind == "registry" else "",
        private=bool(inputs.registry_ca),
        plain=_is_insecure(store.repository, inputs),
        logins=place.logins,
        place=posixpath.join(source.build_context, source.dockerfile) if source.dockerfile else "",
        trusted=not place.untrusted,
    )
    return BuildkitBuilder(tools)


def _is_insecure(repository: Repository | None, inputs: Inputs) -> bool:
    host = repository.registry if repository else ""
    return {host, host.partition(":")[0]} & set(inputs.insecure_registry) != set()


def _base(place: Workplace, reference: BaseReference, platform: Platform, python: str) -> Base:
    return resolve_base(
        reference,
        platform,
        python,
        open_content=partial(place.registries.open, mirrored=True),
        open_layout=_open_layout,
        cache=place.cache,
        reporter=place.reporter,
    )


def _packages(place: Workplace, planned: PlannedLaunch) -> Packages:
    from launch_action.builders.layers.packages import Packages

    return Packages(
        planned.context, place.cache, place.reporter, place.environment, trusted=not place.untrusted
    )


def _open_layout(directory: str) -> Content:
    from launch_action.oci.layout import LayoutContent

    return LayoutContent.base(Path(directory))
