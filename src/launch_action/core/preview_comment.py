"""The comment of a workflow on a pull request: a rendering of rows, which it carries with it.

GitHub changes no comment on a condition, so that legs that write at the same time undo each other's
writing. Therefore a comment can be made anew from what it says and what a leg knows: its rows are
in it as data, in an HTML comment, and of each leg the later row is the true one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.fitting import fitted, fitting, length
from launch_action.core.markdown import code, escape, folded, linked
from launch_action.core.notes import preview_of
from launch_action.core.preview_row import BAD, FINAL, Row, dumped, newest, read_row, told_apart
from launch_action.core.preview_table import (
    Page,
    details,
    headline,
    named_failure,
    reproduction,
)

# GitHub takes "65536 characters"; what it counts is told in three ways (bytes, characters, UTF-16).
# Of UTF-8 bytes there are never fewer than of any of them.
LIMIT = 65_000
_DATA_LIMIT = 24_000
_TABLE_LIMIT = 30_000
_OTHER_LIMIT = 8_000
_UNPACKED_LIMIT = 4 * 1024 * 1024
_FORMAT = 1
# Versions that were pushed again: as many as are shown, and characters of what names one.
_SHOWN, _LONGEST = 20, 400
ANY_MARKER = "<!-- launch-action preview "
_DATA = re.compile(r"<!-- launch-action rows ([A-Za-z0-9+/=]+) -->")


@dataclass(frozen=True, slots=True)
class Report:
    """What a comment says: of every leg the latest row, and up to which run all was removed.

    `since` is when that was, in milliseconds since 1970, 0 where it is not known; `late` are the
    job versions that such a run, started again, has pushed after that, each with its commit.
    """

    rows: tuple[Row, ...] = ()
    removed: int = 0
    since: int = 0
    late: tuple[tuple[str, str], ...] = ()

    def merged(self, other: Report) -> Report:
        """What both together know."""
        rows = (*self.rows, *other.rows)
        known = Report((), max(self.removed, other.removed), max(self.since, other.since))
        late = (*self.late, *other.late, *((r.job, r.commit) for r in rows if known.is_late(r)))
        return replace(known, rows=newest(rows), late=tuple(dict.fromkeys(late))[-_SHOWN:])

    def is_late(self, row: Row) -> bool:
        """Whether a row is of a version that was pushed when all of its run had been removed."""
        after = 0 < self.since < row.at and row.run <= self.removed
        # What had the alias when it was pushed is removed, whenever its run has ended.
        without = bool(row.tags) and not any(map(preview_of, row.tags))
        return after and without and bool(row.job and row.store)

    def has(self, row: Row) -> bool:
        """Whether it says of a leg what this row says, or something later."""
        if self.is_late(row) and (row.job, row.commit) not in self.late:
            return False
        return any(
            (one.key == row.key and one.moment >= row.moment)
            or (one.title == row.title and one.run > row.run)
            or one.ends(row)
            for one in self.rows
        )

    @property
    def is_removed(self) -> bool:
        return self.removed > 0 and all(row.run <= self.removed for row in self.rows)


def marker(workflow: str) -> str:
    """The first line of the comments of a workflow, named by its file or else by its name."""
    return f"{ANY_MARKER}{hashlib.sha256(workflow.encode()).hexdigest()[:16]} -->"


def read_report(body: str) -> Report:
    """What a comment carries; nothing where that was cut or edited."""
    found = _DATA.findall(body)
    if not found:
        return Report()
    try:
        unpacker = zlib.decompressobj()
        # Ours is the last: a command that is shown above may hold words that look like it.
        text = unpacker.decompress(base64.b64decode(found[-1], validate=True), _UNPACKED_LIMIT)
        document = json.loads(text)
    except (binascii.Error, zlib.error, ValueError, RecursionError):
        return Report()
    if not isinstance(document, dict) or document.get("format") != _FORMAT:
        return Report()
    rows, removed, since = (document.get(name) for name in ("rows", "removed", "since"))
    return Report(
        newest(row for row in map(read_row, rows if isinstance(rows, list) else ()) if row),
        removed if type(removed) is int else 0,
        since if type(since) is int else 0,
        tuple(_late(document.get("late"))),
    )


def _late(found: Any) -> Iterator[tuple[str, str]]:
    for one in found[:_SHOWN] if isinstance(found, list) else ():
        if isinstance(one, list) and len(one) == 2 and all(isinstance(text, str) for text in one):
            yield one[0][:_LONGEST], one[1][:_LONGEST]


def render(report: Report, page: Page, mark: str) -> str:
    """The comment's text, `mark` being its first line; shorter than GitHub's limit."""
    rows = newest(report.rows)
    carried = _data(replace(report, rows=rows))
    room = LIMIT - length(mark) - length(carried) - 4
    body = _removed(report, page) if report.is_removed else _shown(rows, page, room)
    return f"{mark}\n{body}\n\n{carried}"


def _shown(rows: Sequence[Row], page: Page, room: int) -> str:
    latest = max((row.run for row in rows), default=0)
    current = told_apart(row for row in rows if row.run == latest)
    earlier = [_ended(row) for row in rows if row.run != latest]
    table, left_out = fitting(current, page, _TABLE_LIMIT)
    blocks = (one for one in _blocks(current, earlier, page, table) if one)
    return fitted(blocks, _footer(rows, page), room, page, left_out)


def _blocks(
    current: Sequence[Row], earlier: Sequence[Row], page: Page, table: str
) -> Iterator[str]:
    yield f"### {headline(current, 'Preview: ')}"
    yield table
    for row in current:
        if row.error:
            yield named_failure(row, alone=len(current) == 1)
    for row in sorted(current, key=lambda row: row.state not in BAD):
        yield _folded(row)
    yield folded(f"{len(earlier)} from earlier runs", fitting(earlier, page, _OTHER_LIMIT)[0])


def _folded(row: Row) -> str:
    """A job's details, the command that reproduces it first."""
    command = reproduction(row)
    told = f"Reproduce it locally:\n\n{command}" if command else ""
    found = "\n\n".join(part for part in (told, details(row)) if part)
    what = "how to reproduce it, and details" if command else "details"
    return folded(f"<b>{escape(row.title)}</b>: {what}", found)


