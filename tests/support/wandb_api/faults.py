"""Faults on demand: what the server does instead of answering, for how many requests."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from threading import Event

# What W&B says with a status.
_WORDS = {
    401: "user is not logged in",
    403: "permission denied",
    404: "not found",
    409: "conflict",
    429: "rate limit exceeded",
}


@dataclass(slots=True)
class Fault:
    """What becomes of the requests that match.

    `match` is a pattern of the whole name: a GraphQL operation, or `METHOD /path`. `skip` requests
    are answered first, then `times` are not (-1: for ever). With status 0 the connection ends
    without an answer; `after` then carries the request out before that. `wait` is in seconds, or
    until it is `over`; with status 200 it is all that is wrong, and the answer comes then.
    """

    match: str
    status: int = 500
    message: str = ""
    times: int = -1
    skip: int = 0
    wait: float = 0.0
    after: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    seen: int = 0
    over: Event = field(default_factory=Event)

    @property
    def words(self) -> str:
        return self.message or _WORDS.get(self.status, "internal server error")

    def takes(self, name: str) -> bool:
        """Whether this request is one of those; it is counted."""
        if not re.fullmatch(self.match, name):
            return False
        self.seen += 1
        place = self.seen - self.skip
        return place > 0 and (self.times < 0 or place <= self.times)
