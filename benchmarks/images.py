"""What an image weighs, and how long its packages take to be imported in a new container."""

from __future__ import annotations

import json
import statistics
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.engine import Engine
from benchmarks.registry import Registry

_KINDS = ", ".join(
    f"application/vnd.{kind}+json"
    for kind in (
        "oci.image.index.v1", "oci.image.manifest.v1", "docker.distribution.manifest.v2",
        "docker.distribution.manifest.list.v2",
    )
)  # fmt: skip
_IMPORT = """\
import time
begun = time.perf_counter()
import numpy, pandas, sklearn.linear_model
print(time.perf_counter() - begun)
"""


@dataclass(frozen=True, slots=True)
class Image:
    """Sizes in bytes as the registry has them; layers from the lowest on."""

    size: int
    layers: tuple[int, ...]


def read_image(store: Registry, name: str) -> Image:
    """An image of the registry; of an index, its first image."""
    repository, _, tag = name.removeprefix(f"{store.address}/").rpartition(":")
    found = _manifest(store, repository, tag)
    while "manifests" in found:
        found = _manifest(store, repository, found["manifests"][0]["digest"])
    layers = tuple(int(layer["size"]) for layer in found["layers"])
    return Image(sum(layers) + int(found["config"]["size"]), layers)


def import_times(engine: Engine, name: str, times: int = 5) -> Iterator[float]:
    """Seconds that the imports take, each in a new container of its own."""
    engine.docker("pull", "--quiet", name)
    for _ in range(times):
        said = engine.docker(
            "run", "--rm", "--network=none", "--entrypoint=python", name, "-c", _IMPORT
        )
        yield float(said.strip().splitlines()[-1])


def median_import(engine: Engine, name: str) -> float:
    """The median of several containers; the first one, which fills the disk cache, left out."""
    return statistics.median(list(import_times(engine, name))[1:])


def _manifest(store: Registry, repository: str, reference: str) -> dict[str, Any]:
    url = f"http://{store.near}/v2/{repository}/manifests/{reference}"
    request = urllib.request.Request(url, headers={"Accept": _KINDS})
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
