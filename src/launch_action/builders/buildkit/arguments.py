"""The arguments of `docker buildx build`: a pure function of the plan.

Source: the buildx reference, "docker buildx build", "Exporters overview" and "Cache storage
backends". Every option is one word, `--name=value`, so that no value is taken for an option.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from launch_action.builders.buildkit.rungs import Buildx
from launch_action.core.build_options import BuildOptions
from launch_action.core.compression import DEFAULT, Compression
from launch_action.core.dataclass import dataclass
from launch_action.core.dockerfile_plan import DockerfilePlan

# Image, cache index: some registries take no cache but as an image manifest.
_REGISTRY_CACHE = (("image-manifest", "true"), ("oci-mediatypes", "true"))
CACHE_TAG = "buildcache"
_IMAGE = "oci-mediatypes=true,rewrite-timestamp=true"


@dataclass(frozen=True, slots=True)
class Output:
    """Where the image goes: an OCI layout `place`, the engine's store (`place`: a file for the
    image's id), or by digest into the repository `place`, over `plain` http where it is that."""

    kind: Literal["layout", "engine", "push"]
    place: str
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Places:
    """What a build finds on this machine: absolute paths.

    `secrets` are pairs of id and file, `pins` of an image as the Dockerfile names it and by
    digest. `repository` is where a registry cache is by default, empty where there is none;
    `actions` says that GitHub's cache service can be reached.
    """

    context: str
    dockerfile: str
    metadata: str
    output: Output
    secrets: tuple[tuple[str, str], ...] = ()
    pins: tuple[tuple[str, str], ...] = ()
    repository: str = ""
    actions: bool = False


def build_arguments(plan: DockerfilePlan, rung: Buildx, places: Places) -> tuple[str, ...]:
    """The arguments after `docker`. The environment has SOURCE_DATE_EPOCH."""
    return (
        "buildx",
        "build",
        *_each("--builder", [rung.name] if rung.name else []),
        "--progress=plain",
        f"--file={places.dockerfile}",
        f"--metadata-file={places.metadata}",
        "--provenance=false",
        *_each("--platform", [",".join(map(str, plan.platforms))]),
        *_content(plan.options),
        *_steps(plan.options),
        *_each("--secret", [f"id={name},src={path}" for name, path in places.secrets]),
        *_each("--build-context", [f"{name}=docker-image://{by}" for name, by in places.pins]),
        *_caches(plan.options, places),
        *_output(places.output, plan.compression),
        places.context,
    )


def check_arguments(plan: DockerfilePlan, rung: Buildx, places: Places) -> tuple[str, ...]:
    """The arguments that have BuildKit check the Dockerfile and build nothing."""
    return (
        "buildx",
        "build",
        *_each("--builder", [rung.name] if rung.name else []),
        "--call=check,format=json",
        f"--file={places.dockerfile}",
        *_content(plan.options),
        *_each("--build-context", [f"{name}=docker-image://{by}" for name, by in places.pins]),
        places.context,
    )


def cache_argument(cache: str, *, repository: str, actions: bool, write: bool) -> str:
    """A cache as buildx has it, with what makes it work filled in; empty where it cannot be.

    `registry` is `<repository>:buildcache`, `auto` GitHub's cache where that can be reached, else
    the registry. A cache that cannot be written does not fail a build, unless it is asked to.
    """
    if cache == "auto":
        cache = "gha" if actions else "registry"
    if "=" not in cache:
        cache = f"type={cache}" if cache in _KINDS else f"type=registry,ref={cache}"
    fields = dict(part.partition("=")[::2] for part in cache.split(","))
    kind = fields.get("type")
    if kind == "registry" and "ref" not in fields:
        if not repository:
            return ""
        fields["ref"] = f"{repository}:{CACHE_TAG}"
    if kind == "gha":
        if not actions:
            return ""
        # The first version of the service was switched off in April 2025.
        fields["version"] = "2"
    if write and kind != "inline":
        defaults = {"mode": "max", **(dict(_REGISTRY_CACHE) if kind == "registry" else {})}
        fields = {**fields, **{k: v for k, v in defaults.items() if k not in fields}}
        fields.setdefault("ignore-error", "true")
    return ",".join(f"{name}={value}" for name, value in fields.items())


_KINDS = ("registry", "gha", "inline", "local", "s3", "azblob")


def _content(options: BuildOptions) -> Iterator[str]:
    """What decides what is built."""
    yield from _each("--build-arg", [f"{name}={value}" for name, value in options.build_args])
    yield from _each("--target", [options.target] if options.target else [])


def _steps(options: BuildOptions) -> Iterator[str]:
    """How steps are run, and what is said of the image."""
    yield from _each("--ssh", options.ssh)
    yield from _each("--label", [f"{name}={value}" for name, value in options.labels])
    yield from _each("--annotation", [f"{name}={value}" for name, value in options.annotations])
    yield from _each("--add-host", options.add_hosts)
    yield from _each("--network", [options.network] if options.network else [])
    yield from _each("--shm-size", [options.shm_size] if options.shm_size else [])
    yield from _each("--ulimit", options.ulimits)
    if options.network == "host":
        yield "--allow=network.host"
    if options.no_cache:
        yield "--no-cache"
    if options.pull:
        yield "--pull"


def _caches(options: BuildOptions, places: Places) -> Iterator[str]:
    for name, caches, write in (
        ("--cache-from", options.cache_from, False),
        ("--cache-to", options.cache_to, True),
    ):
        found = [
            cache_argument(cache, repository=places.repository, actions=places.actions, write=write)
            for cache in caches
        ]
        yield from _each(name, [cache for cache in found if cache])


def _output(output: Output, compression: Compression) -> tuple[str, ...]:
    match output.kind:
        case "layout":
            fields = f"type=oci,dest={output.place},tar=false"
            return (f"--output={fields},{_IMAGE}{_compression(compression)}",)
        case "push":
            fields = f"type=image,name={output.place},push=true,push-by-digest=true"
            more = f"name-canonical=true,{_IMAGE}{_compression(compression)}"
            plain = ",registry.insecure=true" if output.plain else ""
            return (f"--output={fields},{more}{plain}",)
        case "engine":
            return ("--load", f"--iidfile={output.place}")


def _compression(compression: Compression) -> str:
    """BuildKit's words for a compression that was asked for; its gzip has levels up to 9."""
    if compression == DEFAULT:
        return ""
    level = min(compression.level, 9) if compression.kind == "gzip" else compression.level
    return f",compression={compression.kind},compression-level={level}"


def _each(name: str, values: Iterable[str]) -> Iterator[str]:
    for value in values:
        yield f"{name}={value}"
