"""`docker build` with BuildKit, and the Dockerfiles that it is given."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Dockerfile
from benchmarks.disk import Disk, watched
from benchmarks.engine import Engine

_PIP = """\
FROM {registry}/{base}
{arguments}
WORKDIR /app
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
ENTRYPOINT ["python", "train.py"]
"""
_UV = """\
FROM {registry}/{uv} AS uv
FROM {registry}/{base}
{arguments}
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \\
    --mount=type=bind,from=uv,source=/uv,target=/bin/uv \\
    uv pip install --system --link-mode=copy -r /tmp/requirements.txt
{copy}
ENTRYPOINT ["python", "train.py"]
"""


def pip_dockerfile(base: str) -> Dockerfile:
    """The Dockerfile of most projects."""
    return Dockerfile(_PIP.replace("{base}", base))


def uv_dockerfile(base: str, uv: str, *, link: bool = False) -> Dockerfile:
    """The one that uv's documentation recommends; with `link` the code's layer needs no base."""
    copy = "COPY --link . /app/" if link else "COPY . ."
    text = _UV.replace("{base}", base).replace("{uv}", uv).replace("{copy}", copy)
    return Dockerfile(text)


@dataclass(frozen=True, slots=True)
class Docker:
    """A build and a push; the cache of a fresh machine is in the registry.

    A lazy engine keeps a cache of every step in the registry beside the image (`mode=max`), and no
    image locally, in zstd; else the cache is in the image (`type=inline`).
    """

    name: str
    engine: Engine
    project: Path
    dockerfile: Dockerfile
    tag: str = "latest"

    def build(self, image: str, *, empty: bool) -> int:
        file = self.engine.folder / "Dockerfile"
        self.dockerfile.write(file, image.partition("/")[0])
        common = [
            "--network=host", f"--file={file}", *self.dockerfile.options(), str(self.project),
        ]  # fmt: skip
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

    def watch(self, wanted: bool) -> AbstractContextManager[Disk]:
        return watched(self.engine.folder, wanted=wanted)

    def _buildx(self, *arguments: str) -> None:
        self.engine.docker("buildx", "build", "--provenance=false", "--progress=plain", *arguments)


def _inline_cache(image: str, empty: bool) -> list[str]:
    taken = [f"--cache-from=type=registry,ref={image}:latest"] if empty else []
    return [*taken, "--cache-to=type=inline"]


def _step_cache(image: str, empty: bool) -> list[str]:
    place = f"type=registry,ref={image}:cache"
    taken = [f"--cache-from={place}"] if empty else []
    return [*taken, f"--cache-to={place},mode=max,compression=zstd"]


def _pushed_output(image: str) -> str:
    return (
        f"--output=type=image,name={image}:latest,push=true,unpack=false,store=false,"
        "compression=zstd,oci-mediatypes=true"
    )
