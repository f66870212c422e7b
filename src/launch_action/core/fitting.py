"""As much of a report as there is room for: GitHub takes no text that is too long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from launch_action.core.markdown import linked
from launch_action.core.preview_row import Row
from launch_action.core.preview_table import Page, overview

_MISSES = 8


def fitted(blocks: Iterable[str], last: str, room: int, page: Page, left_out: int = 0) -> str:
    """As many blocks as there is room for, in their order, and what tells where the rest is.

    `room` is in bytes; `last` is there in any case. `left_out` counts what was left out before.
    """
    rest = f"**There is more than fits here**: {linked('see the workflow run', page.run_url)}."
    kept: list[str] = []
    misses = 0
    left = room - length(last) - length(rest) - 8
    for block in blocks:
        if length(block) + 2 <= left:
            kept.append(block)
            left -= length(block) + 2
        else:
            misses += 1
        if misses > _MISSES:  # to make blocks takes longer than to leave them out
            break
    return "\n\n".join(one for one in (*kept, rest if left_out or misses else "", last) if one)


def fitting(rows: Sequence[Row], page: Page, room: int) -> tuple[str, int]:
    """The table of as many rows as there is room for, and how many are left out."""
    shown, linked_to = len(rows), page
    while True:
        table = overview(rows[:shown], linked_to)
        if length(table) <= room:
            return table, len(rows) - shown
        if linked_to == Page():
            shown = shown * 3 // 4
        linked_to = Page()  # the links are the longest of it


def length(text: str) -> int:
    """Bytes of UTF-8: there are never fewer of them than of characters, however counted."""
    return len(text.encode())
