"""Python and libc of a base image: from its config where that tells, else from its files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.builders.layers.base_findings import (
    DEFAULT_GLIBC,
    DEFAULT_MUSL,
    Findings,
    Libc,
)
from launch_action.builders.layers.base_image import BaseImage
from launch_action.cache import Cache
from launch_action.core.base import BaseFacts, PythonFacts
from launch_action.core.errors import BuildError
from launch_action.core.image import fingerprint
from launch_action.core.ports import Content, Reporter

# Part of the cache key of what was read from files.
_FORMAT = 2
_KIND = "base-facts"
# The glibc of a suite, for its whole life.
_SUITE_GLIBC = {
    "buster": "2.28", "bullseye": "2.31", "bookworm": "2.36", "trixie": "2.41",
    "focal": "2.31", "jammy": "2.35", "noble": "2.39",
}  # fmt: skip
_UBUNTU_SUITES = {"20.04": "focal", "22.04": "jammy", "24.04": "noble"}
_VERSION = re.compile(r"3\.\d+(?:\.\d+)?(?:[abrc.]+\d+)?")
# The official images compile Python from this file into /usr/local, since their first version.
_OFFICIAL = "python.tar.xz"
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def image_facts(
    image: BaseImage,
    origin: Content,
    python: str,
    *,
    name: str,
    cache: Cache,
    reporter: Reporter,
) -> BaseFacts:
    """The facts of an image that must have Python `python` (X.Y). Raises BuildError."""
    told = config_findings(image.config)
    findings = told or _file_findings(image, origin, name, cache, reporter)
    chosen = choose_python(findings.pythons, python, name, _search_path(image.config))
    if findings.libc is None:
        raise BuildError(
            f"no C library in {name}", hint="name a base image with glibc or musl and Python"
        )
    return BaseFacts(
        name=name,
        identity=str(image.digest),
        platform=image.platform,
        python=chosen,
        libc=findings.libc.family,
        libc_version=findings.libc.version,
        created=str(image.config.get("created") or "1980-01-01T00:00:00Z"),
        config=image.config,
    )


def config_findings(config: Mapping[str, Any]) -> Findings | None:
    """What the config tells: enough for the official Python images and what is built on them.

    None when it does not tell both Python and libc.
    """
    history = _history(config)
    version = _environment(config).get("PYTHON_VERSION", "")
    libc = _history_libc(history, _labels(config))
    built = any(_OFFICIAL in line for line in history)
    if not (built and libc and _VERSION.fullmatch(version)):
        return None
    minor = ".".join(version.split(".")[:2])
    return Findings((PythonFacts(version, f"/usr/local/bin/python{minor}"),), libc)


def choose_python(
    pythons: Sequence[PythonFacts], wanted: str, name: str, path: Sequence[str]
) -> PythonFacts:
    """The interpreter of version `wanted` (X.Y) that comes first on `path`. Raises BuildError."""
    if not pythons:
        raise BuildError(
            f"no python in {name}",
            hint=f"name a base image with Python {wanted}, such as python:{wanted}-slim",
        )
    fitting = [python for python in pythons if python.minor == _minor(wanted)]
    if not fitting:
        there = ", ".join(sorted({python.minor for python in pythons}))
        raise BuildError(
            f"{name} has Python {there}, not {wanted}",
            hint=f"choose it with --python {there.split(', ')[0]}, or name another --base-image",
        )
    return min(fitting, key=lambda found: (_rank(found.executable, path), found.executable))


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _rank(executable: str, path: Sequence[str]) -> int:
    folder = executable.rpartition("/")[0]
    return path.index(folder) if folder in path else len(path)


def _file_findings(
    image: BaseImage, origin: Content, name: str, cache: Cache, reporter: Reporter
) -> Findings:
    key = fingerprint(_FORMAT, str(image.digest))
    known = _cached(cache, key)
    if known is not None:
        return known
    # Reading layers needs the codec; most bases tell all in their config.
    from launch_action.builders.layers.file_list import read_findings

    reporter.info(f"{name} does not say which Python it has: reading its layers once")
    found = read_findings(origin, image.layers, name=name, reporter=reporter)
    document = {
        "pythons": [[one.version, one.executable] for one in found.pythons],
        "libc": found.libc and [found.libc.family, found.libc.version],
    }
    with cache.write(_KIND, key) as path:
        path.write_text(json.dumps(document), encoding="utf-8")
    return found


def _cached(cache: Cache, key: str) -> Findings | None:
    path = cache.find(_KIND, key)
    if path is None:
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        pythons = tuple(PythonFacts(*one) for one in found["pythons"])
        return Findings(pythons, Libc(*found["libc"]) if found["libc"] else None)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _history_libc(history: Sequence[str], labels: Mapping[str, str]) -> Libc | None:
    """The C library by the commands that made the image; the lowest layer decides."""
    for line in history:
        suite = re.search(r"debian\.sh\b.*?'([a-z]+)'", line)
        if suite:
            return Libc("glibc", _SUITE_GLIBC.get(suite[1], DEFAULT_GLIBC))
        alpine = re.search(r"alpine-minirootfs-3\.(\d+)", line)
        if alpine or "apk add" in line:
            # Alpine took musl 1.2 in 3.13.
            return Libc("musl", "1.1" if alpine and int(alpine[1]) < 13 else DEFAULT_MUSL)
        if "apt-get" in line:
            release = labels.get("org.opencontainers.image.version", "")
            suite_name = _UBUNTU_SUITES.get(release, "")
            return Libc("glibc", _SUITE_GLIBC.get(suite_name, DEFAULT_GLIBC))
    return None


def _history(config: Mapping[str, Any]) -> list[str]:
    found = config.get("history")
    entries = found if isinstance(found, list) else []
    return [str(e.get("created_by") or "") for e in entries if isinstance(e, dict)]


def _inner(config: Mapping[str, Any]) -> Mapping[str, Any]:
    found = config.get("config")
    return found if isinstance(found, dict) else {}


def _labels(config: Mapping[str, Any]) -> dict[str, str]:
    found = _inner(config).get("Labels")
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    found = _inner(config).get("Env")
    items = found if isinstance(found, list) else []
    return dict(str(item).partition("=")[::2] for item in items)


def _search_path(config: Mapping[str, Any]) -> list[str]:
    return (_environment(config).get("PATH") or _DEFAULT_PATH).split(":")
