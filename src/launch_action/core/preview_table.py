"""The rows of a report as markdown: one table for all, and a folded block for each job."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from launch_action.core.comparison import Change
from launch_action.core.dataclass import dataclass
from launch_action.core.markdown import (
    code,
    duration,
    escape,
    fenced,
    link,
    linked,
    size,
    table,
)
from launch_action.core.preview_row import BAD, FINAL, MEMBERS, Metric, Row, Scalar, State

_ICONS: dict[State, str] = {
    "pending": "⚪", "building": "🟡", "running": "🔵", "done": "✅", "failed": "❌",
    "timeout": "❌", "cancelled": "🚫", "skipped": "⚪",
}  # fmt: skip
_WORDS: dict[State, str] = {"timeout": "timed out"}
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_INLINE = 3  # changes and metrics that the table itself shows
_SHORT = 12  # hexadecimal digits of a digest that tell it apart for people
_NBSP = "&nbsp;"
_MINUS = "\N{MINUS SIGN}"
_NONE = "\N{EN DASH}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Where a report stands. `repository_url` is that of its repository's page, empty for none.

    `run` is the workflow run that reports, `run_url` its page. `workflow` is outside text.
    """

    repository_url: str = ""
    run: int = 0
    run_url: str = ""
    workflow: str = ""

    def commit(self, sha: str) -> str:
        """A commit, short and linked to its page."""
        known = self.repository_url and _COMMIT.fullmatch(sha)
        return link(sha[:7], f"{self.repository_url}/commit/{sha}" if known else "")

    def run_of(self, row: Row) -> str:
        """The page of the workflow run that a row is of."""
        if not self.repository_url or not row.run:
            return ""
        return f"{self.repository_url}/actions/runs/{row.run}/attempts/{row.attempt}"


def overview(rows: Sequence[Row], page: Page) -> str:
    """The table: a line per row, without the columns that no row has anything for."""
    columns = [
        ("Job", [_job(row, page) for row in rows]),
        ("Image", [_image(row) for row in rows]),
        ("Dependencies", [_dependencies(row) for row in rows]),
        ("Build", [_build(row) for row in rows]),
        ("Run", [_run(row) for row in rows]),
    ]
    kept = [(head, cells) for head, cells in columns if any(cells)]
    lines = [[cells[place] for _, cells in kept] for place in range(len(rows))]
    return table([head for head, _ in kept], lines)


def details(row: Row, more: Iterable[tuple[str, str]] = ()) -> str:
    """What the table has no room for: versions, changes, metrics.

    `more` are further facts, values as markdown.
    """
    facts = [f"- {name}: {value}" for name, value in (*_facts(row), *more) if value]
    parts = ["\n".join(facts), _changed(row), _measured(row)]
    return "\n\n".join(part for part in parts if part)


def failure(row: Row) -> str:
    """What a leg failed with, and what to do about it; empty for one that did not."""
    if not row.error:
        return ""
    hint = f"<br>hint: {escape(row.hint, 1000)}" if row.hint else ""
    return f"> {escape(row.error, 1000)}{hint}"


def named_failure(row: Row, *, alone: bool) -> str:
    """The same under the job's name, where it is not the only one."""
    told = failure(row)
    return told if alone else f"> **{escape(row.title)}**<br>{told.removeprefix('> ')}"


def reproduction(row: Row) -> str:
    """The command that does the same on another machine."""
    return fenced(row.reproduce, "sh") if row.reproduce else ""


def headline(rows: Sequence[Row], of: str = "") -> str:
    """How it stands with the rows as a whole; `of` says in front of it what they are.

    >>> headline([Row(key="a", title="train", run=1, state="done")])
    '✅ train'
    """
    if len(rows) == 1:
        return f"{_ICONS[rows[0].state]} {of}{escape(rows[0].title)}"
    bad = sum(row.state in BAD for row in rows)
    ended = sum(row.state in FINAL for row in rows)
    left = len(rows) - ended
    if bad:
        more = f", {left} not done" if left else ""
        return f"❌ {of}{bad} of {len(rows)} jobs failed{more}"
    if left:
        return f"🟡 {of}{ended} of {len(rows)} jobs done"
    return f"✅ {of}{len(rows)} jobs" if rows else f"⚪ {of}no jobs"


