"""W&B's own launch agent, as a process: it takes items of a queue of the tests' server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.engine import engine_settings
from support.program import kill_group
from support.wandb_api.server import TEAM, WandbServer

WANDB = Path(sys.executable).with_name("wandb")


def wandb_environment(server: WandbServer, home: Path) -> dict[str, str]:
    """What W&B's programs see: a home of their own, and the tests' server."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "WANDB_DIR": str(home),
        "WANDB_ERROR_REPORTING": "false",
        "PYTHONUNBUFFERED": "1",
        **engine_settings(),
        # By this name alone a container of an agent's gets the network of the machine.
        **server.environment,
        "WANDB_BASE_URL": server.url.replace("127.0.0.1", "localhost"),
    }


@contextmanager
def agent(
    server: WandbServer, queue: str, folder: Path, configuration: str = "", path: str = ""
) -> Iterator[Path]:
    """An agent of a queue, gone when the block ends; the file that has its log.

    `configuration` is more YAML of its configuration file, `path` a directory of programs that are
    found before all others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "agent.yaml").write_text(f"builder: {{type: noop}}\n{configuration}")
    environment = wandb_environment(server, folder / "home")
    if path:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    log = folder / "agent.log"
    file = str(folder / "agent.yaml")
    command = [str(WANDB), "launch-agent", "-q", queue, "-e", TEAM, "-c", file, "-v"]
    with (
        log.open("w") as out,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as child,
    ):
        try:
            yield log
        finally:
            kill_group(child.pid)
