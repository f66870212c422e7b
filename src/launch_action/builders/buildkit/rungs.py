"""The rungs of the ladder: what can build a Dockerfile here, and what each of them can do.

Pure: `probe` finds them. Source of what a driver can: the buildx reference, "Build drivers", and
the API reference of the Docker engine for its own `POST /build?version=2`.
"""

from __future__ import annotations

import re
from typing import assert_never

from launch_action.core.dataclass import dataclass
from launch_action.core.dockerfile_plan import DockerfilePlan
from launch_action.core.errors import InputError

_VERSION = re.compile(r"v?(\d+)\.(\d+)")
# From here on a Dockerfile's image can be replaced by a named context.
_NAMED_CONTEXTS = (0, 10)
# From this engine on its builder knows limits and the size of shared memory.
_ULIMITS = 23
_ELSEWHERE = frozenset({"remote", "kubernetes", "cloud"})


@dataclass(frozen=True, slots=True)
class Buildx:
    """`docker buildx` with a builder; `name` is empty for the current one.

    `buildkit` is the version that it tells, `containerd` whether an engine's own builder keeps
    images in containerd (without that it can neither export nor build for several platforms),
    `endpoint` where the builder is.
    """

    version: str
    driver: str
    buildkit: str = ""
    containerd: bool = False
    name: str = ""
    endpoint: str = ""

    @property
    def limited(self) -> bool:
        """Whether it is an engine's builder that leaves images to the engine's own store."""
        return self.driver == "docker" and not self.containerd

    def pushes(self, *, loopback: bool) -> bool:
        """Whether it should push by itself: it may be on another machine, and what it has would be
        moved twice. A registry on our loopback is reached by what is on this machine for sure."""
        return self.driver in _ELSEWHERE and (not loopback or self.endpoint.startswith("unix:"))

    @property
    def named_contexts(self) -> bool:
        """Whether images of the Dockerfile can be pinned; builds of distributions tell 0.0."""
        found = _VERSION.match(self.buildkit)
        version = (int(found[1]), int(found[2])) if found else (0, 0)
        return version == (0, 0) or version >= _NAMED_CONTEXTS

    def __str__(self) -> str:
        builder = f"builder {self.name}" if self.name else "the current builder"
        return f"docker buildx {self.version} with {builder} (driver {self.driver})"


@dataclass(frozen=True, slots=True)
class EngineBuild:
    """The engine's BuildKit through its API, without buildx and so without a session."""

    version: str

    def __str__(self) -> str:
        return f"the BuildKit of Docker engine {self.version}, without buildx"


Rung = Buildx | EngineBuild

_INSTALL = "install docker-buildx (docker/setup-buildx-action brings it)"


def needs_more(plan: DockerfilePlan) -> str:
    """The input that an engine's own store is not enough for; empty when it is."""
    options = plan.options
    if len(plan.platforms) > 1:
        return "platform"
    if any(not cache_is(cache, "inline") for cache in options.cache_to):
        return "cache-to"
    return "annotation" if options.annotations else ""


def check_age(plan: DockerfilePlan, rung: Rung) -> None:
    """Raise InputError for what an old BuildKit would pass over without a word."""
    match rung:
        case Buildx():
            old = not rung.named_contexts
        case EngineBuild():
            found = _VERSION.match(rung.version)
            old = found is not None and int(found[1]) < _ULIMITS
        case _:
            assert_never(rung)
    for name, value in (("ulimit", plan.options.ulimits), ("shm-size", plan.options.shm_size)):
        if old and value:
            raise InputError(
                f"input {name!r} is not known to {rung}",
                hint=f"update Docker to 23 or later, or leave out {name!r}",
            )


def check_engine_build(plan: DockerfilePlan) -> None:
    """Raise InputError for what the engine's API cannot do without a session."""
    options = plan.options
    beyond = {
        "secret": options.secrets,
        "ssh": options.ssh,
        "check": options.check,
        "cache-from": [c for c in options.cache_from if cache_reference(c) is None],
        needs_more(plan): needs_more(plan),
    }
    for name, value in beyond.items():
        if value:
            raise InputError(
                f"input {name!r} needs docker buildx, and there is only the engine",
                hint=f"{_INSTALL}, or leave out {name!r}",
            )


def cache_is(cache: str, kind: str) -> bool:
    """Whether a cache is of a kind: named alone, or as `type=kind,...`."""
    return kind in (cache, *(part.partition("=")[2] for part in cache.split(",")[:1]))


def cache_reference(cache: str) -> str | None:
    """The image that holds a cache, where it is one: a reference, or `type=registry,ref=...`."""
    if "=" not in cache:
        return None if cache in ("gha", "registry", "inline", "local") else cache
    fields = dict(part.partition("=")[::2] for part in cache.split(","))
    return fields.get("ref") if fields.get("type") == "registry" else None
