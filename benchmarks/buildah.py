"""`buildah build` and a push, with a cache of every step in the registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders import Dockerfile, run
from benchmarks.disk import Disk, watched
from benchmarks.engine import mounts_below

# A file that is mounted from the context is no part of its cache's key: it is copied instead.
_DOCKERFILE = """\
FROM {registry}/{uv} AS uv
FROM {registry}/{base}
{arguments}
WORKDIR /app
COPY requirements.txt .
RUN --mount=type=cache,target=/root/.cache/uv \\
    --mount=type=bind,from=uv,source=/uv,target=/bin/uv \\
    uv pip install --system --link-mode=copy -r requirements.txt
COPY . .
ENTRYPOINT ["python", "train.py"]
"""


def buildah_dockerfile(base: str, uv: str) -> Dockerfile:
    """uv with cache mounts, as far as buildah's cache allows it."""
    return Dockerfile(_DOCKERFILE.replace("{base}", base).replace("{uv}", uv))


@dataclass(frozen=True, slots=True)
class Buildah:
    """Without a daemon, as root; steps run in a chroot, which is what starts fastest."""

    program: Path
    folder: Path
    project: Path
    dockerfile: Dockerfile
    name: str
    tag: str = "latest"

    def build(self, image: str, *, empty: bool) -> int:
        file = self.folder / "Dockerfile"
        self.dockerfile.write(file, image.partition("/")[0])
        taken = [f"--cache-from={image}/cache"] if empty else []
        made = self._buildah(
            "build", "--isolation=chroot", "--network=host", "--layers", "--tls-verify=false",
            f"--cache-to={image}/cache", *taken, f"--file={file}", f"--tag={image}:latest",
            *self.dockerfile.options(), str(self.project),
        )  # fmt: skip
        return max(made, self._buildah("push", "--tls-verify=false", f"{image}:latest"))

    def forget(self) -> None:
        for mount in reversed(mounts_below(self.folder)):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)
        (self.folder / "tmp").mkdir(parents=True)

    def watch(self, wanted: bool) -> AbstractContextManager[Disk]:
        return watched(self.folder, wanted=wanted)

    def _buildah(self, *arguments: str) -> int:
        command = [
            str(self.program), f"--root={self.folder / 'root'}", f"--runroot={self.folder / 'run'}",
            "--storage-driver=overlay", *arguments,
        ]  # fmt: skip
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp")}
        return run(command, environment, self.folder.parent / f"{self.folder.name}.log")


@contextmanager
def buildah(root: Path, folder: Path, project: Path, dockerfile: Dockerfile) -> Iterator[Buildah]:
    """The contender; what it leaves is gone with the block."""
    program = root / "usr/bin/buildah"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    made = Buildah(program, folder, project, dockerfile, f"buildah {version.stdout.split()[2]}")
    try:
        yield made
    finally:
        made.forget()
        shutil.rmtree(folder, ignore_errors=True)
