"""A machine that registers jobs in the tests' W&B, and W&B's own programs that read them there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from support.program import Ended, Machine
from support.wandb_api.server import WandbServer

PROJECT = "acme/demo"
# Nobody waits long in a test.
IMPATIENT = {
    "WANDB_INIT_TIMEOUT": "20",
    "WANDB_X_GRAPHQL_RETRY_MAX": "1",
    "WANDB_X_GRAPHQL_RETRY_WAIT_MAX_SECONDS": "1",
    "WANDB_X_FILE_TRANSFER_RETRY_MAX": "1",
    "WANDB_X_FILE_TRANSFER_RETRY_WAIT_MAX_SECONDS": "1",
}
# Writes down how it is called, and succeeds.
_DOCKER = """\
#!/bin/sh
printf '%s\\n' "$*" >> "{log}"
"""


@dataclass(frozen=True)
class Registrar:
    """A machine with a key for a server, in a directory."""

    machine: Machine
    server: WandbServer
    directory: Path

    def run(self, *arguments: str, **environment: str) -> Ended:
        """Run the program; a variable that is empty is not set."""
        also = {**self.server.environment, **IMPATIENT, **self.machine.also, **environment}
        also = {name: value for name, value in also.items() if value}
        return replace(self.machine, also=also).run(*arguments, cwd=self.directory)

    def create(self, *options: str, **environment: str) -> Ended:
        """Record a git job of the directory, without a build."""
        return self.run(*CREATE, "-p", "demo", "-e", "acme", *options, **environment)


CREATE = ("job", "create", "git", ".", "-E", "python train.py", "-n", "hello", "--no-check-remote",
          "--json")  # fmt: skip


def job_document(server: WandbServer, name: str) -> dict[str, Any]:
    """The document of a job at W&B: `acme/demo/hello:latest`."""
    found: dict[str, Any] = json.loads(server.files(name)["wandb-job.json"])
    return found


@dataclass(frozen=True)
class Wandb:
    """W&B's own programs, with a home of theirs, and a `docker` that only writes down its calls."""

    server: WandbServer
    home: Path

    def command(self, *arguments: str, **environment: str) -> str:
        """What `wandb ...` says."""
        return self._run(str(Path(sys.executable).with_name("wandb")), *arguments, **environment)

    def python(self, code: str) -> Any:
        """What a script that uses the SDK prints, as JSON on its last line."""
        return json.loads(self._run(sys.executable, "-c", code).splitlines()[-1])

    def docker_calls(self) -> list[str]:
        """How `docker` was called."""
        log = self.home / "docker.log"
        return log.read_text().splitlines() if log.exists() else []

    def _run(self, *arguments: str, **environment: str) -> str:
        programs = self.home / "bin"
        programs.mkdir(parents=True, exist_ok=True)
        docker = programs / "docker"
        docker.write_text(_DOCKER.format(log=self.home / "docker.log"))
        docker.chmod(0o755)
        done = subprocess.run(
            arguments,
            cwd=self.home,
            env={
                "PATH": f"{programs}:{os.environ['PATH']}",
                "HOME": str(self.home),
                **self.server.environment,
                **IMPATIENT,
                **environment,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
        )
        return done.stdout
