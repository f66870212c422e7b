"""The one registry that everybody pushes to, and what its access log tells of a build.

It is the `docker-registry` program of Debian and Ubuntu, on loopback, its storage in a folder.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

# Apache's combined format, as the registry writes it to standard output.
_LINE = re.compile(
    r'\[[^]]*\] "(?P<method>[A-Z]+) (?P<url>\S+) [^"]*" (?P<status>\d+) (?P<sent>\d+)'
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What one build exchanged with the registry: bodies in bytes, both ways, and requests."""

    up: int
    down: int
    requests: int


@dataclass(frozen=True, slots=True)
class Registry:
    """A running registry; `address` is `127.0.0.1:PORT`, `near` the same without any relay."""

    address: str
    near: str
    storage: Path
    log: Path

    def mark(self) -> int:
        """Where the log ends now."""
        return self.log.stat().st_size

    def traffic(self, mark: int) -> Traffic:
        """What was exchanged since a mark.

        The log has the size of answers only; what came up is taken from the storage: the blobs and
        manifests whose upload was completed.
        """
        time.sleep(0.05)  # a line is written after its answer
        with self.log.open("rb") as log:
            log.seek(mark)
            lines = [found for found in map(_LINE.search, log.read().decode().split("\n")) if found]
        up = down = 0
        for line in lines:
            if line["method"] == "PUT" and line["status"] == "201":
                up += self._stored(line["url"])
            elif line["method"] == "GET":
                down += int(line["sent"])
        return Traffic(up, down, len(lines))

    def _stored(self, url: str) -> int:
        parts = urlsplit(url)
        name, kind, rest = re.split(r"/(blobs|manifests)/", parts.path.removeprefix("/v2/"))
        digest = parse_qs(parts.query)["digest"][0] if kind == "blobs" else rest
        root = self.storage / "docker" / "registry" / "v2"
        if ":" not in digest:
            tag = root / "repositories" / name / "_manifests" / "tags" / digest
            digest = (tag / "current" / "link").read_text()
        algorithm, _, text = digest.replace("%3A", ":").partition(":")
        return (root / "blobs" / algorithm / text[:2] / text / "data").stat().st_size


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """A registry that ends with the block."""
    folder.mkdir(parents=True)
    port = free_port()
    config = folder / "registry.json"  # YAML, which JSON is
    document = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    config.write_text(json.dumps(document))
    log = folder / "access.log"
    with log.open("wb") as out, (folder / "error.log").open("wb") as err:
        child = subprocess.Popen(["docker-registry", "serve", str(config)], stdout=out, stderr=err)
    try:
        _wait_for(f"http://127.0.0.1:{port}/v2/", child)
        yield Registry(f"127.0.0.1:{port}", f"127.0.0.1:{port}", folder / "data", log)
    finally:
        child.terminate()
        child.wait()


@contextmanager
def far_away(near: Registry, milliseconds: float) -> Iterator[Registry]:
    """The same registry behind a relay; a round trip takes that much longer."""
    port = near.address.rpartition(":")[2]
    relay = Path(__file__).with_name("relay.py")
    child = subprocess.Popen(
        [sys.executable, str(relay), port, str(milliseconds)], stdout=subprocess.PIPE, text=True
    )
    try:
        told = child.stdout.readline().strip() if child.stdout else ""
        yield replace(near, address=f"127.0.0.1:{told}")
    finally:
        child.terminate()
        child.wait()


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _wait_for(url: str, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            urllib.request.urlopen(url).close()
        except urllib.error.URLError:
            if child.poll() is not None or time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return
