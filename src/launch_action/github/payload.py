"""The payload of an event, as the runner leaves it: outside text, of which nothing is certain."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError


@dataclass(frozen=True, slots=True)
class Payload:
    """What an event tells, asked by path: it answers nothing where it holds something else."""

    value: Any

    def within(self, *path: str) -> Payload:
        """What is there, whatever it is."""
        found = self.value
        for name in path:
            found = found.get(name) if isinstance(found, Mapping) else None
        return Payload(found)

    def text(self, *path: str) -> str:
        """The text there, else an empty one."""
        found = self.within(*path).value
        return found if isinstance(found, str) else ""

    def number(self, *path: str) -> int | None:
        """The positive number there."""
        found = self.within(*path).value
        return found if type(found) is int and found > 0 else None


def read_payload(environment: Mapping[str, str]) -> Payload:
    """The payload of this run's event, from GITHUB_EVENT_PATH; empty where there is none.

    Raises InputError when it cannot be read, or is not a JSON object.
    """
    path = environment.get("GITHUB_EVENT_PATH", "")
    try:
        content = Path(path).read_bytes() if path else b"{}"
    except FileNotFoundError:
        content = b"{}"
    except OSError as error:
        raise InputError(
            f"the event payload {path!r} cannot be read: {error.strerror}",
            hint="GITHUB_EVENT_PATH is set by the runner; do not change it",
        ) from error
    return Payload(parse_payload(content, path))


def parse_payload(content: bytes, path: str) -> Mapping[str, Any]:
    """The payload of an event. Raises InputError when it is not a JSON object."""
    try:
        payload = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"the event payload {path!r} is not JSON: {error}",
            hint="GITHUB_EVENT_PATH is written by the runner; do not change it",
        ) from error
    if not isinstance(payload, dict):
        raise InputError(
            f"the event payload {path!r} is not a JSON object but a {type(payload).__name__}",
            hint="GITHUB_EVENT_PATH is written by the runner; do not change it",
        )
    return payload
