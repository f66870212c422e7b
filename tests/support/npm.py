"""Packages of npm that hold what GitHub publishes: fetched once a machine, by their integrity."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def home() -> Path:
    """The folder that the tests keep between sessions."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    found = cache / "launch-action-tests"
    found.mkdir(parents=True, exist_ok=True)
    return found


@contextmanager
def alone(name: str) -> Iterator[None]:
    """No other session is in a block of this name."""
    with (home() / f"{name}.lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def file_of(name: str, version: str, sha512: str, path: str) -> bytes:
    """A file of a package. Raises URLError when the package is not there, nor npm's registry.

    `sha512` is that of the whole package, in base64, as npm writes it.
    """
    short = name.rpartition("/")[2]
    place = home() / f"{name.strip('@').replace('/', '-')}-{version}.tgz"
    with alone("npm"):
        if not place.exists():
            url = f"{_registry()}/{name}/-/{short}-{version}.tgz"
            partial = place.with_suffix(".partial")
            partial.write_bytes(_download(url, sha512))
            partial.rename(place)
    with tarfile.open(place) as package:
        member = package.extractfile(f"package/{path}")
        assert member is not None
        return member.read()


def _registry() -> str:
    given = os.environ.get("npm_config_registry")  # noqa: SIM112  npm's own spelling
    return (given or "https://registry.npmjs.org").rstrip("/")


def _download(url: str, sha512: str) -> bytes:
    with urllib.request.urlopen(url, timeout=120) as answer:
        content: bytes = answer.read()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    assert digest == sha512, f"{url} is not what was pinned: sha512-{digest}"
    return content
