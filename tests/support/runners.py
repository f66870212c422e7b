"""The runners under one handle, so that one suite says what both do."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from support.jobs import MACHINE, Blobs, job_image, tar_of

from launch_action.builders.layers.unpack import extract
from launch_action.cache import Cache
from launch_action.core.image import digest_of
from launch_action.core.resources import ContainerResources
from launch_action.core.run import JobImage, Runner, RunPlan, RunResult
from launch_action.runners.container import OUTPUTS
from launch_action.runners.local_container import LocalContainer
from launch_action.runners.local_process import LocalProcess

PROGRAMS = (
    "sh",
    "env",
    "sleep",
    "cat",
    "mkdir",
    "touch",
    "setsid",
    "yes",
    "head",
    "ln",
    "chmod",
    "mkfifo",
)
GRACE = 1.0


@dataclass
class Told:
    """A reporter that keeps what it is told."""

    infos: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)

    def info(self, text: str) -> None:
        self.infos.append(text)

    def warning(self, text: str, *, file: str = "", line: int = 0) -> None:
        self.warnings.append(text)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        yield
        self.timings[name] = 0.0

    @contextmanager
    def transfer(self, title: str, total: int) -> Iterator[Any]:
        yield lambda count: None


class Bench(Protocol):
    """Runs a job made of a few files of `/app` and shows what came of it."""

    outputs_seen: str
    own_variables: frozenset[str]
    log: list[bytes]
    told: Told

    def run(self, code: Mapping[str, bytes], *entrypoint: str, **plan: Any) -> RunResult: ...

    def put(self, name: str, data: bytes) -> None:
        """Put a file into the output directory of the job that runs."""
        ...


@dataclass
class ProcessBench:
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    own_variables: frozenset[str] = frozenset(
        ("PATH", "HOME", "VIRTUAL_ENV", "TMPDIR", "LANG", "PYTHONPATH")
    )
    log: list[bytes] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    blobs: Blobs = field(default_factory=Blobs)
    cached: bool = True
    cache: Path | None = None
    take: Callable[[bytes], None] | None = None
    keep: bool = False

    @property
    def outputs_seen(self) -> str:
        return str(self.directory / "launch-output/run1")

    def run(self, code: Mapping[str, bytes], *entrypoint: str, **plan: Any) -> RunResult:
        image = job_image(self.blobs, code, *entrypoint)
        return self.run_image(image, **plan)

    def put(self, name: str, data: bytes) -> None:
        (self.directory / "launch-output/run1" / name).write_bytes(data)

    def run_image(self, image: JobImage, **plan: Any) -> RunResult:
        runs = self.directory / "runs"
        runs.mkdir(exist_ok=True)
        runner: Runner = LocalProcess(
            open_blob=self.blobs.open_blob,
            extract=extract,
            log=self.take or self.log.append,
            environment=self.environment,
            cache=Cache(self.cache or self.directory / "cache") if self.cached else None,
            directory=runs,
            download=False,
            keep=self.keep,
            grace=GRACE,
        )
        return runner.run(plan_in(self.directory, "local-process", plan), image, self.told)

    def left(self) -> list[Path]:
        """The run directories that are still there."""
        return list((self.directory / "runs").iterdir())

    def again(self) -> ProcessBench:
        """The same bench for the next run: the outputs of the last are gone, the cache is not."""
        shutil.rmtree(self.directory / "launch-output", ignore_errors=True)
        self.log.clear()
        self.blobs.opened.clear()
        return self


@dataclass
class ContainerBench:
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    outputs_seen: str = OUTPUTS
    own_variables: frozenset[str] = frozenset(("PATH", "HOME", "HOSTNAME"))
    log: list[bytes] = field(default_factory=list)
    told: Told = field(default_factory=Told)
    # Tests that run side by side share the engine, and the run's id.
    name: str = field(default_factory=lambda: f"launch-test-{os.urandom(4).hex()}")

    def run(
        self, code: Mapping[str, bytes], *entrypoint: str, user: str = "1000:0", **plan: Any
    ) -> RunResult:
        image, archive = container_image(code, *entrypoint, user=user)
        return self.run_image(image, archive, **plan)

    def put(self, name: str, data: bytes) -> None:
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as archive:
            _add(archive, name, data)
        command = ["docker", "cp", "-", f"{self.name}:{OUTPUTS}"]
        subprocess.run(command, input=out.getvalue(), check=True, capture_output=True)

    def run_image(self, image: JobImage, archive: bytes, **plan: Any) -> RunResult:
        runner: Runner = LocalContainer(
            log=self.log.append,
            environment=self.environment,
            load=lambda: iter([archive[:1000], archive[1000:]]),
            grace=GRACE,
        )
        try:
            return runner.run(self.plan(**plan), image, self.told)
        finally:
            subprocess.run(["docker", "image", "rm", "-f", image.image_id], capture_output=True)

    def plan(self, **given: Any) -> RunPlan:
        """A plan for a container of the bench's own name."""
        resources = replace(given.pop("resources", ContainerResources()), name=self.name)
        return plan_in(self.directory, "local-container", {"resources": resources, **given})


def plan_in(directory: Path, resource: Any, given: Mapping[str, Any]) -> RunPlan:
    """A plan for the run `run1` with its outputs in the directory."""
    place = str(directory / "launch-output/run1")
    return RunPlan(**{"run_id": "run1", "resource": resource, "output_directory": place, **given})


@cache
def system_layer() -> bytes:
    """The archive of a small system: a shell and a few programs of this machine."""
    files: dict[str, bytes | str] = {"tmp/.keep": b""}
    for program in PROGRAMS:
        found = Path(shutil.which(program) or "").resolve()
        files[f"bin/{program}"] = found.read_bytes()
        listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+) \(0x", listed):
            files[library.lstrip("/")] = Path(library).read_bytes()
    return tar_of(files, executable=True)


def container_image(
    code: Mapping[str, bytes], *entrypoint: str, user: str = "1000:0"
) -> tuple[JobImage, bytes]:
    """A job's image with the small system, and its archive as `docker save` would write it."""
    layers = [system_layer(), tar_of({f"app/{name}": data for name, data in code.items()})]
    config = {
        "architecture": MACHINE.architecture,
        "os": "linux",
        "config": {
            "Env": ["PATH=/bin"],
            "WorkingDir": "/app",
            "User": user,
            "Entrypoint": entrypoint,
        },
        "rootfs": {"type": "layers", "diff_ids": [str(digest_of(layer)) for layer in layers]},
    }
    data = json.dumps(config).encode()
    names = [f"{digest_of(layer).hex}.tar.gz" for layer in layers]
    manifest = [{"Config": f"{digest_of(data).hex}.json", "RepoTags": None, "Layers": names}]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, layer in zip(names, layers, strict=True):
            _add(archive, name, gzip.compress(layer, 1, mtime=0))
        _add(archive, f"{digest_of(data).hex}.json", data)
        _add(archive, "manifest.json", json.dumps(manifest).encode())
    image = JobImage(platform=MACHINE, entrypoint=entrypoint, image_id=digest_of(data))
    return image, out.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def running_containers(run_id: str) -> list[str]:
    """The containers of a run that are there, running or not."""
    label = f"label=dev.launch-action.run-id={run_id}"
    command = ["docker", "ps", "-aq", "--filter", label]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
