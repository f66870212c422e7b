"""GitHub markdown from plain values, in which outside text stays text."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Everything that markdown, GitHub's autolinks (#1, @name, www., https://) or HTML give a meaning.
_SPECIAL = re.compile(r"[&<>\"'`*_~\[\]()|\\#@!{}$:]|www\.")
# Control characters, and those that reorder or hide the text around them.
_INVISIBLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f"
    r"\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0e\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff"
    r"\U000e0000-\U000e0fff]"
)
_MARK = "\N{REPLACEMENT CHARACTER}"
LONGEST = 500


def escape(text: str, longest: int = LONGEST) -> str:
    """Outside text as markdown that shows it, on one line, cut at `longest` characters.

    >>> escape("a|b")
    'a&#124;b'
    """
    # GitHub looks for @name, #1 and GH-1 after the entities were read: a zero-width space parts
    # them.
    parted = re.sub(r"&#(64|35);", r"&#\1;&#8203;", _escape(text, longest))
    return re.sub(r"\b(gh-)(?=\d)", r"\1&#8203;", parted, flags=re.IGNORECASE)


def code(text: str, longest: int = LONGEST) -> str:
    """Outside text in a code span; not in backticks, in which nothing can be escaped.

    Nothing is added to it, so that it can be copied: GitHub makes no links in code.
    """
    return f"<code>{_escape(text, longest)}</code>" if text else ""


def link(text: str, url: str) -> str:
    """A link around outside text as code, where the URL is one of the web; else the text alone."""
    return linked(code(text), url)


def linked(markdown: str, url: str) -> str:
    """A link around what is markdown already, where the URL is one of the web."""
    if not re.fullmatch(r"https?://[A-Za-z0-9._:/?&=%@+~-]{1,2000}", url):
        return markdown
    return f'<a href="{url.replace("&", "&amp;")}">{markdown}</a>'


def fenced(text: str, language: str = "") -> str:
    """Outside text of several lines as a code block, to be copied as it is.

    It is as long as its longest run of backticks needs, so that nothing in it ends it.
    """
    shown = "\n".join(visible(line) for line in re.split(r"\r\n|\r|\n", text))
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{shown}\n{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are markdown already; empty without rows."""
    if not rows:
        return ""
    lines = [head, [":--"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def folded(title: str, body: str) -> str:
    """A block that is folded at first, with its title in sight; empty without a body."""
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>" if body else ""


def visible(text: str) -> str:
    """Text in which every character that hides or reorders others is one that can be seen."""
    return _INVISIBLE.sub(_MARK, text)


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


def duration(seconds: float) -> str:
    """A time span for people.

    >>> duration(0.04), duration(3.25), duration(75), duration(3725)
    ('0.04 s', '3.2 s', '1 min 15 s', '1 h 2 min')
    """
    if seconds < 0.095:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _escape(text: str, longest: int) -> str:
    shown = text if len(text) <= longest else text[:longest] + "…"
    return _SPECIAL.sub(_entities, visible(" ".join(shown.split())))


def _entities(match: re.Match[str]) -> str:
    return "".join(f"&#{ord(character)};" for character in match[0])
