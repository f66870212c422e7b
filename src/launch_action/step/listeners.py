"""Who is told of a step's legs: what each reports, and where."""

from __future__ import annotations

from functools import partial

from launch_action.core.aliases import base_aliases
from launch_action.core.input_table import INPUTS
from launch_action.core.input_values import secret_texts
from launch_action.core.inputs import Inputs
from launch_action.core.leg_row import Moment
from launch_action.core.legs import Listener
from launch_action.core.markdown import code, linked
from launch_action.core.mode import Decision
from launch_action.core.preview_table import Page
from launch_action.core.tags import alias_tag
from launch_action.github.environment import GitHubContext
from launch_action.github.summary import Subject
from launch_action.planning.workplace import Workplace
from launch_action.step.leg_rows import LegRows
from launch_action.step.run_notes import RunNotes

# A shorter one would blank words.
_SHORTEST_SECRET = 4


def told_elsewhere(
    place: Workplace, event: GitHubContext, decision: Decision, rows: LegRows
) -> list[Listener]:
    """The listeners that speak to other machines, whom nobody waits for after a cancellation."""
    found: list[Listener] = []
    if decision.mode == "preview" and place.inputs.deployment:
        from launch_action.github.deployment_report import deployment_report

        found.append(deployment_report(place.inputs, event, place.reporter, rows.row))
    if decision.trusted and decision.run:
        found.append(RunNotes(place))
    if is_previewed(place, event, decision):
        from launch_action.step.preview_board import preview_comment

        found += preview_comment(place, event, rows, page_of(event))
    return found


def is_previewed(place: Workplace, event: GitHubContext, decision: Decision) -> bool:
    """Whether the step is of a pull request with a comment: that previews or finds its jobs."""
    of_preview = decision.mode == "preview" or (
        decision.mode == "discover" and event.pull_request is not None and not event.is_closed
    )
    return decision.trusted and of_preview and place.inputs.comment


def leg_rows(place: Workplace, event: GitHubContext, decision: Decision) -> LegRows:
    """The rows; those of a pull request are compared with the base branch's version."""
    comparisons = None
    if event.pull_request is not None:
        from launch_action.step.base_comparison import Comparisons

        base = base_aliases(event.base_ref or event.default_branch)
        mine = alias_tag(f"pr-{event.pull_request}")
        comparisons = Comparisons(place, base, (mine, *base))
    return LegRows(
        moment_of(event),
        place.reporter,
        partial(hidden_in, secrets_of(place.inputs)),
        comparisons,
        stores=bool(place.inputs.image) and decision.push is not False,
    )


def moment_of(event: GitHubContext) -> Moment:
    """When this step is, among the others of the workflow."""
    return Moment(run=_number(event.run_id), attempt=event.run_attempt, job=event.job)


def page_of(event: GitHubContext) -> Page:
    """Where the reports of this workflow run stand."""
    repository = f"{event.server_url}/{event.repository}" if event.repository else ""
    return Page(
        repository_url=repository,
        run=_number(event.run_id),
        run_url=event.run_url,
        workflow=event.workflow,
    )


def subject_of(event: GitHubContext, decision: Decision) -> Subject:
    """What a step's summary says above its jobs, and why the step does what it does."""
    subject = decision.mode.capitalize()
    if event.pull_request is not None:
        address = f"{event.server_url}/{event.repository}/pull/{event.pull_request}"
        subject += f" of {linked(f'#{event.pull_request}', address if event.repository else '')}"
    elif event.tag or event.branch:
        subject += f" of {code(event.tag or event.branch)}"
    return Subject(f"{subject}: ", str(decision))


def secrets_of(inputs: Inputs) -> tuple[str, ...]:
    """What of the inputs nobody may read: secret ones, and the values of `env`."""
    found: list[str] = []
    for known in INPUTS:
        value = getattr(inputs, known.field)
        if known.secret or known.name == "env":
            text = "\n".join(value) if isinstance(value, tuple) else str(value or "")
            found += secret_texts(known, text)
    lines = {line.strip() for text in found for line in text.splitlines()}
    return tuple(sorted((x for x in lines if len(x) >= _SHORTEST_SECRET), key=len, reverse=True))


def hidden_in(secrets: tuple[str, ...], text: str) -> str:
    """The text without what is secret."""
    for one in secrets:
        text = text.replace(one, "***")
    return text


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
