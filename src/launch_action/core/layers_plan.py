"""The plan of a build without a Dockerfile: what decides its layers, and its key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from launch_action.core import dependencies
from launch_action.core.base import BaseReference, LayoutBase, RegistryBase, parse_base
from launch_action.core.compression import DEFAULT, Compression
from launch_action.core.context import TreeFile
from launch_action.core.dataclass import dataclass
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import InputError
from launch_action.core.image import Platform, fingerprint
from launch_action.core.inputs import Inputs
from launch_action.core.python_version import PythonChoice
from launch_action.core.reference import Reference
from launch_action.core.situation import Project, Situation

RECIPE_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LayersPlan:
    """What decides the image's content.

    `recipe` identifies all of it but the base's bytes and the Python that compiles. `compile` is
    None where nobody said.
    """

    builder: Literal["layers"]
    reason: str
    platforms: tuple[Platform, ...]
    base: BaseReference
    python: PythonChoice
    dependencies: DependencyInputs
    dependency_key: str
    cutoff: str | None
    entrypoint: tuple[str, ...]
    files: tuple[TreeFile, ...]
    content: str
    compile: bool | None
    recipe: str
    compression: Compression = DEFAULT

    @property
    def fresh(self) -> bool:
        """Whether it is built even where its build key is known: never, it would be the same."""
        return False

    def build_key(self, identities: tuple[str, ...]) -> str:
        """The build key, once bases and compiler are known; 64 hexadecimal digits."""
        return fingerprint(self.recipe, identities)


def plan_layers(
    inputs: Inputs,
    moment: int,
    project: Project,
    situation: Situation,
    entrypoint: tuple[str, ...],
) -> LayersPlan:
    """Decide a build without a Dockerfile; `moment` is the source's, in seconds since 1970.

    Raises InputError.
    """
    reason = "asked for" if inputs.builder == "layers" else "no Dockerfile asked for"
    base = _base(inputs, project.python)
    platforms = chosen_platforms(inputs, situation)
    until = _cutoff(inputs, moment, project, situation)
    dependency_key = _dependency_key(inputs, project, situation, until)
    compression = Compression.parse(inputs.compression)
    recipe = fingerprint(
        "recipe", RECIPE_FORMAT, "layers", situation.builder_format, project.digest,
        dependency_key, project.python.version, _base_name(base), [str(p) for p in platforms],
        entrypoint, str(compression),
    )  # fmt: skip
    return LayersPlan(
        builder="layers",
        reason=reason,
        platforms=platforms,
        base=base,
        python=project.python,
        dependencies=project.dependencies,
        dependency_key=dependency_key,
        cutoff=until,
        entrypoint=entrypoint,
        files=project.files,
        content=project.digest,
        compile=inputs.compile,
        recipe=recipe,
        compression=compression,
    )


def _cutoff(inputs: Inputs, moment: int, project: Project, situation: Situation) -> str | None:
    declared = project.dependencies
    today = datetime.fromtimestamp(situation.now, UTC).date()
    pinned = declared.pinned or declared.exact or declared.kind == "none"
    return dependencies.cutoff(moment, inputs.resolve_date or None, today, pinned=pinned)


def _dependency_key(
    inputs: Inputs, project: Project, situation: Situation, until: str | None
) -> str:
    """Identifies what is declared, for any platform. What is resolved as of now is never known."""
    declared = project.dependencies
    chosen = not declared.pinned and declared.kind != "none"
    moves = inputs.resolve_date == "latest" and chosen
    key = dependencies.fingerprint(
        declared,
        python=project.python.version,
        platform="",
        cutoff=timestamp(situation.now) if moves else until,
        local=dict(project.local),
        indexes=project.indexes,
    )
    return fingerprint("wheels only", key) if chosen and not situation.trusted else key


def timestamp(seconds: int) -> str:
    """Seconds since 1970 as RFC 3339 in UTC.

    >>> timestamp(0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _base(inputs: Inputs, python: PythonChoice) -> BaseReference:
    if inputs.base_image:
        return parse_base(inputs.base_image)
    return RegistryBase(Reference.parse(f"docker.io/library/python:{python.version}-slim"))


def _base_name(base: BaseReference) -> str:
    # A directory's path is this machine's own affair; its image's digest is in the build key.
    return "oci" if isinstance(base, LayoutBase) else str(base)


def chosen_platforms(inputs: Inputs, situation: Situation) -> tuple[Platform, ...]:
    """The platforms to build for, each once, sorted. Raises InputError."""
    wanted = tuple(Platform.parse(text) for text in inputs.platform) or (situation.platform,)
    unique: tuple[Platform, ...] = ()
    for one in sorted(set(wanted)):
        # linux/arm64 and linux/arm64/v8 are one, and an index has one image of each.
        unique += () if any(other.accepts(one) for other in unique) else (one,)
    for platform in unique:
        if platform.os != "linux":
            raise InputError(
                f"platform {str(platform)!r} is not Linux", hint="images are built for linux/ARCH"
            )
    return unique
