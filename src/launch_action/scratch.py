"""Temporary directories, outside the cache, of which none is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from launch_action.core.finishing import finish


@contextmanager
def scratch_directory(prefix: str = "launch-action-") -> Iterator[str]:
    """The path of a new empty directory of this user alone, gone when the block ends.

    Also where the removal is interrupted, in the middle of which the standard library's ends.
    """
    # Imported where it is used: it takes `random` and `shutil` along.
    from tempfile import TemporaryDirectory

    made = TemporaryDirectory(prefix=prefix)
    try:
        yield made.name
    finally:
        finish(made.cleanup)
