"""GitHub's published schema of its webhook payloads, fetched once a machine.

It is the npm package `@octokit/webhooks-schemas`, pinned by its integrity and kept in the tests'
cache.
"""

from __future__ import annotations

import functools
import json
import urllib.error
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
from support import npm

VERSION = "7.6.1"
# Of the whole package, in base64, as npm writes it.
SHA512 = "qW0Bwtb76r4m2WzVhKDyfEeEnt1GEQoRjkCqmq2ZeB0nNVDJ+Z2LBDS9FDPyduuMXf/ZTWiCJp9PFFHgRfBe3A=="


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
    content = npm.file_of("@octokit/webhooks-schemas", VERSION, SHA512, "schema.json")
    found: dict[str, Any] = json.loads(content)
    return found
