"""Which builder, which Dockerfile: the rules of W&B Launch, and those of `--builder buildkit`."""

from __future__ import annotations

import posixpath
from collections.abc import Collection

from launch_action.core.dataclass import dataclass
from launch_action.core.entrypoint import script_of
from launch_action.core.errors import InputError
from launch_action.core.inputs import Inputs
from launch_action.core.spelling import nearest

WANDB = "Dockerfile.wandb"
PLAIN = "Dockerfile"
# What only a Dockerfile build knows, by input; `platform` and the like are every builder's.
_ONLY_DOCKERFILE = (
    "build-arg", "secret", "ssh", "target", "label", "annotation", "add-host", "network",
    "shm-size", "ulimit", "no-cache", "pull", "cache-from", "cache-to", "check",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DockerfileChoice:
    """A Dockerfile build. `path` is relative to the context and empty for a generated Dockerfile.

    The context is `folder` below the build context that was asked for; empty: that itself.
    `reason` names the rule that matched.
    """

    path: str
    reason: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """A Dockerfile that was read: `path` in the context, empty for a generated one; its bytes.

    `reason` names the rule by which it was chosen. `folder`: the context lies there, below the
    build context that was asked for.
    """

    path: str
    content: bytes
    reason: str
    folder: str = ""

    @property
    def text(self) -> str:
        """The content as BuildKit reads it, which takes it for UTF-8."""
        return self.content.decode("utf-8", "replace")


def choose_dockerfile(
    inputs: Inputs, paths: Collection[str], entrypoint: tuple[str, ...]
) -> DockerfileChoice | None:
    """The Dockerfile of a build context with these files; None: the `layers` builder builds it.

    Raises InputError for a Dockerfile outside the context or one that is not there, and for
    options that the builder does not have.
    """
    found = _choice(inputs, paths, entrypoint)
    given = [name for name in _ONLY_DOCKERFILE if getattr(inputs, name.replace("-", "_"))]
    if found is None and given:
        raise InputError(
            f"input {given[0]!r} is for a Dockerfile, and none is built",
            hint="name one with --dockerfile, or say --builder buildkit",
        )
    return found


def _choice(
    inputs: Inputs, paths: Collection[str], entrypoint: tuple[str, ...]
) -> DockerfileChoice | None:
    if inputs.builder == "layers":
        if inputs.dockerfile:
            raise InputError(
                f"builder 'layers' builds no Dockerfile: {inputs.dockerfile!r}",
                hint="leave out --builder, or --dockerfile",
            )
        return None
    if inputs.dockerfile:
        return DockerfileChoice(_named(inputs.dockerfile, paths), "asked for with --dockerfile")
    beside = _beside_script(entrypoint)
    if beside in paths:
        folder = posixpath.dirname(beside)
        return DockerfileChoice(WANDB, f"{beside} lies beside the script", folder)
    return _at_root(paths) if inputs.builder == "buildkit" else None


def _named(given: str, paths: Collection[str]) -> str:
    path = posixpath.normpath(given)
    if path.startswith("/") or path.split("/")[0] == "..":
        raise InputError(
            f"Dockerfile is outside the build context: {given!r}",
            hint="name it relative to the build context, or choose another --build-context",
        )
    if path not in paths and not any(_is_above(folder, path) for folder in paths):
        kin = [one for one in paths if PLAIN.lower() in posixpath.basename(one).lower()]
        near = nearest(path, sorted(kin)[:1000]) or sorted(kin)[:3]
        raise InputError(
            f"no Dockerfile {given!r} in the build context at the commit",
            hint=f"there are {', '.join(near)}" if near else "commit it, or check --build-context",
        )
    return path


def _is_above(link: str, path: str) -> bool:
    """Whether a file, which can only be a link then, stands where the path has a directory."""
    return path.startswith(f"{link}/")


def _beside_script(entrypoint: tuple[str, ...]) -> str:
    """Where a Dockerfile.wandb beside the script would be; the root's for a module."""
    script = script_of(entrypoint, "")
    return posixpath.join(posixpath.dirname(script), WANDB)


def _at_root(paths: Collection[str]) -> DockerfileChoice:
    for name in (WANDB, PLAIN):
        if name in paths:
            return DockerfileChoice(name, f"{name} lies at the context's root")
    return DockerfileChoice("", "no Dockerfile: one is generated")


def below_folder(entrypoint: tuple[str, ...], folder: str) -> tuple[str, ...]:
    """The entry point as it is written inside a folder of the context.

    >>> below_folder(("python", "jobs/a/train.py", "-v"), "jobs/a")
    ('python', 'train.py', '-v')
    """
    if not folder:
        return entrypoint
    script = script_of(entrypoint, "")
    return tuple(
        posixpath.relpath(script, folder) if posixpath.normpath(word) == script else word
        for word in entrypoint
    )
