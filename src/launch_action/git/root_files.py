"""Files at the root of a commit that are read as configuration."""

from __future__ import annotations

from collections.abc import Sequence

from launch_action.core.checkout import Checkout
from launch_action.core.errors import InputError
from launch_action.git.objects import read_objects


def root_files(checkout: Checkout, names: Sequence[str], limit: int) -> dict[str, bytes]:
    """Those of the names that are files at the root of the checkout's commit, with their content.

    Raises InputError for one of more than `limit` bytes, and SourceError.
    """
    found: dict[str, bytes] = {}
    with read_objects(checkout.repository) as objects:
        asked = [f"{checkout.commit}:{name}" for name in names]
        for name, (one, chunks) in zip(names, objects.stream(asked), strict=True):
            if one is None or one.kind != "blob":
                continue
            if one.size > limit:
                raise InputError(
                    f"{name}: {one.size} bytes at commit {checkout.short_commit}",
                    hint=f"it may have {limit} bytes",
                )
            found[name] = b"".join(chunks)
    return found
