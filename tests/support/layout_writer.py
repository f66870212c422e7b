"""A process that records versions in a layout directory: DIR SEED COUNT, killed at any moment.

Prints `ready`, then one line per finished version: its digest.
"""

from __future__ import annotations

import sys
from pathlib import Path

from support.versions import AMD64, ARM64, put_image, spec

from launch_action.core.reference import Tag
from launch_action.core.store import JobStore
from launch_action.core.tags import alias_tag
from launch_action.oci.layout import LayoutContent


def write(directory: Path, seed: str, count: int) -> None:
    for number in range(count):
        content = LayoutContent(directory, "shared")
        name = f"{seed}-{number}"
        store = JobStore(content)
        for platform in (AMD64, ARM64):
            put_image(content, name, platform)
        recorded = store.record(spec(name, platforms=(AMD64, ARM64)))
        store.point(recorded.version, [Tag("latest"), alias_tag(name)])
        if number % 3 == 2:
            content.collect()
        print(recorded.version.digest, flush=True)


if __name__ == "__main__":
    print("ready", flush=True)
    write(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
