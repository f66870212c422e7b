"""The last step of a block, which an interruption must not keep from being done."""

from __future__ import annotations

from collections.abc import Callable


def finish(step: Callable[[], object]) -> None:
    """Do it, and once more where an interruption comes in the middle, which then goes on.

    The step may be done twice. Raises what it raises.
    """
    try:
        step()
    except BaseException:
        step()
        raise
