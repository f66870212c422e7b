"""The `buildkit` builder: an image from a Dockerfile, by BuildKit, without the workspace.

What makes images is imported where one is made: a build key that is known needs none of it.
"""

from __future__ import annotations

from launch_action.builders.buildkit.bases import DockerfileBase, find_bases
from launch_action.builders.buildkit.client import Docker, docker_environment
from launch_action.builders.buildkit.tools import Tools
from launch_action.core.base import BaseRecord
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.dockerfile_plan import DockerfilePlan
from launch_action.core.errors import InputError
from launch_action.core.image import Manifest
from launch_action.core.launch import Built
from launch_action.core.ports import Content


@dataclass(frozen=True, slots=True)
class BuildkitBuilder:
    """Builds the Dockerfile of one build context."""

    tools: Tools

    def prepare(self, plan: DockerfilePlan) -> BuildkitBuild:
        """Resolve the base images. Raises BuildError, RegistryError or InputError."""
        tools = self.tools
        plan = plan if tools.trusted else self._untrusted(plan)
        docker = Docker(docker_environment(tools.environment), tools.reporter.info)
        return BuildkitBuild(tools, plan, find_bases(plan.bases, tools.open_content, docker))

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
            self.tools.reporter.warning("this event is not trusted: the build cache is not written")
        return replace(plan, options=replace(options, cache_to=()))


@dataclass(frozen=True, slots=True)
class BuildkitBuild:
    """A build whose base images are resolved. Implements `core.launch.Prepared`."""

    tools: Tools
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
        from launch_action.builders.buildkit.making import make_images

        return make_images(self.tools, self.plan, self.found, target, previous)
