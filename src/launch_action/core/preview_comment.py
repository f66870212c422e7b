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
from collections.abc import Iterable, Iterator, Sequence

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.fitting import fitted, fitting, length
from launch_action.core.markdown import code, escape, folded, linked
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
ANY_MARKER = "<!-- launch-action preview "
_DATA = re.compile(r"<!-- launch-action rows ([A-Za-z0-9+/=]+) -->")


@dataclass(frozen=True, slots=True)
class Report:
    """What a comment says: of every leg the latest row, and up to which run all was removed."""

    rows: tuple[Row, ...] = ()
    removed: int = 0

    def merged(self, other: Report) -> Report:
        """What both together know."""
        return Report(newest((*self.rows, *other.rows)), max(self.removed, other.removed))

    def has(self, row: Row) -> bool:
        """Whether it says of a leg what this row says, or something later."""
        return any(
            (one.key == row.key and one.moment >= row.moment)
            or (one.title == row.title and one.run > row.run)
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
    rows, removed = document.get("rows"), document.get("removed")
    return Report(
        newest(row for row in map(read_row, rows if isinstance(rows, list) else ()) if row),
        removed if type(removed) is int else 0,
    )


def render(report: Report, page: Page, mark: str) -> str:
    """The comment's text, `mark` being its first line; shorter than GitHub's limit."""
    rows = newest(report.rows)
    carried = _data(Report(rows, report.removed))
    room = LIMIT - length(mark) - length(carried) - 4
    body = _removed(rows, page) if report.is_removed else _shown(rows, page, room)
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


def _removed(rows: Sequence[Row], page: Page) -> str:
    gone = [replace(_ended(row), reproduce="") for row in rows]
    return (
        "### ⚪ Preview removed\n\n"
        "The aliases of this pull request are removed, and the versions that only they reached."
        f"\n\n{folded('What it was', fitting(gone, page, _TABLE_LIMIT)[0])}"
    ).rstrip()


def _data(report: Report) -> str:
    """The rows as they travel; where they are too many, less of each, and at last fewer."""
    kept, packed = report.rows, _packed(report.rows, report.removed)
    for shorter in (Row.brief, Row.bare):
        if len(packed) > _DATA_LIMIT:
            kept = tuple(map(shorter, kept))
            packed = _packed(kept, report.removed)
    while len(packed) > _DATA_LIMIT:
        # The latest are those that somebody is waiting for.
        by_age = sorted(kept, key=lambda row: row.moment, reverse=True)
        kept = tuple(by_age[: len(kept) * 3 // 4])
        packed = _packed(kept, report.removed)
    return f"<!-- launch-action rows {packed} -->"


def _packed(rows: Iterable[Row], removed: int) -> str:
    text = f'{{"format":{_FORMAT},"removed":{removed},"rows":{dumped(rows)}}}'
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode("ascii")
