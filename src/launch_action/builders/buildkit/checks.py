"""What BuildKit's checks say of a Dockerfile, and where a failed build stopped.

Source of the format: the buildx reference, "Check a build" (`--call=check,format=json`), and the
metadata file's `buildx.build.warnings`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from launch_action.core.dataclass import dataclass
from launch_action.core.dockerfile import numbered_instructions

_PLACE = re.compile(r"^(?:ERROR: )?(\S+):(\d+)$", re.MULTILINE)
# How the engine's BuildKit names what failed; the second form of a command is the newer one.
_TOLD_LINE = re.compile(r"parse error (?:on )?line (\d+)")
_COMMAND = re.compile(r"/bin/sh -c (.+?)(?:\]: exit code|\" did not complete)", re.DOTALL)
_MISSING = re.compile(r'"/([^"]+)"(?:: |.*)not found')
_REASON = re.compile(r"^ERROR: (?:failed to build: )?(?:failed to solve: )?(.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark, with the Dockerfile's line (from 1; 0: of the whole)."""

    text: str
    line: int


def read_findings(text: str) -> tuple[Finding, ...]:
    """The remarks of `--call=check,format=json`; none where it is not that."""
    try:
        document = json.loads(text)
        return tuple(_findings(document.get("warnings") or []))
    except (ValueError, AttributeError, TypeError, KeyError, IndexError):
        return ()


def _findings(warnings: list[dict[str, Any]]) -> Iterator[Finding]:
    for warning in warnings:
        ranges = (warning.get("location") or {}).get("ranges") or [{"start": {"line": 0}}]
        name = warning.get("ruleName") or "check"
        detail = warning.get("detail") or warning.get("description") or ""
        url = f" ({warning['url']})" if warning.get("url") else ""
        yield Finding(f"{name}: {detail}{url}", int(ranges[0]["start"]["line"]))


def stopped_at(reason: str, text: str, dockerfile: str) -> str:
    """Dockerfile and line at which a build stopped, as an error's message begins with them.

    The engine alone tells the command and not its line, which is looked for in the `text`.
    """
    if not dockerfile:
        return "the generated Dockerfile"
    line = _line_of(reason, text)
    return f"{dockerfile}:{line}" if line else dockerfile


def _line_of(reason: str, text: str) -> int:
    told = _TOLD_LINE.search(reason)
    if told:
        return int(told[1])
    command, missing = _COMMAND.search(reason), _MISSING.search(reason)
    for line, one in numbered_instructions(text):
        rest = " ".join(one.rest.split())
        if command and one.name == "RUN" and " ".join(command[1].split()) in rest:
            return line
        if missing and one.name in ("COPY", "ADD") and missing[1] in rest:
            return line
    return 0


def failure(said: str, text: str, dockerfile: str) -> str:
    """One line on why a build failed, with the line in the Dockerfile's text where it is found."""
    reasons = _REASON.findall(said)
    reason = reasons[-1] if reasons else "the build failed"
    told = _PLACE.search(said)
    where = stopped_at(reason, text, dockerfile)
    if told and dockerfile:
        where = f"{dockerfile}:{told[2]}"
    return f"{where}: {reason}"
