"""A layout directory as a fixture, and what the tests of layouts put there."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.versions import (
    image_documents,
    put_image,
)

from launch_action.core.errors import StoreError
from launch_action.core.image import Manifest
from launch_action.oci.directory import STATE
from launch_action.oci.layout import LayoutContent

DATA = os.urandom(3 * 1024 * 1024 + 17)


def index_of(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "index.json").read_bytes())
    return found


def tagged_image(content: LayoutContent, seed: str, tag: str) -> Manifest:
    put_image(content, seed)
    manifest = image_documents(seed)[2]
    content.put_manifest(manifest, tag)
    return manifest


def snapshot(directory: Path) -> dict[str, tuple[int, int, int]]:
    """Every name below a directory with inode, size and modification time."""
    return {
        str(path.relative_to(directory)): (found.st_ino, found.st_size, found.st_mtime_ns)
        for path in sorted(directory.rglob("*"))
        if (found := path.lstat())
    }


def leftovers(directory: Path) -> list[str]:
    """What lies in the staging folder besides the lock."""
    return [path.name for path in (directory / STATE).iterdir() if path.name != "lock"]


def refused(act: Callable[[], object]) -> StoreError:
    with pytest.raises(StoreError) as caught:
        act()
    assert caught.value.hint
    assert caught.value.message[0].islower()
    return caught.value
