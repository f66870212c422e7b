"""What the page of a GitHub Release says of a job: a section between marks, in a text of others."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from launch_action.core.dataclass import dataclass
from launch_action.core.markdown import code, escape, fenced, linked, table


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A released job. `key` tells it from the others of the release, `title` names it for people.

    `job` and `image` are `repository@digest`; `image` is empty where it has none. `aliases` begin
    with the release's own. `sboms` are the URLs of its bills of materials, each by its platform.
    """

    key: str
    title: str
    job: str
    image: str
    aliases: tuple[str, ...]
    commit: str
    sboms: tuple[tuple[str, str], ...] = ()

    @property
    def marks(self) -> tuple[str, str]:
        """The lines around its section, which a page does not show."""
        mine = hashlib.sha256(self.key.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        return (
            f"<!-- launch-action release {mine} begins -->",
            f"<!-- launch-action release {mine} ends -->",
        )


def section(released: Released) -> str:
    """The section as markdown, with its marks; it ends without a line end."""
    begin, end = released.marks
    repository, _, _ = released.job.partition("@")
    rows = [
        ("Job", code(released.job)),
        ("Image", code(released.image)),
        ("Aliases", ", ".join(map(code, released.aliases))),
        ("Commit", code(released.commit)),
        ("SBOM", _sboms(released)),
    ]
    named = f"{repository}:{released.aliases[0]}" if released.aliases else released.job
    commands = [f"docker pull {released.image}"] if released.image else []
    return "\n\n".join(
        (
            begin,
            f"### {escape(released.title)}",
            table(("", ""), [row for row in rows if row[1]]),
            fenced("\n".join((*commands, f"launch-action run {named}")), "sh"),
            end,
        )
    )


def with_sections(body: str, jobs: Iterable[Released]) -> str:
    """The text with the section of each job: in place of its earlier one, else at the end.

    All else stays byte for byte. The same jobs again give the same text.
    """
    for released in jobs:
        text = section(released)
        found = _earlier(body, released)
        if found:
            body = body[: found.start()] + text + body[found.end() :]
        else:
            body += _distance(body) + text
    return body


def _earlier(body: str, released: Released) -> re.Match[str] | None:
    """The section that is there: from the last beginning before an end to that end."""
    begin, end = map(re.escape, released.marks)
    return re.search(rf"{begin}(?:(?!{begin}).)*?{end}", body, re.DOTALL)


def _distance(body: str) -> str:
    """What parts a new section from the text before it."""
    if not body:
        return ""
    lines = "\r\n" if "\r\n" in body else "\n"
    return lines if body.endswith(("\n\n", "\r\n\r\n")) else lines * 2


def _sboms(released: Released) -> str:
    several = len(released.sboms) > 1
    named = ((f"SPDX, {platform}" if several else "SPDX", url) for platform, url in released.sboms)
    return ", ".join(linked(escape(text), url) for text, url in named)
