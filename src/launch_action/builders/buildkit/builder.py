"""The `buildkit` builder: an image from a Dockerfile, by BuildKit, without the workspace."""

from __future__ import annotations

import os
import posixpath
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import assert_never

from launch_action.builders.buildkit.bases import (
    DockerfileBase,
    base_layers,
    find_bases,
    read_images,
    source_date_epoch,
)
from launch_action.builders.buildkit.buildx_build import OpenLayout, build_with_buildx
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
from launch_action.builders.buildkit.rungs import Buildx, EngineBuild, cache_is
from launch_action.builders.buildkit.secret_files import secret_value
from launch_action.builders.buildkit.target import Taken, Taking
from launch_action.builders.buildkit.work import Work
from launch_action.builders.layers.code import import_paths
from launch_action.builders.layers.codec import codec_of
from launch_action.builders.layers.known import StoredLayers
from launch_action.builders.layers.lock import LockedWheel
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, BaseRecord, BaseReference
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.dockerfile_plan import DockerfilePlan
from launch_action.core.errors import InputError
from launch_action.core.image import Manifest, Platform
from launch_action.core.launch import Built
from launch_action.core.layers_plan import LayersPlan
from launch_action.core.ports import Content, Reporter
from launch_action.core.reference import Repository

_IMAGE_VARIABLE = "LAUNCH_ACTION_BUILDKIT_IMAGE"

# The wheels of a plan on a base, each with its file.
Wheels = Callable[[LayersPlan, BaseFacts], Sequence[tuple[LockedWheel, Path]]]
Facts = Callable[[BaseReference, Platform, str], BaseFacts]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildkitBuilder:
    """Builds the Dockerfile of one build context.

    `environment` is the caller's, `folder` where the paths of secrets count from. `repository` is
    the image's in its registry, empty for a local store, and `private` says that only we were told
    how to reach that. `logins` are user and password by registry. `place` names the Dockerfile for
    people. Where the event is not `trusted`, the build gets no secret and writes no cache.
    `facts` and `wheels` are for a generated Dockerfile.
    """

    context: Context
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    open_content: Callable[[Repository], Content]
    open_layout: OpenLayout
    cache: Cache
    reporter: Reporter
    facts: Facts
    wheels: Wheels
    repository: str = ""
    private: bool = False
    logins: Mapping[str, tuple[str, str]] = field(default_factory=dict, repr=False)
    place: str = ""
    trusted: bool = True

    def prepare(self, plan: DockerfilePlan) -> BuildkitBuild:
        """Resolve the base images. Raises BuildError, RegistryError or InputError."""
        plan = plan if self.trusted else self._untrusted(plan)
        docker = Docker(docker_environment(self.environment), self.reporter.info)
        return BuildkitBuild(self, plan, find_bases(plan.bases, self.open_content, docker))

    def _untrusted(self, plan: DockerfilePlan) -> DockerfilePlan:
        """The plan without what an outsider's Dockerfile must not have."""
        options = plan.options
        for name, value in (
            ("secret", options.secrets),
            ("ssh", options.ssh),
            ("network", options.network == "host"),
        ):
            if value:
                raise InputError(
                    f"input {name!r} is refused for an event that is not trusted",
                    hint="give it only where the workflow runs for your own branches and tags",
                )
        if options.cache_to:
            self.reporter.warning("this event is not trusted: the build cache is not written")
        return replace(plan, options=replace(options, cache_to=()))


@dataclass(frozen=True, slots=True)
class BuildkitBuild:
    """A build whose base images are resolved. Implements `core.launch.Prepared`."""

    builder: BuildkitBuilder
    plan: DockerfilePlan
    found: tuple[DockerfileBase, ...]

    @property
    def bases(self) -> tuple[BaseRecord, ...]:
        return tuple(base.record for base in self.found)

    @property
    def choices(self) -> tuple[str, ...]:
        return ()

    def over(self, previous: tuple[Manifest, ...]) -> BuildkitBuild:  # noqa: ARG002
        """Earlier images decide nothing: a Dockerfile is built as it is."""
        return self

    def build(self, target: Content, previous: tuple[Manifest, ...]) -> Built:
        """Build, and put the images into the target, without tags."""
        with ExitStack() as stack:
            work = self._work(stack, target, StoredLayers.read(previous))
            rung = find_rung(work.docker)
            self.builder.reporter.info(f"builds with {rung}")
            match rung:
                case Buildx():
                    taken = build_with_buildx(work, rung, self.builder.open_layout)
                case EngineBuild():
                    taken = build_with_engine(work)
                case _:
                    assert_never(rung)
        self.builder.cache.trim()
        return _built(taken)

    def _work(self, stack: ExitStack, target: Content, stored: StoredLayers) -> Work:
        builder, plan = self.builder, self.plan
        values = [
            (one.id, secret_value(one, builder.environment, builder.folder))
            for one in plan.options.secrets
        ]
        images = read_images(self.found, plan.platforms, builder.cache)
        taking = Taking(
            target, plan.platforms, base_layers(images), stored, builder.cache, builder.reporter,
            codec_of(plan.compression),
        )  # fmt: skip
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="launch-action-")))
        redactor = Redactor.of([value for _, value in values])
        return Work(
            plan=plan,
            context=builder.context,
            text=self._text(folder),
            bases=self.found,
            epoch=source_date_epoch(images),
            taking=taking,
            docker=Docker(self._environment(stack), builder.reporter.info, redactor),
            folder=folder,
            reporter=builder.reporter,
            repository=builder.repository,
            place=builder.place,
            private=builder.private,
            builder_image=builder.environment.get(_IMAGE_VARIABLE, ""),
            secrets=values,
            logins=builder.logins,
        )

    def _environment(self, stack: ExitStack) -> dict[str, str]:
        options = self.plan.options
        caches = (*options.cache_from, *options.cache_to)
        gha = any(cache_is(cache, kind) for cache in caches for kind in ("gha", "auto"))
        found = docker_environment(self.builder.environment, *(CACHE_VARIABLES if gha else ()))
        return stack.enter_context(client_environment(found, self.builder.logins))

    def _text(self, folder: Path) -> bytes:
        """The Dockerfile; a generated one's packages are put into the folder on the way."""
        generated = self.plan.generated
        if generated is None:
            return self.plan.dockerfile.content
        several = len(self.plan.platforms) > 1
        executable, installs = "", False
        for platform in self.plan.platforms:
            facts = self.builder.facts(generated.base, platform, generated.python.version)
            wheels = self.builder.wheels(generated, facts)
            write_wheels(wheels, folder / "context" / "wheels" / platform.architecture)
            executable, installs = facts.python.executable, installs or bool(wheels)
        one = "$TARGETARCH" if several else self.plan.platforms[0].architecture
        text = render_dockerfile(
            self.found[0].pinned or self.found[0].name,
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
