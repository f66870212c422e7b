"""Programs of another Debian than the machine's: unpacked in the tests' cache, never installed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def missing() -> str:
    """Why no package can be unpacked here; empty when they can."""
    absent = [name for name in ("apt-get", "dpkg") if not shutil.which(name)]
    return f"not installed: {', '.join(absent)}" if absent else ""


def unpacked(suite: str, packages: tuple[str, ...]) -> Path:
    """The root of the unpacked packages, without what they depend on; fetched once per machine."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "launch-action-tests"
    home.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr((suite, packages)).encode()).hexdigest()[:16]
    place = home / f"debian-{key}"
    with (home / "debian.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=home, prefix=".partial-") as partial:
                _unpack(Path(partial), suite, packages)
                (Path(partial) / "root").rename(place)
    return place


def _unpack(partial: Path, suite: str, packages: tuple[str, ...]) -> None:
    for name in ("lists/partial", "archives/partial", "debs"):
        (partial / name).mkdir(parents=True)
    (partial / "status").touch()
    source = f"deb [signed-by={KEYRING}] http://deb.debian.org/debian {suite} main\n"
    (partial / "sources.list").write_text(source)
    settings = {
        "Dir::Etc::sourcelist": partial / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State": partial,
        "Dir::State::lists": partial / "lists",
        "Dir::State::status": partial / "status",
        "Dir::Cache": partial,
        "APT::Sandbox::User": "root",
    }
    options = [f"-o{name}={value}" for name, value in settings.items()]
    _run("apt-get", "-q", *options, "update")
    _run("apt-get", "-q", *options, "download", *packages, cwd=partial / "debs")
    for package in sorted((partial / "debs").iterdir()):
        _run("dpkg", "-x", str(package), str(partial / "root"))


def _run(*arguments: str, cwd: Path | None = None) -> None:
    done: subprocess.CompletedProcess[str] = subprocess.run(
        arguments, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments[0]}: {done.stderr[-1000:]}"
