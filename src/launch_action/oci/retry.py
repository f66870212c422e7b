"""Patience with a registry: which faults pass by themselves, and how long they are waited for.

Exponential backoff with full jitter: the wait before try n is random between 0 and
`base * 2**(n-1)`, so that many clients that failed together do not come back together.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol, TypeVar

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import RegistryError

Note = Callable[[str], None]
Result = TypeVar("Result")

# Seconds: no wait is told as longer than a year.
_LONGEST = 365 * 24 * 3600.0
# 501 and 505 are not there: a method that is not implemented now is not in a second either.
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504, 507, 520, 521, 522, 523, 524, 529})


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long one operation is tried; all times in seconds.

    `base` is the longest wait after the first failure, `cap` the longest at all, `after` the
    longest wait that a registry may ask for; no try begins later than `total` after the first, and
    none at all where the registry asks for a longer wait.
    `connect` and `answer` end a try in which nothing comes for so long.
    """

    tries: int = 5
    base: float = 0.3
    cap: float = 10.0
    after: float = 60.0
    total: float = 120.0
    connect: float = 10.0
    answer: float = 30.0

    def delay(self, failed: int, asked: float | None) -> float:
        """The wait after so many failed tries; `asked` is what the registry asked for."""
        if asked is not None:
            return min(max(asked, 0.0), self.after)
        import random

        longest = min(self.cap, self.base * 2.0 ** (failed - 1))
        return random.uniform(0.0, longest)  # noqa: S311  spreads load, decides nothing secret


class Moving(Protocol):
    """A transfer: when it last moved (`time.monotonic`), and how many bytes are safe already."""

    moved: float
    kept: int


class Transient(Exception):
    """An attempt failed in a way that may pass; `error` is what is raised when it does not."""

    def __init__(self, error: RegistryError, *, after: float | None = None) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after


def persist(
    attempt: Callable[[int], Result],
    patience: Patience,
    note: Note,
    moving: Moving | None = None,
) -> Result:
    """Call `attempt` with 1, 2, 3 ... until it does not raise Transient.

    Patience is counted from when something last moved, and tries since something was last kept: an
    hour of sending is no hour of waiting. Raises the last fault's RegistryError when the patience
    is used up.
    """
    begun = time.monotonic()
    number, kept = 1, 0
    while True:
        try:
            return attempt(number)
        except Transient as fault:
            if moving:
                begun = max(begun, moving.moved)
                number, kept = (1 if moving.kept > kept else number), moving.kept
            wait = patience.delay(number, fault.after)
            late = time.monotonic() - begun + wait > patience.total
            asked = fault.after is not None and fault.after > patience.after
            if number >= patience.tries or late or asked:
                raise fault.error from fault
            number += 1
            note(f"{fault.error.message}; try {number} of {patience.tries} in {wait:.1f} s")
            time.sleep(wait)


def retry_after(value: str | None) -> float | None:
    """`Retry-After` in seconds from now (RFC 9110 section 10.2.3); None when it says nothing."""
    if not value:
        return None
    if value.strip().isdecimal():
        return min(float(value), _LONGEST)
    from datetime import UTC, datetime
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
