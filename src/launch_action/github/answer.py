"""Answers of GitHub's API: what they say, and whether a refusal passes by itself."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass

# Seconds to wait where GitHub does not say how long its limit lasts. Source: GitHub's "Rate limits
# for the REST API", "Exceeding the rate limit".
_UNSAID = 60.0
_SHORTEST = 1.0
_PASSING = frozenset({408, 425, 500, 502, 503, 504})
_LIMIT = re.compile(
    r"rate limit|retry your request again later|wait a few minutes before you try again", re.I
)
# An integration is a workflow's token; a fine-grained token of a person is named otherwise.
_NO_RIGHT = re.compile(r"resource not accessible by", re.I)
NO_DOCUMENT: Any = object()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str

    def document(self) -> Any:
        """What the text holds as JSON; NO_DOCUMENT where it is none, such as a proxy's page."""
        try:
            return json.loads(self.text) if self.text else None
        except (ValueError, RecursionError):
            return NO_DOCUMENT

    @property
    def message(self) -> str:
        """GitHub's words on one line, the details of a validation with them; empty without any."""
        found = self.document()
        if not isinstance(found, dict):
            return ""
        errors = found.get("errors")
        details = [
            str(one.get("message") or one.get("code") or "") if isinstance(one, dict) else str(one)
            for one in (errors if isinstance(errors, list) else ())
        ]
        words = [str(found.get("message") or ""), *details]
        return " ".join("; ".join(word for word in words if word).split())

    @property
    def is_limit(self) -> bool:
        """Whether requests came too fast, or too many: what was asked was not done."""
        told = "retry-after" in self.headers or self.headers.get("x-ratelimit-remaining") == "0"
        match self.status:
            case 429:
                return True
            case 403:
                return told or bool(_LIMIT.search(self.message))
            case _:
                return False

    @property
    def passes(self) -> bool:
        """Whether it is a fault that may be over in a moment."""
        return self.status in _PASSING or (self.ok and self.document() is NO_DOCUMENT)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def lacks_right(self) -> bool:
        """Whether the token lacks a permission."""
        return self.status == 403 and bool(_NO_RIGHT.search(self.message))

    def wait(self) -> float:
        """Seconds until the limit ends, at least one."""
        after, reset = self.headers.get("retry-after"), self.headers.get("x-ratelimit-reset")
        if after is not None and after.isdecimal():
            return max(float(after), _SHORTEST)
        spent = self.headers.get("x-ratelimit-remaining") == "0"
        if spent and reset is not None and reset.isdecimal():
            return max(float(reset) - time.time(), _SHORTEST)
        return _UNSAID
