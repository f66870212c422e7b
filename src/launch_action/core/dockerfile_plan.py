"""The plan of a Dockerfile build: everything that decides its image, and its key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal

from launch_action.core.base import RegistryBase
from launch_action.core.build_options import BuildOptions
from launch_action.core.compression import DEFAULT, Compression
from launch_action.core.context import TreeFile
from launch_action.core.dataclass import dataclass
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.dockerfile import base_images
from launch_action.core.dockerfile_choice import Dockerfile
from launch_action.core.errors import InputError
from launch_action.core.image import Platform, fingerprint
from launch_action.core.inputs import Inputs
from launch_action.core.layers_plan import LayersPlan, chosen_platforms, plan_layers
from launch_action.core.python_version import PythonChoice
from launch_action.core.situation import Project, Situation

# Another number where the same inputs give another image.
FORMAT = 1


@dataclass(frozen=True, slots=True)
class DockerfilePlan:
    """What decides the image of a Dockerfile. `recipe` identifies all of it but the bases' bytes.

    `bases` are the images that the target reads, as the Dockerfile names them. `generated` is what
    a Dockerfile of ours is made from, where the project has none.
    """

    reason: str
    platforms: tuple[Platform, ...]
    dockerfile: Dockerfile
    options: BuildOptions
    bases: tuple[str, ...]
    python: PythonChoice
    entrypoint: tuple[str, ...]
    files: tuple[TreeFile, ...]
    content: str
    recipe: str
    generated: LayersPlan | None = None
    compression: Compression = DEFAULT
    builder: Literal["buildkit"] = "buildkit"

    @property
    def fresh(self) -> bool:
        """Whether it is built even where its build key is known."""
        return self.options.no_cache

    @property
    def dependencies(self) -> DependencyInputs:
        """What is declared of dependencies; nothing is known where the Dockerfile installs them."""
        return self.generated.dependencies if self.generated else DependencyInputs("none")

    @property
    def cutoff(self) -> str | None:
        return self.generated.cutoff if self.generated else None

    def build_key(self, identities: tuple[str, ...]) -> str:
        """The build key, once the base images are resolved; 64 hexadecimal digits."""
        return fingerprint(self.recipe, identities)


def plan_dockerfile(
    inputs: Inputs,
    moment: int,
    project: Project,
    situation: Situation,
    entrypoint: tuple[str, ...],
) -> DockerfilePlan:
    """Decide a Dockerfile build; `moment` as for `plan_layers`. Raises InputError."""
    dockerfile, options = project.dockerfile, project.options or BuildOptions()
    assert dockerfile is not None  # noqa: S101  - the caller's condition, for the type checker
    generated = None
    if not dockerfile.path:
        generated = plan_layers(inputs, moment, project, situation, entrypoint)
    platforms = chosen_platforms(inputs, situation)
    compression = Compression.parse(inputs.compression)
    return DockerfilePlan(
        reason=dockerfile.reason,
        platforms=platforms,
        dockerfile=dockerfile,
        options=options,
        bases=_generated_base(generated) if generated else _bases(dockerfile, options),
        python=project.python,
        entrypoint=entrypoint,
        files=project.files,
        content=project.digest,
        recipe=fingerprint(
            "recipe", FORMAT, "buildkit", project.digest, [str(p) for p in platforms],
            generated.recipe if generated else hashlib.sha256(dockerfile.content).hexdigest(),
            _identity(options), str(compression), generated and generated.compile is not False,
        ),
        generated=generated,
        compression=compression,
    )  # fmt: skip


def _bases(dockerfile: Dockerfile, options: BuildOptions) -> tuple[str, ...]:
    return base_images(dockerfile.text, dict(options.build_args), options.target)


def _generated_base(generated: LayersPlan) -> tuple[str, ...]:
    if not isinstance(generated.base, RegistryBase):
        raise InputError(
            f"builder 'buildkit' cannot build on {str(generated.base)!r}",
            hint="name an image of a registry with --base-image, or build with --builder layers",
        )
    return (str(generated.base),)


def _identity(options: BuildOptions) -> Mapping[str, object]:
    """What of the options decides the image: of secrets and keys the names, never the values."""
    return {
        "args": options.build_args,
        "secrets": [secret.id for secret in options.secrets],
        "ssh": sorted(one.partition("=")[0] for one in options.ssh),
        "target": options.target,
        "labels": options.labels,
        "annotations": options.annotations,
        "hosts": sorted(options.add_hosts),
        "network": options.network,
        "shm": options.shm_size,
        "ulimits": sorted(options.ulimits),
    }
