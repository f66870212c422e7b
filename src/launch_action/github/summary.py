"""The step's summary: the table of a preview's comment, for the jobs of this step, and more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import LaunchError
from launch_action.core.fitting import fitted, fitting
from launch_action.core.markdown import code, escape, fenced, folded, link, size, table
from launch_action.core.preview_row import BAD, NOT_BEGUN, Row, told_apart, with_error
from launch_action.core.preview_table import (
    Page,
    details,
    failure,
    headline,
    named_failure,
    reproduction,
)

# Under the runner's 1 MiB, of which another part of the step may have used some.
_ROOM = 1_000_000
_TABLE_ROOM = 400_000


@dataclass(frozen=True, slots=True)
class Entry:
    """A job of the step: its row, and its outputs as far as they are known."""

    row: Row
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """What the step is about: words before its jobs, as markdown, and why it does what it does."""

    words: str = ""
    why: str = ""


def render(entries: Sequence[Entry], page: Page, subject: Subject = Subject()) -> str:  # noqa: B008  # frozen
    """The summary as markdown, ending in a newline."""
    rows = told_apart(entry.row for entry in entries)
    entries = [replace(one, row=row) for one, row in zip(entries, rows, strict=True)]
    overview, left_out = fitting(rows, page, _TABLE_ROOM)
    alone = len(entries) == 1
    blocks = [
        f"### {headline(rows, subject.words)}",
        f"<sub>{escape(subject.why, 1000)}</sub>" if subject.why else "",
        overview,
        *(named_failure(row, alone=alone) for row in rows if row.error),
        *(_held(entry, alone=alone) for entry in entries),
        *(_details(entry, alone=alone) for entry in sorted(entries, key=_good)),
    ]
    return fitted([one for one in blocks if one], "", _ROOM, page, left_out) + "\n"


def render_failure(error: LaunchError, subject: Subject | None = None) -> str:
    """The summary of a step that failed before it had a job, of a `subject` where that is known."""
    title = NOT_BEGUN if subject else "launch-action"
    row = with_error(Row(key="-", title=title, run=0, state="failed"), error)
    return f"### {headline([row], subject.words if subject else '')}\n\n{failure(row)}\n"


def _held(entry: Entry, *, alone: bool) -> str:
    """The aliases that a run which did not go well has kept from its version."""
    held = (entry.values["metadata"] or {}).get("held") or {}
    if not held or held["moved"]:
        return ""
    names = ", ".join(map(code, held["aliases"]))
    whose = "" if alone else f"**{escape(entry.row.title)}**: "
    return (
        f"{whose}Aliases that are not moved: {names}. By hand:\n\n{fenced(held['command'], 'sh')}"
    )


def _good(entry: Entry) -> bool:
    return entry.row.state not in BAD


def _details(entry: Entry, *, alone: bool) -> str:
    row, metadata = entry.row, entry.values["metadata"] or {}
    parts = (
        folded("Reproduce it locally", reproduction(row)),
        details(row, _facts(entry.values)),
        _timings(metadata),
    )
    found = "\n\n".join(part for part in parts if part)
    return found if alone else folded(f"<b>{escape(row.title)}</b>: details", found)


def _facts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    metadata = values["metadata"] or {}
    base = ", ".join(f"{one['name']} {one['identity']}" for one in metadata.get("base") or ())
    return [
        ("Builder", _builder(metadata)),
        ("Base image", code(base)),
        ("Cache", _word(values["cache_hit"], "hit: nothing was built", "miss")),
        ("Pushed", _word(values["pushed"], "yes", "no")),
        ("W&B", _registered(metadata.get("wandb") or {})),
        ("Transferred", _traffic(metadata)),
    ]


def _registered(found: Mapping[str, Any]) -> str:
    """The job's names at W&B, with their pages."""
    pairs = (("job", "url"), ("image_job", "image_url"))
    names = [link(found[name], found.get(url) or "") for name, url in pairs if found.get(name)]
    return ", ".join(names)


def _builder(metadata: Mapping[str, Any]) -> str:
    reason = f": {escape(metadata['reason'])}" if metadata.get("reason") else ""
    return f"{code(metadata['builder'])}{reason}" if metadata.get("builder") else ""


def _traffic(metadata: Mapping[str, Any]) -> str:
    sent, received = metadata.get("bytes_sent"), metadata.get("bytes_received")
    requests = metadata.get("requests")
    if not requests:  # what was written to this machine's own store went over no network
        return ""
    counts = [
        f"{size(sent)} sent" if sent is not None else "",
        f"{size(received)} received" if received is not None else "",
        f"{requests} requests",
    ]
    return ", ".join(count for count in counts if count)


def _word(value: bool | None, yes: str, no: str) -> str:
    return "" if value is None else yes if value else no


def _timings(metadata: Mapping[str, Any]) -> str:
    rows = [(escape(name), f"{s:.2f}") for name, s in (metadata.get("timings") or {}).items()]
    return folded("Timings", table(("phase", "seconds"), rows))