def number(value: Scalar) -> str:
    """A metric's value for people: six significant digits of what is no whole number.

    >>> number(0.97222222), number(12), number(True)
    ('0.972222', '12', 'true')
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)


def _job(row: Row, page: Page) -> str:
    stand = linked(_word(row), page.run_of(row))
    commit = page.commit(row.commit)
    return (
        f"{_ICONS[row.state]}{_NBSP}<b>{escape(row.title, 80)}</b><br>"
        + f"{_NBSP}·{_NBSP}".join(part for part in (stand, commit) if part)
    )


def _word(row: Row) -> str:
    """How it stands with a row; `built` where its run is yet to begin."""
    built = row.state == "building" and row.build_seconds is not None
    return "built" if built else _WORDS.get(row.state, row.state)


def _image(row: Row) -> str:
    digest = row.image_digest.partition(":")[2][:_SHORT]
    if row.size is None:
        return code(digest)
    return _lines(code(digest), _fixed(size(row.size)), _growth(row))


def _growth(row: Row) -> str:
    base = row.base
    if base is None or base.size is None or row.size is None:
        return ""
    if base.image and base.image == row.image_digest:
        return "same image"
    grown = row.size - base.size
    return f"({_fixed(_signed(size(abs(grown)), grown))})" if grown else "(±0)"


def _dependencies(row: Row) -> str:
    if row.changes is None:
        return ""
    if not row.changes:
        return "no change"
    if len(row.changes) <= _INLINE:
        return _lines(*map(_change, row.changes))
    counts = [
        f"{_count(sum(one.kind == kind for one in row.changes), row.changes)}{_NBSP}{kind}"
        for kind in ("added", "removed", "changed")
        if any(one.kind == kind for one in row.changes)
    ]
    return _lines(*counts)


def _change(one: Change) -> str:
    before, after = (escape(text, 40) for text in (one.before, one.after))
    name = escape(one.name, 60)
    if not before:
        return f"+{_NBSP}{name} {after}"
    return f"{name} {before}{_NBSP}→{_NBSP}{after}" if after else f"{_MINUS}{_NBSP}{name} {before}"


def _build(row: Row) -> str:
    seconds = _fixed(duration(row.build_seconds)) if row.build_seconds is not None else ""
    return _lines(seconds, escape(row.reused))


def _run(row: Row) -> str:
    if not row.run_status or row.run_status == "skipped":
        return ""
    ended = f", exit code {row.run_exit_code}" if row.run_exit_code else ""
    seconds = f", {_fixed(duration(row.run_seconds))}" if row.run_seconds is not None else ""
    status = linked(escape(_WORDS.get(row.state, row.run_status)), row.run_url)
    shown = [f"{escape(one.name, 40)}{_NBSP}{_measure(one)}" for one in row.metrics[:_INLINE]]
    left = len(row.metrics) - _INLINE
    more = f"and {_count(left, row.metrics)} more" if left > 0 else ""
    return _lines(f"{status}{ended}{seconds}", *shown, more)


def _measure(metric: Metric) -> str:
    value = f"<b>{escape(number(metric.value), 40) or _NONE}</b>"
    change = metric.change
    return value if change is None else f"{value}{_NBSP}({_delta(change)})"


def _delta(change: float) -> str:
    return _signed(f"{abs(change):.3g}", change) if change else "±0"


def _signed(text: str, number: float) -> str:
    return f"+{text}" if number > 0 else f"{_MINUS}{text}"


def _facts(row: Row) -> list[tuple[str, str]]:
    base = row.base
    against = f"{code(base.name)} {code(base.commit[:7])}" if base and base.name else ""
    return [
        ("Job", code(row.job_name)),
        ("Job version", code(row.job)),
        ("Image", code(row.image)),
        ("Aliases", " ".join(code(tag) for tag in row.tags)),
        ("Compared with", against),
    ]


def _changed(row: Row) -> str:
    lines = [
        (code(one.name), code(one.before) or _NONE, code(one.after) or _NONE)
        for one in row.changes or ()
    ]
    return _first(table(("package", _base_name(row), "this"), lines), lines)


def _measured(row: Row) -> str:
    if any(one.before is not None for one in row.metrics):
        lines = [
            (escape(one.name), _value(one.before), _value(one.value), _grown(one))
            for one in row.metrics
        ]
        return _first(table(("metric", _base_name(row), "this", "change"), lines), lines)
    values = [(escape(one.name), _value(one.value)) for one in row.metrics]
    return _first(table(("metric", "value"), values), values)


def _count(count: int, members: Sequence[object]) -> str:
    """How many of the members; a row holds no more than some, and there may have been more."""
    return f"{count}+" if len(members) >= MEMBERS else str(count)


def _first(shown: str, members: Sequence[object]) -> str:
    """A table of the members, with a word where it may not be all of them."""
    return f"{shown}\n\nThe first {MEMBERS}." if len(members) >= MEMBERS else shown


def _base_name(row: Row) -> str:
    return escape(row.base.name if row.base else "") or "base"


def _value(value: Scalar) -> str:
    return escape(number(value)) or _NONE


def _grown(metric: Metric) -> str:
    change = metric.change
    if change is None:
        return ""
    before = metric.before
    percent = change / abs(before) if isinstance(before, int | float) and before else None
    shown = f" ({_signed(f'{abs(percent):.1%}', percent)})" if percent else ""
    return f"{_delta(change)}{shown}"


def _fixed(text: str) -> str:
    """A number with its unit, which no line end parts."""
    return text.replace(" ", _NBSP)


def _lines(*parts: str) -> str:
    return "<br>".join(part for part in parts if part)
