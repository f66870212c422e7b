"""Brings the rows of a step into the comment of a preview, beside other steps that do the same.

GitHub changes no comment on a condition. A leg keeps its row where nobody else writes, renders all
rows that it knows of, and looks again after a second or two, until the comment says of its own legs
what they are; whoever overwrote it does the same. Of several comments the oldest stays.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Protocol

from launch_action.core.dataclass import dataclass
from launch_action.core.preview_comment import Report, read_report, render
from launch_action.core.preview_row import FINAL, Row
from launch_action.core.preview_table import Page
from launch_action.github.refusal import Refused

# Seconds between two looks, at least and at most.
_SHORTEST, _LONGEST = 1.0, 8.0
_BEHIND = 3.0  # after which everybody sees a comment that was made
_FAILURES = 3  # of GitHub's in turn
_ROOM = 200  # rows that a comment surely carries


@dataclass(frozen=True, slots=True)
class Posted:
    """A comment as it was read."""

    identity: int
    body: str


class Board(Protocol):
    """The comments of one workflow on one pull request. Methods raise ServiceError."""

    def comments(self) -> Sequence[Posted]:
        """Those that this program wrote, the oldest first."""
        ...

    def create(self, body: str) -> None: ...

    def update(self, identity: int, body: str) -> None:
        """Change one, unless it is not there any more."""
        ...

    def delete(self, identity: int) -> None:
        """Delete one, unless it is not there any more."""
        ...

    def hurry(self) -> None:
        """From now on, give up soon."""
        ...


class Keeping(Protocol):
    """Where rows are kept besides, each in a place that its leg alone writes to."""

    def keep(self, row: Row) -> None: ...

    def fetch(self, row: Row) -> Row | None:
        """What another leg kept in the place that its row names."""
        ...


class Rendering:
    """Brings rows into the comment, and sees to it that they stay there."""

    def __init__(self, board: Board, keeping: Keeping, page: Page, mark: str) -> None:
        self._board = board
        self._keeping = keeping
        self._page = page
        self._mark = mark
        self._known = Report()  # all that comments ever said
        self._created = 0.0

    def show(self, rows: Sequence[Row]) -> bool:
        """Put the rows into the comment, once; whether nothing was left to be done."""
        mine = Report(tuple(rows))
        found = self._board.comments()
        for one in found:
            self._known = self._known.merged(read_report(one.body))
        kept = self._kept_by_others(self._known.merged(mine), mine)
        wanted = self._known.merged(mine).merged(kept)
        if not found:
            self._create(wanted)
            return False
        there = read_report(found[0].body)
        # A comment has no room for any number of rows, but for these.
        needed = wanted.rows if len(wanted.rows) <= _ROOM else (*mine.rows, *kept.rows)
        done = all(map(there.has, needed)) and len(found) == 1
        if not done:
            self._board.update(found[0].identity, render(wanted, self._page, self._mark))
            for other in found[1:]:
                self._board.delete(other.identity)
        return done

    def settle(self, rows: Sequence[Row], patience: float) -> bool:
        """Repeat until the comment has the rows; False where that took longer than `patience`.

        Raises ServiceError where it cannot get them, or where GitHub's fault did not pass.
        """
        deadline = time.monotonic() + patience
        wait, failed = _SHORTEST, 0
        while True:
            done = self.try_to_show(rows)
            failed = failed + 1 if isinstance(done, Refused) and not done.wait else 0
            # Who made a comment may not see yet that another one did.
            if done is True and time.monotonic() > self._created + _BEHIND:
                return True
            # Of those who write at the same time not all come back at the same time.
            pause = wait * (1 + secrets.randbelow(1000) / 1000)
            if isinstance(done, Refused):
                pause = max(pause, done.wait)
            if time.monotonic() + pause > deadline or failed >= _FAILURES:
                if isinstance(done, Refused):
                    raise done
                return done
            time.sleep(pause)
            wait = min(wait * 1.3, _LONGEST)

    def try_to_show(self, rows: Sequence[Row]) -> bool | Refused:
        """As `show`; or why GitHub did not, where that may be over soon."""
        try:
            return self.show(rows)
        except Refused as error:
            if not _passes(error):
                raise
            return error

    def hurry(self) -> None:
        """From now on, give up soon."""
        self._board.hurry()

    def _create(self, wanted: Report) -> None:
        if not self._created:
            # The legs of a matrix begin together: most of them find the comment of the first.
            time.sleep(secrets.randbelow(1000) / 1000)
            if self._board.comments():
                return
        self._created = time.monotonic()
        self._board.create(render(wanted, self._page, self._mark))

    def _kept_by_others(self, wanted: Report, mine: Report) -> Report:
        """What the legs that the comment still shows at work have kept by now.

        A leg's last writing may have been undone by one that read the comment long before.
        """
        if not all(row.state in FINAL for row in mine.rows):
            return Report()
        others = [
            row
            for row in wanted.rows
            if row.state not in FINAL
            and row.run == self._page.run
            and not any(one.key == row.key for one in mine.rows)
        ]
        return Report(tuple(row for row in map(self._keeping.fetch, others) if row))


def _passes(error: Refused) -> bool:
    """Whether it may be over in a moment: a fault, a limit, no answer."""
    return error.status < 400 or error.status >= 500 or error.wait > 0
