"""The comments of previews on GitHub, and rows kept in check runs where nothing is pushed."""

from __future__ import annotations

import time
from collections.abc import Sequence

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import ServiceError
from launch_action.core.preview_comment import ANY_MARKER, Report, marker, read_report, render
from launch_action.core.preview_row import BAD, FINAL, Row
from launch_action.core.preview_table import Page
from launch_action.github.api import GitHubApi
from launch_action.github.check_runs import CheckRun, CheckRuns, Conclusion
from launch_action.github.comments import Comments
from launch_action.github.environment import GitHubContext
from launch_action.github.refusal import Refused
from launch_action.planning.workplace import Workplace
from launch_action.step.comment_rendering import Keeping, Posted, Rendering
from launch_action.step.leg_rows import LegRows
from launch_action.step.preview_comment import PreviewComment
from launch_action.step.row_notes import RowNotes

# Seconds for an answer, and where the step was interrupted.
_ANSWER, _HURRY = 10, 3
_GONE = (404, 410)


@dataclass(frozen=True, slots=True)
class PullRequestBoard:
    """A Board (comment_rendering): the comments of one marker on a pull request."""

    api: GitHubApi
    pull_request: int
    mark: str

    def comments(self) -> Sequence[Posted]:
        found = Comments(self.api, self.pull_request).marked(self.mark)
        return [Posted(one.number, one.body) for one in found]

    def create(self, body: str) -> None:
        try:
            Comments(self.api, self.pull_request).create(body)
        except Refused as error:
            if not error.uncertain:  # else the next look tells
                raise

    def update(self, identity: int, body: str) -> None:
        try:
            Comments(self.api, self.pull_request).edit(identity, body)
        except Refused as error:
            if error.status not in _GONE:
                raise

    def delete(self, identity: int) -> None:
        Comments(self.api, self.pull_request).delete(identity)

    def hurry(self) -> None:
        self.api.hurry(_HURRY)


class RowChecks:
    """A Keeping of rows in check runs of the commit, for legs that have no store to share.

    It never fails: what is kept is only of use to others.
    """

    def __init__(self, api: GitHubApi, commit: str, page: Page, mark: str) -> None:
        self._runs = CheckRuns(api)
        self._commit = commit
        self._page = page
        self._mark = mark
        self._kept: set[str] = set()

    def keep(self, row: Row) -> None:
        """Keep the row of a leg that has ended: a check run stays open for ever otherwise."""
        if row.state not in FINAL or row.key in self._kept:
            return
        self._kept.add(row.key)
        try:
            self._runs.create(
                self._commit,
                _check_name(row),
                title=f"{row.title}: {row.state}"[:200],
                summary=render(Report((row,)), self._page, self._mark),
                reference=row.key,
                conclusion=_conclusion(row),
            )
        except Refused:
            return

    def fetch(self, row: Row) -> Row | None:
        """The row of another leg in its check run."""
        try:
            found = self._runs.of(self._commit, _check_name(row))
        except Refused:
            return None
        return next((kept for one in found if (kept := _kept(one, row, self._mark))), None)


def preview_comment(
    place: Workplace, event: GitHubContext, rows: LegRows, page: Page
) -> tuple[PreviewComment, ...]:
    """The listener that reports to the event's pull request; none for another event."""
    if event.pull_request is None:
        return ()
    workflow = _workflow(event)
    board = _board(place, event, event.pull_request)
    pushes = bool(place.inputs.image) and place.inputs.push is not False
    keeping: Keeping = (
        RowNotes(place, event.pull_request, workflow)
        if pushes
        else RowChecks(board.api, event.head_sha, page, board.mark)
    )
    return (PreviewComment(rows, Rendering(board, keeping, page, board.mark), keeping),)


def has_comment(place: Workplace, event: GitHubContext) -> bool:
    """Whether the event's pull request has a comment of this workflow, as far as GitHub tells."""
    if event.pull_request is None:
        return False
    try:
        return bool(_board(place, event, event.pull_request).comments())
    except ServiceError:
        return False


def _board(place: Workplace, event: GitHubContext, pull_request: int) -> PullRequestBoard:
    token = place.inputs.github_token
    # It never waits to send again: what it would send is a comment of before the wait.
    api = GitHubApi(
        event.repository, token=token, api_url=event.api_url, timeout=_ANSWER, patience=0
    )
    return PullRequestBoard(api, pull_request, marker(_workflow(event)))


def _workflow(event: GitHubContext) -> str:
    return event.workflow_ref.partition("@")[0] or event.workflow


def mark_removed(api: GitHubApi, pull_request: int, page: Page) -> int:
    """Have every preview's comment on a pull request say that it is removed; how many changed.

    Raises Refused.
    """
    changed = 0
    comments = Comments(api, pull_request)
    for one in comments.marked(ANY_MARKER):
        report = read_report(one.body)
        removed = max([page.run, 1, *(row.run for row in report.rows)])
        if not report.is_removed:
            first = one.body.lstrip().partition("\n")[0].strip()
            said = Report(report.rows, removed, int(time.time() * 1000), report.late)
            comments.edit(one.number, render(said, page, first))
            changed += 1
    return changed


def _check_name(row: Row) -> str:
    return f"preview {row.title}"[:80] + f" ({row.key[:8]})"


def _conclusion(row: Row) -> Conclusion:
    match row.state:
        case "done":
            return "success"
        case "timeout":
            return "timed_out"
        case "cancelled":
            return "cancelled"
        case _:
            return "failure" if row.state in BAD else "neutral"


def _kept(run: CheckRun, row: Row, mark: str) -> Row | None:
    if run.reference != row.key or not run.summary.startswith(mark):
        return None
    return next((one for one in read_report(run.summary).rows if one.key == row.key), None)
