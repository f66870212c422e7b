"""Debian packages of another suite, unpacked in a folder of their own and never installed.

They are fetched once per machine with apt, whose lists and status the system's know nothing of.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

SUITE = "sid"
# A current engine with buildx. Its runc needs a newer libc than the machine's, whose own does.
ENGINE = ("containerd", "docker-buildx", "docker-cli", "docker.io")
# Newer ones need a newer libc than the machine's.
BUILDAH, BUILDAH_SUITE = ("buildah", "golang-github-containers-common"), "bookworm"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def home() -> Path:
    """Where the benchmark keeps what it need not make again."""
    place = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "launch-action-bench")
    place.mkdir(parents=True, exist_ok=True)
    return place


def unpacked(name: str, packages: Sequence[str], suite: str = SUITE) -> Path:
    """The root of these packages, fetched once per machine (needs a Debian mirror)."""
    place = home() / f"{name}-{suite}"
    with (home() / f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=home(), prefix=".partial-") as partial:
                _fetch(Path(partial), packages, suite)
                Path(partial, "root").rename(place)
    return place


def _fetch(folder: Path, packages: Sequence[str], suite: str) -> None:
    for name in ("lists/partial", "archives/partial", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    signed = f"[signed-by={_KEYRING}] " if _KEYRING.exists() else ""
    (folder / "sources.list").write_text(f"deb {signed}http://deb.debian.org/debian {suite} main\n")
    options = {
        "Dir::State::lists": "lists", "Dir::State::status": "status", "Dir::Cache": "archives",
        "Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "etc",
    }  # fmt: skip
    apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    apt += [part for key, name in options.items() for part in ("-o", f"{key}={folder / name}")]
    _run([*apt, "update"], folder)
    _run([*apt, "download", *packages], folder)
    for package in folder.glob("*.deb"):
        _run(["dpkg", "-x", str(package), str(folder / "root")], folder)


def _run(arguments: list[str], folder: Path) -> None:
    done = subprocess.run(
        arguments, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)}: {done.stderr}")
