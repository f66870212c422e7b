"""A current docker-buildx, which reads what other tools must be able to read of our indexes.

The machine's own where it is recent, else Debian's newest package, unpacked in the tests' cache and
never installed.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import tempfile
from pathlib import Path

SUITE = "sid"
# From here on `imagetools inspect` knows SLSA 1.0.
OLDEST = (0, 24)
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_PLUGINS = (
    Path.home() / ".docker/cli-plugins",
    Path("/usr/local/lib/docker/cli-plugins"),
    Path("/usr/libexec/docker/cli-plugins"),
    Path("/usr/lib/docker/cli-plugins"),
)


def find_buildx() -> Path:
    """The program, fetched where there is none that is new enough (20 MB, once per machine)."""
    for folder in _PLUGINS:
        if (folder / "docker-buildx").exists() and _version(folder / "docker-buildx") >= OLDEST:
            return folder / "docker-buildx"
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "launch-action-tests"
    home.mkdir(parents=True, exist_ok=True)
    place = home / f"buildx-{SUITE}"
    with (home / "buildx-lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=home, prefix=".partial-") as partial:
                _unpack(Path(partial))
                (Path(partial) / "root").rename(place)
    return place / "usr/libexec/docker/cli-plugins/docker-buildx"


def inspect(buildx: Path, name: str, template: str) -> str:
    """What `docker buildx imagetools inspect` says of an image of a registry on loopback."""
    return _run(str(buildx), "imagetools", "inspect", name, "--format", template)


def _version(program: Path) -> tuple[int, ...]:
    found = re.search(r"(\d+)\.(\d+)", _run(str(program), "version"))
    return tuple(map(int, found.groups())) if found else ()


def _unpack(folder: Path) -> None:
    """Fetch the package with lists and a status of its own: the system's stay as they are."""
    for name in ("lists/partial", "archives/partial", "etc"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    signed = f"[signed-by={_KEYRING}] " if Path(_KEYRING).exists() else ""
    (folder / "sources.list").write_text(f"deb {signed}http://deb.debian.org/debian {SUITE} main\n")
    options = {
        "Dir::State::lists": "lists", "Dir::State::status": "status", "Dir::Cache": "archives",
        "Dir::Etc::sourcelist": "sources.list", "Dir::Etc::sourceparts": "etc",
    }  # fmt: skip
    apt = ["apt-get", "-q", "-o", "APT::Sandbox::User=root"]
    apt += [part for key, name in options.items() for part in ("-o", f"{key}={folder / name}")]
    _run(*apt, "update")
    _run(*apt, "download", "docker-buildx", cwd=folder)
    _run("dpkg", "-x", str(next(folder.glob("docker-buildx_*.deb"))), str(folder / "root"))


def _run(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        arguments, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments[0]}: {done.stderr}"
    return done.stdout
