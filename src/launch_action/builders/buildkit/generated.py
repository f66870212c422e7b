"""The Dockerfile of a project that has none: the environment that the layers builder makes.

The wheels are those that the layers builder takes, resolved and fetched by the same code, so that
both give the same distributions, and no index, nor a login to one, is needed inside the build.
"""

from __future__ import annotations

import json
import posixpath
import shutil
from collections.abc import Sequence
from pathlib import Path

from launch_action.builders.layers.image import APP, HOME, USER, VENV
from launch_action.builders.layers.lock import LockedWheel

PROJECT = "project"
WHEELS = "wheels"
REQUIREMENTS = "requirements.txt"
_TOOLS = "/tmp/launch-action-pip"  # noqa: S108  - inside the image, in one step


def render_dockerfile(
    base: str,
    python: str,
    entrypoint: Sequence[str],
    import_paths: Sequence[str],
    *,
    wheels: str = "",
    compile_bytecode: bool = False,
) -> str:
    """The text. `base` is a reference by digest, `python` its interpreter, `wheels` the folder of
    the context that holds them with their requirements.txt; empty where nothing is installed."""
    environment = {
        "PATH": f"/{VENV}/bin:$PATH",
        "VIRTUAL_ENV": f"/{VENV}",
        "PYTHONUNBUFFERED": "1",
        "HOME": f"/{HOME}",
        "USER": "job",
        "LOGNAME": "job",
        **({"PYTHONPATH": ":".join(import_paths)} if import_paths else {}),
    }
    lines = [
        f"FROM {base}",
        *(["ARG TARGETARCH"] if "$" in wheels else []),
        _install(python, wheels, compile_bytecode=compile_bytecode),
        *(f'ENV {name}="{value}"' for name, value in environment.items()),
        f"COPY --chown={USER} {PROJECT}/ /{APP}/",
        f"WORKDIR /{APP}",
        f"USER {USER}",
        f"ENTRYPOINT {json.dumps(list(entrypoint))}",
    ]
    return "\n".join(lines) + "\n"


def write_wheels(found: Sequence[tuple[LockedWheel, Path]], folder: Path) -> None:
    """Put wheels and their requirements.txt into a folder."""
    folder.mkdir(parents=True)
    for wheel, file in found:
        shutil.copyfile(file, folder / wheel.filename)
    lines = "".join(f"{wheel.name}=={wheel.version}\n" for wheel, _ in found)
    (folder / REQUIREMENTS).write_text(lines, "utf-8")


def _install(python: str, wheels: str, *, compile_bytecode: bool) -> str:
    """pip comes from a place of its own, so that it is not among what is installed."""
    home = f"mkdir -p /{HOME} && chown {USER} /{HOME}"
    bare = f"{python} -m venv --without-pip /{VENV}"
    if not wheels:
        return f"RUN {bare} && {home}"
    place = posixpath.join("/tmp", WHEELS)  # noqa: S108  - a mount of one step
    flags = "--no-index --no-deps --no-cache-dir --disable-pip-version-check --quiet"
    flags += "" if compile_bytecode else " --no-compile"
    return (
        f"RUN --mount=type=bind,source={wheels},target={place} "
        f"{python} -m venv {_TOOLS} && {bare} && "
        f"{_TOOLS}/bin/pip --python /{VENV}/bin/python install {flags} "
        f"--root-user-action=ignore --find-links={place} -r {place}/{REQUIREMENTS} && "
        f"rm -rf {_TOOLS} && {home}"
    )
