"""Has a preview's comment say that no job of a commit goes on: its earlier rows are of others."""

from __future__ import annotations

from functools import partial

from launch_action.core.errors import LaunchError
from launch_action.core.inputs import Inputs
from launch_action.core.legs import Leg, Listeners
from launch_action.core.outputs import Outcome
from launch_action.core.preview_row import NOT_BEGUN, UNCHANGED
from launch_action.github.environment import GitHubContext
from launch_action.planning.workplace import Workplace
from launch_action.step.leg_rows import LegRows
from launch_action.step.listeners import hidden_in, moment_of, page_of, secrets_of
from launch_action.step.preview_board import has_comment, preview_comment


def tell_not_begun(place: Workplace, event: GitHubContext, error: LaunchError) -> None:
    """Put what a step failed by, before it had a job, into the comment of the pull request."""
    _tell(place, event, NOT_BEGUN, error)


def tell_unchanged(place: Workplace, event: GitHubContext) -> None:
    """Have the comment say that no job changed, where there is one."""
    if has_comment(place, event):
        _tell(place, event, UNCHANGED, None)


def _tell(place: Workplace, event: GitHubContext, title: str, error: LaunchError | None) -> None:
    """One row for all steps of a workflow's job: those of a matrix say one and the same."""
    leg = Leg(title, Inputs())
    rows = LegRows(moment_of(event), place.reporter, partial(hidden_in, secrets_of(place.inputs)))
    told = Listeners([rows, *preview_comment(place, event, rows, page_of(event))], place.reporter)
    outcome = Outcome()
    # Other events do not say which commit the pull request has.
    outcome.announce({"metadata": {"commit": event.head_sha if event.is_pull_request else ""}})
    told.begin((leg,))
    told.end(leg, outcome.values, error)
    told.close()