def _ended(row: Row) -> Row:
    """A row that a later run did not renew: whoever wrote it has ended."""
    return row if row.state in FINAL else replace(row, state="cancelled")


def _footer(rows: Sequence[Row], page: Page) -> str:
    bases = sorted({row.base.name for row in rows if row.base and row.base.name})
    compared = f"Compared with {', '.join(map(code, bases))} · " if bases else ""
    name = f" of {escape(page.workflow)}" if page.workflow else ""
    return f"<sub>{compared}{linked('Workflow run', page.run_url)}{name}</sub>"


def _removed(report: Report, page: Page) -> str:
    gone = [replace(_ended(row), reproduce="") for row in newest(report.rows)]
    parts = (
        "### ⚪ Preview removed",
        "The aliases of this pull request are removed, and the versions that only they reached.",
        _pushed_again(report.late),
        folded("What it was", fitting(gone, page, _TABLE_LIMIT)[0]),
    )
    return "\n\n".join(part for part in parts if part)


def _pushed_again(late: Sequence[tuple[str, str]]) -> str:
    """What a run that was started again has pushed when all was removed."""
    if not late:
        return ""
    shown = [f"- {code(job)}, commit {code(commit[:12])}" for job, commit in late[-_SHOWN:]]
    return (
        "Workflow runs that were started again, or came late, have pushed versions after that. "
        "They have no alias but their commit's, and `launch-action cleanup` takes them when they "
        "are old:\n\n" + "\n".join(shown)
    )


def _data(report: Report) -> str:
    """The rows as they travel; where they are too many, less of each, and at last fewer."""
    kept, packed = report.rows, _packed(report)
    for shorter in (Row.brief, Row.bare):
        if len(packed) > _DATA_LIMIT:
            kept = tuple(map(shorter, kept))
            packed = _packed(replace(report, rows=kept))
    while len(packed) > _DATA_LIMIT:
        # The latest are those that somebody is waiting for.
        by_age = sorted(kept, key=lambda row: row.moment, reverse=True)
        kept = tuple(by_age[: len(kept) * 3 // 4])
        packed = _packed(replace(report, rows=kept))
    return f"<!-- launch-action rows {packed} -->"


def _packed(report: Report) -> str:
    removal = ""
    if report.removed:
        late = json.dumps(report.late, separators=(",", ":"))
        removal = f'"since":{report.since},"late":{late},'
    text = (
        f'{{"format":{_FORMAT},"removed":{report.removed},{removal}"rows":{dumped(report.rows)}}}'
    )
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")
