"""A job's command on this machine: its image's paths and programs, found in a run directory."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import RunError
from launch_action.core.run import JobImage, RunPlan

_STANDARD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Variables that describe the image's file system or its base, and mean nothing here.
_OF_THE_IMAGE = frozenset(
    ("PATH", "HOME", "HOSTNAME", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONHOME",
     "SSL_CERT_FILE", "SSL_CERT_DIR", "SHELL", "TMPDIR", "GPG_KEY",
     "PYTHON_VERSION", "PYTHON_SHA256", "PYTHON_PIP_VERSION", "PYTHON_SETUPTOOLS_VERSION")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """Where a job is unpacked: `root` stands for the image's `/`."""

    path: Path
    image: JobImage

    @property
    def root(self) -> Path:
        return self.path / "root"

    @property
    def home(self) -> Path:
        return self.root / "home/job"

    @property
    def temporary(self) -> Path:
        return self.path / "tmp"

    @property
    def venv(self) -> Path:
        return self._inside(self.image.venv)

    @property
    def workdir(self) -> Path:
        return self._inside(self.image.workdir)

    def translate(self, word: str) -> str:
        """A path of the job's code or environment, as it is here; any other word as it is."""
        for origin in (self.image.venv, self.image.workdir):
            if word == origin or word.startswith(f"{origin}/"):
                return f"{self.root}{word}"
        return word

    def variables(self) -> dict[str, str]:
        """What the runner itself gives a job: the places of this directory."""
        return {
            "PATH": f"{self.venv}/bin:{_STANDARD_PATH}",
            "VIRTUAL_ENV": str(self.venv),
            "HOME": str(self.home),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
        }

    def image_variables(self) -> dict[str, str]:
        """The image's environment, without what describes the image, with paths of this machine."""
        return {
            name: ":".join(self.translate(part) for part in value.split(":"))
            for name, value in self.image.environment
            if name not in _OF_THE_IMAGE
        }

    def command(self, plan: RunPlan, environment: Mapping[str, str]) -> list[str]:
        """The program's absolute path and its arguments. Raises RunError when there is none."""
        words = [*(plan.entrypoint or self.image.entrypoint), *plan.args]
        if not words:
            raise RunError(
                "the job has no entry point", hint="give one with --entry-point 'python train.py'"
            )
        first, *rest = (self.translate(word) for word in words)
        return [self._program(first, environment["PATH"]), *rest]

    def _program(self, word: str, path: str) -> str:
        found = shutil.which(self.workdir / word) if "/" in word else shutil.which(word, path=path)
        if found:
            return str(found)
        if (self.workdir / word).exists():
            raise RunError(
                f"the entry point {word!r} is a file of the job, but not a program that can be run",
                hint=f"name its interpreter, as in 'python {word}', or make it executable",
            )
        raise RunError(
            f"the entry point {word!r} is no program of the job or of this machine",
            hint="check --entry-point: the first word is looked up in the job, then on PATH",
        )

    def _inside(self, path: str) -> Path:
        return self.root / path.lstrip("/")
