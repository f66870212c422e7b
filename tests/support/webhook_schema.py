"""GitHub's published schema of its webhook payloads, fetched once a machine.

It is the npm package `@octokit/webhooks-schemas`, pinned by its integrity and kept in the tests'
cache.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import json
import os
import tarfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs

VERSION = "7.6.1"
# Of the whole package, in base64, as npm writes it.
SHA512 = "qW0Bwtb76r4m2WzVhKDyfEeEnt1GEQoRjkCqmq2ZeB0nNVDJ+Z2LBDS9FDPyduuMXf/ZTWiCJp9PFFHgRfBe3A=="
URL = f"@octokit/webhooks-schemas/-/webhooks-schemas-{VERSION}.tgz"


def missing() -> str:
    """Why the schema cannot be had; empty when it can."""
    try:
        schema()
    except (urllib.error.URLError, TimeoutError) as error:
        return f"the schema is not in the cache, and npm's registry: {error}"
    return ""


def faults(payload: Mapping[str, Any], name: str) -> list[str]:
    """What the schema's definition of this name has against a payload."""
    wanted = {"$ref": f"#/definitions/{name}", "definitions": schema()["definitions"]}
    found = jsonschema_rs.Draft7Validator(wanted).iter_errors(dict(payload))
    return [f"{'.'.join(map(str, one.instance_path))}: {one.message}" for one in found]


@functools.cache
def schema() -> dict[str, Any]:
    """The whole schema."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "launch-action-tests"
    kept = home / f"webhooks-schemas-{VERSION}.tgz"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_bytes(_download())
        partial.rename(kept)
    with tarfile.open(kept) as package:
        member = package.extractfile("package/schema.json")
        assert member is not None
        found: dict[str, Any] = json.load(io.TextIOWrapper(member, "utf-8"))
    return found


def _download() -> bytes:
    registry = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org").rstrip("/")
    with urllib.request.urlopen(f"{registry}/{URL}", timeout=60) as answer:
        content: bytes = answer.read()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    assert found == SHA512, f"another package than the pinned one: {found}"
    return content
