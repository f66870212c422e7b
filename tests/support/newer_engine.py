"""A newer Docker engine with buildx, beside the machine's own: unpacked, never installed.

It has folders, sockets and a network bridge of its own. Not `--bridge=none`: an engine that is
started so removes the bridge `docker0`, which is another engine's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.debian_packages import unpacked

SUITE = "sid"
PACKAGES = ("containerd", "docker-buildx", "docker-cli", "docker.io")
_PROGRAMS = ("usr/sbin", "usr/bin")
_PLUGIN = "usr/libexec/docker/cli-plugins/docker-buildx"


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine. `address` is what DOCKER_HOST names, `packages` where it is unpacked."""

    address: str
    packages: Path
    folder: Path

    def environment(self, *, buildx: bool = True) -> dict[str, str]:
        """What a program that is to use it has in its environment; without buildx, no client."""
        if not buildx:
            return {"DOCKER_HOST": self.address, "PATH": _without_docker(self.folder)}
        programs = ":".join(str(self.packages / name) for name in _PROGRAMS)
        return {
            "DOCKER_HOST": self.address,
            "DOCKER_CONFIG": str(self.folder / "config"),
            "PATH": f"{programs}:{os.environ['PATH']}",
        }

    def docker(self, *arguments: str) -> str:
        """Run its client; its standard output."""
        done = subprocess.run(
            ["docker", *arguments],
            env={**os.environ, **self.environment()},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout


def missing() -> str:
    """Why there can be no newer engine here; empty when there can."""
    if os.geteuid() != 0:
        return "a second engine needs root"
    absent = [name for name in ("apt-get", "dpkg", "runc", "ip") if not shutil.which(name)]
    return f"not installed: {', '.join(absent)}" if absent else ""


def packages() -> Path:
    """The unpacked packages, fetched once per machine (10 seconds, needs a Debian mirror)."""
    return unpacked(SUITE, PACKAGES)


@contextmanager
def engine(root: Path, folder: Path, *, containerd: bool = True) -> Iterator[Engine]:
    """A running engine that is gone, with all that it had, when the block ends.

    With `containerd` it keeps images there, and so exports them and builds for several platforms.
    """
    made = Engine(f"unix://{folder / 'docker.sock'}", root, folder)
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-buildx").symlink_to(root / _PLUGIN)
    children: list[subprocess.Popen[bytes]] = []
    with _bridge() as bridge:
        try:
            children.append(_containerd(made))
            children.append(_dockerd(made, bridge, containerd=containerd))
            yield made
        finally:
            for child in reversed(children):
                child.terminate()
                child.wait()
            for mount in reversed(_mounts_below(folder)):
                subprocess.run(["umount", "--lazy", mount], check=False)
            shutil.rmtree(folder, ignore_errors=True)


def _containerd(made: Engine) -> subprocess.Popen[bytes]:
    folder = made.folder
    config = folder / "containerd.toml"
    config.write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
    child = _spawn(
        made, "containerd", f"--config={config}", f"--root={folder / 'c'}",
        f"--state={folder / 'cs'}", f"--address={folder / 'c.sock'}",
    )  # fmt: skip
    _wait(child, lambda: (folder / "c.sock").exists(), folder / "containerd.log")
    return child


def _dockerd(made: Engine, bridge: str, *, containerd: bool) -> subprocess.Popen[bytes]:
    folder = made.folder
    features = {"features": {"containerd-snapshotter": containerd}}
    (folder / "daemon.json").write_text(json.dumps(features))
    child = _spawn(
        made, "dockerd", f"--config-file={folder / 'daemon.json'}", f"--host={made.address}",
        f"--containerd={folder / 'c.sock'}", f"--data-root={folder / 'd'}",
        f"--exec-root={folder / 'x'}", f"--pidfile={folder / 'docker.pid'}",
        f"--bridge={bridge}", "--iptables=false", "--ip6tables=false", "--ip-masq=false",
    )  # fmt: skip

    def answers() -> bool:
        asked = ["docker", "version"]
        env = {**os.environ, **made.environment()}
        return subprocess.run(asked, env=env, capture_output=True, check=False).returncode == 0

    _wait(child, answers, folder / "dockerd.log")
    return child


def _spawn(made: Engine, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    program = next(p for d in _PROGRAMS if (p := made.packages / d / name).exists())
    with (made.folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            [program, *arguments],
            env={**os.environ, **made.environment()},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _wait(child: subprocess.Popen[bytes], ready: object, log: Path) -> None:
    assert callable(ready)
    until = time.monotonic() + 60
    while not ready():
        assert child.poll() is None, log.read_text()[-2000:]
        assert time.monotonic() < until, log.read_text()[-2000:]
        time.sleep(0.1)


@contextmanager
def _bridge() -> Iterator[str]:
    """A network bridge of our own, for the containers of the engine."""
    number = os.getpid() % 250 + 1
    name = f"launch{os.getpid() % 100_000}"
    _run("ip", "link", "add", "name", name, "type", "bridge")
    try:
        _run("ip", "addr", "add", f"10.213.{number}.1/24", "dev", name)
        _run("ip", "link", "set", name, "up")
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", name], check=False, capture_output=True)


def _without_docker(folder: Path) -> str:
    """A directory for PATH with what the program needs, and no Docker client."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("git", "uv"):
        found = shutil.which(name)
        if found and not (programs / name).exists():
            (programs / name).symlink_to(found)
    return str(programs)


def _mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [p for p in (line.split()[1] for line in lines) if p.startswith(f"{folder}/")]


def _run(*arguments: str, cwd: Path | None = None) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        arguments, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments[0]}: {done.stderr[-1000:]}"


def without_docker(folder: Path) -> dict[str, str]:
    """The environment of a machine whose engine answers, without a client for it."""
    return {"PATH": _without_docker(folder)}


def buildx_for(root: Path, folder: Path) -> dict[str, str]:
    """The environment of a machine whose own engine is spoken to by a newer client with buildx."""
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    if not (plugins / "docker-buildx").exists():
        (plugins / "docker-buildx").symlink_to(root / _PLUGIN)
    programs: Sequence[str] = [str(root / name) for name in _PROGRAMS]
    return {
        "DOCKER_CONFIG": str(folder / "config"),
        "PATH": ":".join([*programs, os.environ["PATH"]]),
    }
