"""Puts the adapters together from the inputs: registries, store, builder, runner."""

from __future__ import annotations

import os
import platform as machine
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.cache import Cache, cache_root
from launch_action.core.errors import SourceError
from launch_action.core.image import Platform
from launch_action.core.inputs import Inputs
from launch_action.core.launch import Announce
from launch_action.core.plan import StorePlan
from launch_action.core.ports import Content, Reporter
from launch_action.core.reference import Repository
from launch_action.core.situation import Situation
from launch_action.core.version import JobVersion
from launch_action.oci.layout import LayoutContent

if TYPE_CHECKING:
    from launch_action.oci.registries import Registries

# Read once at start and then taken out, so that nothing we start can see them.
_CREDENTIAL_VARIABLES = ("LAUNCH_ACTION_REGISTRY_PASSWORD", "LAUNCH_INPUTS")


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job version in its store. `registry` tells whether an engine can pull it from there."""

    content: Content
    version: JobVersion
    registry: bool


@dataclass(frozen=True, slots=True)
class Running:
    """How a run is told of: `log` gets the job's output, `announce` what becomes known."""

    announce: Announce
    log: Callable[[bytes], None]
    entrypoint: tuple[str, ...] = ()


@dataclass(frozen=True)
class Workplace:
    """What one run of this program works with.

    `environment` is as it was at the start, `started` in seconds since 1970. `untrusted` marks an
    event that an outsider can cause: nothing of a package is run for it.
    """

    inputs: Inputs
    environment: Mapping[str, str] = field(repr=False)
    reporter: Reporter
    started: int
    untrusted: bool = False

    @cached_property
    def directory(self) -> Path:
        """Where the checkout is looked for. Raises SourceError when it is no directory."""
        found = Path(self.inputs.working_directory or ".")
        if not found.is_dir():
            raise SourceError(
                f"no such directory: {str(found)!r}", hint="check --working-directory"
            )
        return found.resolve()

    @cached_property
    def cache(self) -> Cache:
        return Cache(cache_root(self.environment))

    @cached_property
    def registries(self) -> Registries:
        """The registries; imported where used, for a local store needs none."""
        from launch_action.oci.docker_config import Credential, DockerCredentials
        from launch_action.oci.registries import Registries

        inputs = self.inputs
        given = {}
        if inputs.registry_password and inputs.image:
            host = Repository.parse(inputs.image.lower()).registry
            given[host] = Credential(inputs.registry_username, inputs.registry_password)
        return Registries(
            DockerCredentials(self.environment, given),
            ca_file=inputs.registry_ca,
            insecure=inputs.insecure_registry,
            mirrors=inputs.registry_mirror,
            environment=self.environment,
            note=self.reporter.info,
        )

    @property
    def store_directory(self) -> Path:
        """`--store`, else `$LAUNCH_ACTION_STORE`, else launch-action/store in the data home."""
        if self.inputs.store:
            return Path(self.inputs.store).absolute()
        home = self.environment.get("HOME", "/")
        data = self.environment.get("XDG_DATA_HOME") or str(Path(home, ".local", "share"))
        return Path(data, "launch-action", "store")

    def content(self, store: StorePlan) -> Content:
        """The repository of a plan's store."""
        if store.repository is not None:
            return self.registries.open(store.repository, writable=True)
        return LayoutContent(Path(store.directory), store.name)


def take_environment() -> dict[str, str]:
    """The environment as it is, after which what holds credentials of ours is gone from it."""
    found = dict(os.environ)
    for name in list(os.environ):
        if name in _CREDENTIAL_VARIABLES or name.startswith("INPUT_"):
            del os.environ[name]
    return found


def situation(place: Workplace, builder_format: str) -> Situation:
    """What the plan must know of this machine, on a command line outside CI."""
    return Situation(
        platform=Platform.parse(f"linux/{machine.machine()}"),
        now=place.started,
        store_directory=str(place.store_directory),
        builder_format=builder_format,
        ci=place.environment.get("CI", "") not in ("", "false", "0"),
    )


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())
