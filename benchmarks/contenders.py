"""Who is compared: each builds the project as it is now and pushes the image to the registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.engine import Engine

# What lets a build find a package index where the internet is behind a proxy or a mirror.
_BUILD_ARGUMENTS = ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

_PIP = """\
FROM {base}
ARG PIP_INDEX_URL
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
ENTRYPOINT ["python", "train.py"]
"""
_UV = """\
FROM {uv} AS uv
FROM {base}
ARG UV_DEFAULT_INDEX
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=bind,source=requirements.txt,target=requirements.txt \\
    --mount=type=bind,from=uv,source=/uv,target=/bin/uv \\
    uv pip install --system --link-mode=copy -r requirements.txt
{copy}
ENTRYPOINT ["python", "train.py"]
"""


class Contender(Protocol):
    """A tool with its local state. `build` is what is timed."""

    @property
    def name(self) -> str: ...

    def build(self, image: str, *, empty: bool) -> int:
        """Build and push `image`; returns the peak memory in bytes. `empty`: no local state."""
        ...

    def forget(self) -> None:
        """Lose all local state, as a fresh machine has none."""
        ...


@dataclass(frozen=True, slots=True)
class LaunchAction:
    """The program as its users start it, with a cache of its own."""

    program: Path
    project: Path
    base: str
    folder: Path
    name: str = "launch-action"

    def build(self, image: str, *, empty: bool) -> int:  # noqa: ARG002  # it finds out itself
        command = [
            str(self.program), "build", "--entry-point", "python train.py", "--image", image,
            "--base-image", self.base, "--working-directory", str(self.project), "--json",
        ]  # fmt: skip
        with (self.folder.parent / f"{self.name}.log").open("ab") as log:
            child = subprocess.Popen(command, env=self.environment(), stdout=log, stderr=log)
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode != 0:
            raise RuntimeError(f"launch-action ended with {child.returncode}: {log.name}")
        return used.ru_maxrss * 1024

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def environment(self) -> Mapping[str, str]:
        """A home of its own, and no word of a CI that this may run in."""
        others = ("GITHUB_", "CI", "XDG_", "PYTHON")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(others)}
        return {
            **kept,
            "HOME": str(self.folder),
            "LAUNCH_ACTION_CACHE": str(self.folder / "cache"),
        }


@dataclass(frozen=True, slots=True)
class Docker:
    """`docker build` with BuildKit and a push; the cache of a fresh machine is in the registry.

    A lazy engine keeps a cache of every step in the registry beside the image (`mode=max`), and no
    image locally; else the cache is in the image (`type=inline`).
    """

    name: str
    engine: Engine
    project: Path
    dockerfile: str

    def build(self, image: str, *, empty: bool) -> int:
        file = self.engine.folder / "Dockerfile"
        file.write_text(self.dockerfile)
        common = ["--network=host", f"--file={file}", *_arguments(), str(self.project)]
        if not self.engine.plugin:
            taken = [f"--cache-from={image}:latest"] if empty else []
            inline = "--build-arg=BUILDKIT_INLINE_CACHE=1"
            self.engine.docker("build", inline, f"--tag={image}:latest", *taken, *common)
            self.engine.docker("push", "--quiet", f"{image}:latest")
        elif self.engine.lazy:
            self._buildx(*_step_cache(image, empty), _pushed_output(image), *common)
        else:
            self._buildx(*_inline_cache(image, empty), f"--tag={image}:latest", "--push", *common)
        return self.engine.peak()

    def forget(self) -> None:
        self.engine.stop()
        self.engine.start()

    def _buildx(self, *arguments: str) -> None:
        self.engine.docker("buildx", "build", "--provenance=false", "--progress=plain", *arguments)


def pip_dockerfile(base: str) -> str:
    """The Dockerfile of most projects."""
    return _PIP.format(base=base)


def uv_dockerfile(base: str, uv: str, *, link: bool = False) -> str:
    """The one that uv's documentation recommends; with `link` the code's layer needs no base."""
    copy = "COPY --link . /app/" if link else "COPY . ."
    return _UV.format(base=base, uv=uv, copy=copy)


def _inline_cache(image: str, empty: bool) -> list[str]:
    taken = [f"--cache-from=type=registry,ref={image}:latest"] if empty else []
    return [*taken, "--cache-to=type=inline"]


def _step_cache(image: str, empty: bool) -> list[str]:
    place = f"type=registry,ref={image}:cache"
    taken = [f"--cache-from={place}"] if empty else []
    return [*taken, f"--cache-to={place},mode=max"]


def _pushed_output(image: str) -> str:
    return f"--output=type=image,name={image}:latest,push=true,unpack=false,store=false"


def _arguments() -> list[str]:
    return [f"--build-arg={name}" for name in _BUILD_ARGUMENTS if os.environ.get(name)]
