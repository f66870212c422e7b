"""The file system of an image in a layout directory, and commands run in it, without an engine.

Layers are unpacked by tar(1), not by the code under test, once each; a root is their hard links.
Needs root, or user namespaces, and for another architecture qemu-user-static.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_QEMU = "/.check/qemu"
# The command sees neither the network nor the machine's processes; what is mounted goes with it.
_ENTER = """
set -e
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/tmp"
ip link set lo up 2>/dev/null || true
root=$1; shift
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """A platform's image in the layout directory `layout`; `digest` is its manifest's."""

    layout: Path
    digest: str

    def blob(self, digest: str) -> Path:
        return self.layout / "blobs" / digest.replace(":", "/")

    def document(self, digest: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.blob(digest).read_text())
        return found

    @property
    def layers(self) -> list[dict[str, Any]]:
        """The descriptors of the layers, lowest first."""
        found: list[dict[str, Any]] = self.document(self.digest)["layers"]
        return found

    @property
    def config(self) -> dict[str, Any]:
        return self.document(self.document(self.digest)["config"]["digest"])

    def size(self, role: str) -> int:
        """Bytes of the layers of a role, as they are stored."""
        role_of = "dev.launch-action.layer.role"
        return sum(x["size"] for x in self.layers if x.get("annotations", {}).get(role_of) == role)


@dataclass(frozen=True, slots=True)
class Root:
    """A directory with an image's files; `environment` is what the image's config says."""

    path: Path
    environment: Mapping[str, str]
    emulator: str

    def put(self, source: Path, name: str) -> str:
        """Copy a file or directory in; its path there."""
        place = self.path / ".check" / name
        _run(["cp", "-r", str(source), str(place)])
        return f"/.check/{name}"

    def run(
        self, *command: str, timeout: float, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it; it may fail."""
        values = {**self.environment, **(environment or {})}
        inside = [*([self.emulator] if self.emulator else []), *command]
        enter = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        enter += [] if os.geteuid() == 0 else ["--map-root-user"]
        return subprocess.run(
            ["env", "-i", *(f"{k}={v}" for k, v in values.items()), *enter,
             "sh", "-c", _ENTER, "enter", str(self.path), *inside],
            capture_output=True, text=True, timeout=timeout, errors="replace",
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


@contextmanager
def image_root(image: Image, layers: Path, path: Path) -> Iterator[Root]:
    """The image's files at `path`, gone when the block ends; `layers` keeps unpacked layers.

    Both are on one file system.
    """
    _run(["rm", "-rf", str(path)])
    path.mkdir(parents=True)
    try:
        for layer in image.layers:
            tree = _unpacked(image, layer["digest"], layers)
            _run(["cp", "-al", "--remove-destination", f"{tree}/.", str(path)])
        _run(["mkdir", "-p", *(str(path / name) for name in ("dev", "proc", "tmp", ".check"))])
        config = image.config
        emulator = _emulator(config["architecture"], path)
        pairs = (line.partition("=") for line in config["config"].get("Env", ()))
        yield Root(path, {name: value for name, _, value in pairs}, emulator)
    finally:
        _run(["rm", "-rf", str(path)])


def _unpacked(image: Image, digest: str, layers: Path) -> Path:
    tree = layers / digest.removeprefix("sha256:")
    if not tree.exists():
        layers.mkdir(parents=True, exist_ok=True)
        partial = layers / f"partial-{tree.name}"
        _run(["rm", "-rf", str(partial)])
        _run(["mkdir", str(partial)])
        _run(["tar", "--extract", "--file", str(image.blob(digest)), "--directory", str(partial)])
        _run(["mv", str(partial), str(tree)])
    return tree


def _emulator(architecture: str, path: Path) -> str:
    machine = _MACHINES[architecture]
    if machine == platform.machine():
        return ""
    found = shutil.which(f"qemu-{machine}-static")
    assert found, f"not installed: qemu-{machine}-static (package qemu-user-static)"
    _run(["cp", found, f"{path}{_QEMU}"])
    return _QEMU


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]}: {done.stderr.strip()[-500:]}"
