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

_PLACE = re.compile(r"^(?:ERROR: )?(\S+):(\d+)$", re.MULTILINE)
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


def failure(said: str, dockerfile: str) -> str:
    """One line on why a build failed, with the Dockerfile's line where that is told."""
    reasons = _REASON.findall(said)
    place = _PLACE.search(said)
    where = f"{dockerfile or 'the generated Dockerfile'}"
    where += f":{place[2]}" if place else ""
    return f"{where}: {reasons[-1] if reasons else 'the build failed'}"
