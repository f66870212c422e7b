"""Makes the images of a Dockerfile: by the rung that is there, and into the target."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import assert_never

from launch_action.builders.buildkit.base_layers import (
    base_layers,
    read_images,
    source_date_epoch,
)
from launch_action.builders.buildkit.bases import DockerfileBase
from launch_action.builders.buildkit.buildx_build import build_with_buildx
from launch_action.builders.buildkit.client import (
    CACHE_VARIABLES,
    Docker,
    Redactor,
    docker_environment,
)
from launch_action.builders.buildkit.configuration import client_environment
from launch_action.builders.buildkit.engine_build import build_with_engine
from launch_action.builders.buildkit.generated import render_dockerfile, write_wheels
from launch_action.builders.buildkit.probe import find_rung
from launch_action.builders.buildkit.rungs import Buildx, EngineBuild, cache_is, check_age
from launch_action.builders.buildkit.secret_files import secret_value
from launch_action.builders.buildkit.target import Taken, Taking
from launch_action.builders.buildkit.tools import Tools
from launch_action.builders.buildkit.work import Work
from launch_action.builders.layers.code import import_paths
from launch_action.builders.layers.codec import codec_of
from launch_action.builders.layers.known import StoredLayers
from launch_action.core.dockerfile_plan import DockerfilePlan
from launch_action.core.image import Manifest
from launch_action.core.launch import Built
from launch_action.core.ports import Content
from launch_action.scratch import scratch_directory

_IMAGE_VARIABLE = "LAUNCH_ACTION_BUILDKIT_IMAGE"


def make_images(
    tools: Tools,
    plan: DockerfilePlan,
    bases: tuple[DockerfileBase, ...],
    target: Content,
    previous: tuple[Manifest, ...],
) -> Built:
    """Build, and put the images into the target, without tags. Raises BuildError and others."""
    with ExitStack() as stack:
        work = _work(stack, tools, plan, bases, target, StoredLayers.read(previous))
        rung = find_rung(work.docker)
        tools.reporter.info(f"builds with {rung}")
        check_age(plan, rung)
        match rung:
            case Buildx():
                taken = build_with_buildx(work, rung, tools.open_layout)
            case EngineBuild():
                taken = build_with_engine(work)
            case _:
                assert_never(rung)
    tools.cache.trim()
    return _built(taken)


def _work(
    stack: ExitStack,
    tools: Tools,
    plan: DockerfilePlan,
    bases: tuple[DockerfileBase, ...],
    target: Content,
    stored: StoredLayers,
) -> Work:
    values = [
        (one.id, secret_value(one, tools.environment, tools.folder)) for one in plan.options.secrets
    ]
    images = read_images(bases, plan.platforms, tools.cache)
    taking = Taking(
        target, plan.platforms, base_layers(images), stored, tools.cache, tools.reporter,
        codec_of(plan.compression),
    )  # fmt: skip
    folder = Path(stack.enter_context(scratch_directory()))
    redactor = Redactor.of([value for _, value in values])
    return Work(
        plan=plan,
        context=tools.context,
        text=_text(tools, plan, bases, folder),
        bases=bases,
        epoch=source_date_epoch(images),
        taking=taking,
        docker=Docker(_environment(stack, tools, plan), tools.reporter.info, redactor),
        folder=folder,
        reporter=tools.reporter,
        repository=tools.repository,
        place=tools.place,
        private=tools.private,
        plain=tools.plain,
        builder_image=tools.environment.get(_IMAGE_VARIABLE, ""),
        secrets=values,
        logins=tools.logins,
    )


def _environment(stack: ExitStack, tools: Tools, plan: DockerfilePlan) -> dict[str, str]:
    options = plan.options
    caches = (*options.cache_from, *options.cache_to)
    gha = any(cache_is(cache, kind) for cache in caches for kind in ("gha", "auto"))
    found = docker_environment(tools.environment, *(CACHE_VARIABLES if gha else ()))
    return stack.enter_context(client_environment(found, tools.logins))


def _text(
    tools: Tools, plan: DockerfilePlan, bases: tuple[DockerfileBase, ...], folder: Path
) -> bytes:
    """The Dockerfile; a generated one's packages are put into the folder on the way."""
    generated = plan.generated
    if generated is None:
        return plan.dockerfile.content
    several = len(plan.platforms) > 1
    executable, installs = "", False
    for platform in plan.platforms:
        facts = tools.facts(generated.base, platform, generated.python.version)
        wheels = tools.wheels(generated, facts)
        write_wheels(wheels, folder / "context" / "wheels" / platform.architecture)
        executable, installs = facts.python.executable, installs or bool(wheels)
    one = "$TARGETARCH" if several else plan.platforms[0].architecture
    text = render_dockerfile(
        bases[0].pinned or bases[0].name,
        executable,
        generated.entrypoint,
        import_paths(generated.files),
        wheels=posixpath.join("wheels", one) if installs else "",
        # By the image's own Python, which is always there.
        compile_bytecode=generated.compile is not False,
    )
    return os.fsencode(text)


def _built(taken: Sequence[Taken]) -> Built:
    lines = {line for one in taken for line in one.installed.lines}
    pythons = {one.installed.python for one in taken}
    return Built(
        tuple(one.image for one in taken),
        "".join(f"{line}\n" for line in sorted(lines, key=str.lower)).encode(),
        pythons.pop() if len(pythons) == 1 else "",
    )
