"""The step's summary: GitHub markdown from plain values, in which outside text stays text."""

from __future__ import annotations

import re
from collections.abc import Mapping

from launch_action.core.dataclass import dataclass, field

# Everything that markdown, GitHub's autolinks (#1, @name, www., https://) or HTML give a meaning.
_SPECIAL = re.compile(r"[&<>\"'`*_~\[\]()|\\#@!{}$:]|www\.")
# Control characters, and those that reorder or hide the text around them.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_LONGEST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a launch left, as plain values. Sizes are bytes, `timings` seconds per phase.

    `commit_url` and `run_url` become links, if they are http(s) URLs; all other texts are shown
    as they are. `metrics` holds the job's own numbers and texts.
    """

    job_name: str
    job: str = ""
    image: str = ""
    tags: tuple[str, ...] = ()
    commit: str = ""
    commit_url: str = ""
    builder: str = ""
    reason: str = ""
    base: str = ""
    cache_hit: bool | None = None
    pushed: bool | None = None
    run_status: str = ""
    run_exit_code: int | None = None
    run_url: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    sent: int | None = None
    received: int | None = None
    requests: int | None = None
    metrics: Mapping[str, object] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    reproduce: str = ""
    error: str = ""
    hint: str = ""


def render(summary: Summary) -> str:
    """The summary as markdown, ending in a newline."""
    mark = "❌" if summary.error or summary.run_status in ("failed", "timeout") else "✅"
    parts = [
        f"### {mark} {escape(summary.job_name) or 'launch-action'}",
        _error(summary),
        _table(("", ""), _facts(summary)),
        _section("Metrics", _table(("metric", "value"), _metrics(summary.metrics))),
        _section("Timings", _table(("phase", "seconds"), _timings(summary.timings))),
        "\n".join(f"- ⚠️ {escape(text)}" for text in summary.warnings),
        _folded("Reproduce it", _block(summary.reproduce)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def escape(text: str, longest: int = _LONGEST) -> str:
    """Outside text as markdown that shows it, on one line, cut at `longest` characters.

    >>> escape("a|b")
    'a&#124;b'
    """
    # GitHub looks for @name and #1 after the entities were read: a zero-width space parts them.
    return re.sub("&#(64|35);", r"&#\1;&#8203;", _escape(text, longest))


def code(text: str) -> str:
    """Outside text in a code span; not in backticks, in which nothing can be escaped.

    Nothing is added to it, so that it can be copied: GitHub makes no links in code.
    """
    return f"<code>{_escape(text, _LONGEST)}</code>" if text else ""


def _escape(text: str, longest: int) -> str:
    shown = text if len(text) <= longest else text[:longest] + "…"
    return _literal(" ".join(shown.split()))


def _literal(text: str) -> str:
    return _SPECIAL.sub(_entities, _INVISIBLE.sub("\N{REPLACEMENT CHARACTER}", text))


def link(text: str, url: str) -> str:
    """A link where the URL is one of the web, else the text alone."""
    if not re.fullmatch(r"https?://[A-Za-z0-9._:/?&=%@+~-]+", url):
        return code(text)
    return f'<a href="{url.replace("&", "&amp;")}">{code(text)}</a>'


def size(count: int) -> str:
    """A number of bytes for people, in powers of 1000.

    >>> size(17_300_000)
    '17.3 MB'
    """
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


def _facts(summary: Summary) -> list[tuple[str, str]]:
    rows = [
        ("Job version", code(summary.job)),
        ("Image", code(summary.image)),
        ("Aliases", " ".join(code(tag) for tag in summary.tags)),
        ("Commit", link(summary.commit, summary.commit_url)),
        ("Builder", _builder(summary)),
        ("Base image", code(summary.base)),
        ("Cache", _word(summary.cache_hit, "hit: nothing was built", "miss")),
        ("Pushed", _word(summary.pushed, "yes", "no")),
        ("Transferred", _traffic(summary)),
        ("Run", _run(summary)),
    ]
    return [(name, value) for name, value in rows if value]


def _builder(summary: Summary) -> str:
    reason = f": {escape(summary.reason)}" if summary.reason else ""
    return f"{code(summary.builder)}{reason}" if summary.builder else ""


def _traffic(summary: Summary) -> str:
    counts = [
        f"{size(summary.sent)} sent" if summary.sent is not None else "",
        f"{size(summary.received)} received" if summary.received is not None else "",
        f"{summary.requests} requests" if summary.requests is not None else "",
    ]
    return ", ".join(count for count in counts if count)


def _run(summary: Summary) -> str:
    if not summary.run_status:
        return ""
    ended = f", exit code {summary.run_exit_code}" if summary.run_exit_code is not None else ""
    shown = link(summary.run_status, summary.run_url) if summary.run_url else ""
    return (shown or escape(summary.run_status)) + ended


def _word(value: bool | None, yes: str, no: str) -> str:
    return "" if value is None else yes if value else no


def _metrics(metrics: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(escape(str(name)), escape(_number(value))) for name, value in metrics.items()]


def _number(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _timings(timings: Mapping[str, float]) -> list[tuple[str, str]]:
    return [(escape(name), f"{seconds:.2f}") for name, seconds in timings.items()]


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    if not rows:
        return ""
    lines = [f"| {head[0]} | {head[1]} |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows)])


def _section(title: str, body: str) -> str:
    return f"**{title}**\n\n{body}" if body else ""


def _error(summary: Summary) -> str:
    if not summary.error:
        return ""
    hint = f"<br>hint: {escape(summary.hint)}" if summary.hint else ""
    return f"> {escape(summary.error)}{hint}"


def _block(text: str) -> str:
    """Outside text of several lines; blank ones would end the HTML block."""
    lines = [_literal(line) if line.strip() else "&nbsp;" for line in text.splitlines()]
    return "<pre>" + "\n".join(lines) + "</pre>"


def _folded(title: str, body: str) -> str:
    if body == "<pre></pre>":
        return ""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def _entities(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(character)};" for character in match[0])
