"""Real services for tests, on loopback: a registry, and a Python base image in it.

The base is what `docker.io/library/python:3.11-slim` is to the builders, made of Debian packages,
so that nothing has to be pulled.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BASE = "library/python:3.11-slim"
SUITE = "bookworm"
# Which Python is Debian's own; its patch version is what the official image would say.
PYTHONS = {"bookworm": "3.11.2", "trixie": "3.13.5"}
# What is in the base; part of the key it is cached under.
PACKAGES = ("ca-certificates", "python3", "python3-venv")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class LocalRegistry:
    """A registry on loopback, spoken to over plain http; `address` is `127.0.0.1:PORT`."""

    address: str
    directory: Path

    def manifest(self, name: str, reference: str) -> dict[str, Any]:
        """A manifest as JSON."""
        kinds = (
            "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
        )
        url = f"http://{self.address}/v2/{name}/manifests/{reference}"
        with urllib.request.urlopen(
            urllib.request.Request(url, headers={"Accept": kinds})
        ) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def tags(self, name: str) -> list[str]:
        """The tags of a repository; none when it does not exist."""
        try:
            with urllib.request.urlopen(f"http://{self.address}/v2/{name}/tags/list") as answer:
                return sorted(json.load(answer)["tags"] or ())
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return []
            raise


@contextmanager
def registry(folder: Path) -> Iterator[LocalRegistry]:
    """The registry of Debian's docker-registry package, with its storage in the folder."""
    from support.registry import running  # imports what only registries with logins need

    with running(folder) as found:
        yield LocalRegistry(found.address, folder / "data")


def push_layout(layout: Path, image: str) -> None:
    """Copy an OCI layout into a registry on loopback."""
    target = f"docker://{image}"
    _run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{layout}:base", target)


def python_base_layout(suite: str = SUITE) -> Path:
    """The base as an OCI layout, made once per machine (half a minute, needs a Debian mirror)."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "launch-action-tests"
    home.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr((suite, PACKAGES, FORMAT)).encode()).hexdigest()[:16]
    place = home / f"python-base-{key}"
    with (home / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=home, prefix=".partial-") as partial:
                _make_layout(Path(partial) / "layout", Path(partial) / "root.tar", suite)
                (Path(partial) / "layout").rename(place)
    return place


def _make_layout(layout: Path, root: Path, suite: str) -> None:
    minor = PYTHONS[suite].rpartition(".")[0]
    links = " && ".join(
        f'ln -s /usr/bin/python3 "$1/usr/local/bin/{name}"'
        for name in ("python", "python3", f"python{minor}")
    )
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    _run(
        "mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}",
        *([f"--keyring={keyring}"] if Path(keyring).exists() else []),
        f"--customize-hook={links}",
        "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
        suite, str(root), "http://deb.debian.org/debian",
    )  # fmt: skip
    _write_layout(layout, root, PYTHONS[suite])


def _write_layout(layout: Path, root: Path, python: str) -> None:
    (layout / "blobs" / "sha256").mkdir(parents=True)
    diff = hashlib.sha256(root.read_bytes()).hexdigest()
    layer = gzip.compress(root.read_bytes(), compresslevel=1, mtime=0)
    path = "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
    config = {
        "created": "2024-01-01T00:00:00Z",
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
        "os": "linux",
        "config": {
            "Env": [f"PATH={path}", "LANG=C.UTF-8", f"PYTHON_VERSION={python}"],
            "Cmd": ["python3"],
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{diff}"]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "mmdebstrap"}],
    }
    kind = "application/vnd.oci.image"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{kind}.manifest.v1+json",
        "config": _blob(layout, f"{kind}.config.v1+json", json.dumps(config).encode()),
        "layers": [_blob(layout, f"{kind}.layer.v1.tar+gzip", layer)],
    }
    named = _blob(layout, f"{kind}.manifest.v1+json", json.dumps(manifest).encode())
    named["annotations"] = {"org.opencontainers.image.ref.name": "base"}
    index = {"schemaVersion": 2, "mediaType": f"{kind}.index.v1+json", "manifests": [named]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _blob(layout: Path, kind: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs" / "sha256" / digest).write_bytes(content)
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}


def _run(*arguments: str) -> str:
    done = subprocess.run(
        arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{arguments[0]}: {done.stderr}"
    return done.stdout


# ---- what a machine has -------------------------------------------------------------------------


def missing_engine() -> str:
    """Why there is no Docker engine; empty when one answers."""
    return _missing(("docker", "version", "--format", "{{.Server.Version}}"))


def missing_registry() -> str:
    """Which program of a registry and its base image is missing."""
    absent = [
        name for name in ("docker-registry", "skopeo", "mmdebstrap") if not shutil.which(name)
    ]
    return f"not installed: {', '.join(absent)}" if absent else ""


def missing_network() -> str:
    """Why no package index is reached."""
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
    url = (index or "https://pypi.org/simple").rstrip("/") + "/pip/"
    try:
        urllib.request.urlopen(url, timeout=20).close()
    except (urllib.error.URLError, TimeoutError) as error:
        return f"no package index: {error}"
    return ""


def _missing(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError:
        return f"not installed: {command[0]}"
    return "" if done.returncode == 0 else f"{' '.join(command)}: {done.stderr.strip()[-200:]}"
