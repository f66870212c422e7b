"""A Docker engine of our own: its own state, sockets and containerd, gone when the block ends.

The engine that the machine may have is left alone. Needs root.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

_PROGRAMS = ("usr/sbin", "usr/bin", "usr/local/sbin", "usr/local/bin")
# Of bridges: several engines of one benchmark, and several benchmarks, are not to meet.
_NUMBERS = itertools.count(os.getpid() % 10_000 * 10)
_PLUGINS = ("libexec", "lib", "local/lib", "local/libexec")


@dataclass(slots=True)
class Engine:
    """dockerd with its containerd. `root` is `/`, or where packages of another one are unpacked.

    With `lazy` it keeps images in containerd, where layers that nobody reads are not pulled.
    """

    root: Path
    folder: Path
    lazy: bool = False
    children: list[subprocess.Popen[bytes]] = field(default_factory=list)
    bridge: str = ""

    @property
    def plugin(self) -> Path | None:
        """docker-buildx, without which a newer client builds nothing with BuildKit."""
        places = (self.root / "usr" / name / "docker/cli-plugins" for name in _PLUGINS)
        return next((p / "docker-buildx" for p in places if (p / "docker-buildx").exists()), None)

    @property
    def version(self) -> str:
        """The engine's version, and how it is spoken to."""
        server = self.docker("version", "--format", "{{.Server.Version}}").strip()
        return f"{server}{' with buildx' if self.plugin else ''}"

    def environment(self) -> dict[str, str]:
        """What the client and the daemons see; DOCKER_CONFIG has the plugin and no login."""
        programs = [str(self.root / name) for name in _PROGRAMS]
        return {
            **os.environ,
            "PATH": ":".join([*programs, os.environ["PATH"]]),
            "DOCKER_HOST": f"unix://{self.folder / 'docker.sock'}",
            "DOCKER_CONFIG": str(self.folder / "config"),
            "DOCKER_BUILDKIT": "1",
        }

    def docker(self, *arguments: str) -> str:
        """Run the client to its end; its standard output."""
        done = subprocess.run(
            [self._program("docker"), *arguments],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"docker {' '.join(arguments)}:\n{done.stdout}")
        return done.stdout

    def start(self) -> None:
        """Start with nothing: no image, no cache."""
        self.folder.mkdir(parents=True, exist_ok=True)
        plugins = self.folder / "config" / "cli-plugins"
        plugins.mkdir(parents=True, exist_ok=True)
        if self.plugin and not (plugins / "docker-buildx").exists():
            (plugins / "docker-buildx").symlink_to(self.plugin)
        self._start_containerd()
        self._start_dockerd()
        until = time.monotonic() + 60
        while not self._answers():
            if time.monotonic() > until or self.children[-1].poll() is not None:
                raise RuntimeError(f"dockerd does not start: {self.folder / 'dockerd.log'}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End the daemons, and remove all that they had."""
        for child in reversed(self.children):
            child.terminate()
            child.wait()
        self.children.clear()
        if self.bridge:
            subprocess.run(["ip", "link", "delete", self.bridge], check=False, capture_output=True)
            self.bridge = ""
        for mount in reversed(mounts_below(self.folder)):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def peak(self) -> int:
        """The most memory the daemons had since they were started, in bytes (VmHWM, summed)."""
        return sum(_peak(child.pid) for child in self.children)

    def _program(self, name: str) -> str:
        places = (self.root / folder / name for folder in _PROGRAMS)
        found = next((str(p) for p in places if p.exists()), shutil.which(name))
        if not found:
            raise FileNotFoundError(name)
        return found

    def _start_containerd(self) -> None:
        config = self.folder / "containerd.toml"
        config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        self._spawn(
            "containerd", f"--config={config}", f"--root={self.folder / 'c'}",
            f"--state={self.folder / 'cs'}", f"--address={self.folder / 'c.sock'}",
        )  # fmt: skip
        while not (self.folder / "c.sock").exists():
            if self.children[-1].poll() is not None:
                raise RuntimeError(f"containerd does not start: {self.folder / 'containerd.log'}")
            time.sleep(0.05)

    def _start_dockerd(self) -> None:
        config = self.folder / "daemon.json"
        features = {"features": {"containerd-snapshotter": True}} if self.lazy else {}
        config.write_text(json.dumps(features))
        self._spawn(
            "dockerd", f"--config-file={config}", f"--host=unix://{self.folder / 'docker.sock'}",
            f"--containerd={self.folder / 'c.sock'}", f"--data-root={self.folder / 'd'}",
            f"--exec-root={self.folder / 'x'}", f"--pidfile={self.folder / 'docker.pid'}",
            f"--bridge={self._bridge()}", "--iptables=false", "--ip6tables=false",
        )  # fmt: skip

    def _bridge(self) -> str:
        """A network bridge of its own: an engine without any removes another one's docker0."""
        number = next(_NUMBERS)
        name = f"launch{number}"
        for words in (
            ["add", "name", name, "type", "bridge"],
            ["set", name, "up"],
        ):
            subprocess.run(["ip", "link", *words], check=True, capture_output=True)
        address = f"10.214.{number % 250 + 1}.1/24"
        subprocess.run(["ip", "addr", "add", address, "dev", name], check=True, capture_output=True)
        self.bridge = name
        return name

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.children.append(
                subprocess.Popen(
                    [self._program(name), *arguments],
                    env=self.environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            )

    def _answers(self) -> bool:
        try:
            self.docker("version")
        except RuntimeError:
            return False
        return True


@contextmanager
def engine(root: Path, folder: Path, *, lazy: bool = False) -> Iterator[Engine]:
    """A running engine that ends with the block."""
    made = Engine(root, folder, lazy)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def mounts_below(folder: Path) -> list[str]:
    """What is mounted below a folder, in the order in which it was."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [
        place for place in (line.split()[1] for line in lines) if place.startswith(f"{folder}/")
    ]


def _peak(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
