"""The GitHub Actions entry point: what the event asks for is decided, done, and told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import assert_never

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import InputError, Interrupted, LaunchError, SourceError
from launch_action.core.inputs import Inputs
from launch_action.core.legs import Leg, Listener, Listeners
from launch_action.core.mode import Decision, decide
from launch_action.github.commands import WorkflowCommands, prepare_output
from launch_action.github.environment import GitHubContext, load_context
from launch_action.github.summary import Subject, render_failure
from launch_action.planning.workplace import Workplace, names_no_job, now, take_environment
from launch_action.report import Report
from launch_action.step.action_inputs import Given, read_action_inputs
from launch_action.step.annotations import Annotations, annotate, annotated
from launch_action.step.listeners import (
    is_previewed,
    leg_rows,
    page_of,
    subject_of,
    told_elsewhere,
)
from launch_action.step.one_job import run_job
from launch_action.step.step_context import StepContext
from launch_action.step.step_summary import StepSummary


def run_action() -> int:
    """Run as a step of a workflow; the exit code.

    What is expected to fail is annotated, with its evidence, and is not raised.
    """
    prepare_output()
    _prefer_runner_temp()
    commands = WorkflowCommands()
    try:
        return _step(commands, take_environment())
    except Interrupted:
        raise
    except LaunchError as error:
        annotate(commands, error)
        return error.exit_code


def _prefer_runner_temp() -> None:
    """Keep temporary files where the runner removes them, should we be killed."""
    folder = os.environ.get("RUNNER_TEMP", "")
    if folder and not os.environ.get("TMPDIR") and os.access(folder, os.W_OK):
        os.environ["TMPDIR"] = folder


def _step(commands: WorkflowCommands, environment: Mapping[str, str]) -> int:
    given, inputs, event, decision = _decided(commands, environment)
    if environment.get("RUNNER_DEBUG") == "1":
        inputs = replace(inputs, verbose=True)
    reporter = Report(commands)
    reporter.info(str(decision))
    if made := environment.get("LAUNCH_ACTION_MADE"):
        reporter.info(f"launch-action: environment made by {made}")
    _show(commands, reporter, inputs, event)
    place = Workplace(
        allowed(inputs, decision), environment, reporter, now(), untrusted=not decision.trusted
    )
    return _act(commands, place, event, decision, given)


def _show(
    commands: WorkflowCommands, reporter: Report, inputs: Inputs, event: GitHubContext
) -> None:
    """Say what was given, folded: it is asked for when something went wrong."""
    with commands.group("inputs"):
        for name, value in inputs.shown():
            reporter.info(f"{name}: {value}")
        for name, value in event.shown() if inputs.verbose else ():
            reporter.info(f"event {name}: {value}")


def _decided(
    commands: WorkflowCommands, environment: Mapping[str, str]
) -> tuple[Given, Inputs, GitHubContext, Decision]:
    """Inputs, event and mode; what is wrong with them stands in the summary."""
    with _summarised(commands):
        inputs, given = read_action_inputs(commands, environment)
        event = load_context(environment)
        decision = decide(event.facts(foreign=_is_foreign(event, inputs)), inputs)
        _check_preview(event, decision, inputs)
        return given, inputs, event, decision


@contextmanager
def _summarised(commands: WorkflowCommands, subject: Subject | None = None) -> Iterator[None]:
    """What fails in the block fails before there is any leg that would be told of."""
    try:
        yield
    except LaunchError as error:
        commands.add_summary(render_failure(error, subject))
        raise


@contextmanager
def _before_legs(facts: _Facts, place: Workplace) -> Iterator[None]:
    """The same where the event is known: said in summary, log and comment, in this order."""
    subject = subject_of(facts.event, facts.decision)
    try:
        with annotated(facts.commands, _directory(place)), _summarised(facts.commands, subject):
            yield
    except LaunchError as error:
        if not isinstance(error, Interrupted) and is_previewed(place, facts.event, facts.decision):
            from launch_action.step.not_begun import tell_not_begun

            tell_not_begun(place, facts.event, error)
        raise


def _act(
    commands: WorkflowCommands,
    place: Workplace,
    event: GitHubContext,
    decision: Decision,
    given: Given,
) -> int:
    match decision.mode:
        case "cleanup":
            return _clean(commands, place, event, decision)
        case "discover":
            return _discover(_Facts(commands, event, decision), place, given)
        case "preview" | "release" | "update" | "launch" | "build":
            return _run(_Facts(commands, event, decision), place, given)
        case _:
            assert_never(decision.mode)


def _discover(facts: _Facts, place: Workplace, given: Given) -> int:
    from launch_action.step.discover_step import discover_step

    with _before_legs(facts, place):
        changed = discover_step(facts.commands, place, given, _keys(place))
    if not changed and is_previewed(place, facts.event, facts.decision):
        from launch_action.step.not_begun import tell_unchanged

        tell_unchanged(place, facts.event)
    return 0


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of the step before its jobs are."""

    commands: WorkflowCommands
    event: GitHubContext
    decision: Decision

    def context(self, place: Workplace) -> StepContext:
        """What its legs have in common."""
        told = _listeners(self.commands, place, self.event, self.decision)
        listeners = Listeners(told, place.reporter)
        return StepContext(place, self.event, self.decision, self.commands, listeners)


def _run(facts: _Facts, place: Workplace, given: Given) -> int:
    """Work on the jobs of this step: those of a launch file, or the one of the inputs."""
    inputs = place.inputs
    if inputs.job or names_no_job(inputs):
        code = _run_listed(facts, place, given)
        if code is not None:
            return code
    return run_job(facts.context(place), Leg("", inputs, inputs.job_name))


def _run_listed(facts: _Facts, place: Workplace, given: Given) -> int | None:
    """Work on the jobs of the launch file; None where there is none."""
    from launch_action.launches.many_jobs import open_listed

    def narrowed(inputs: Inputs) -> Inputs:
        return replace(allowed(inputs, facts.decision), verbose=place.inputs.verbose)

    with ExitStack() as stack:
        with _before_legs(facts, place):
            listed = stack.enter_context(open_listed(place, given, _keys(place), narrowed))
            if listed is None:
                return None
            from launch_action.launches.many_builds import how_many
            from launch_action.launches.many_launches import prepare_runs
            from launch_action.step.listed_jobs import run_listed

            most = how_many(place.inputs.parallel)
            prepare_runs(listed, place, run=facts.decision.run)
        triples = zip(listed.jobs, listed.inputs, listed.names, strict=True)
        legs = [Leg(job.key, inputs, name) for job, inputs, name in triples]
        if facts.decision.mode == "release":
            legs = _of_tag(facts, place, legs, [job.key for job in listed.file.jobs])
            if not legs:
                return 0
        inputs = replace(place.inputs, image=place.inputs.image or listed.image)
        step = facts.context(replace(place, checkout=listed.checkout, inputs=inputs))
        return run_listed(step, legs, listed.file.name, most)


def _of_tag(facts: _Facts, place: Workplace, legs: list[Leg], keys: Sequence[str]) -> list[Leg]:
    """Those of the legs that the tag releases: `train/v1.2.3` is of the job `train` alone."""
    from launch_action.core.release_aliases import released_keys

    released = released_keys(facts.event.tag, keys)
    for leg in legs:
        if leg.key not in released:
            place.reporter.info(
                f"tag {facts.event.tag!r} is of job {released[0]!r}: {leg.key!r} is not released"
            )
    return [leg for leg in legs if leg.key in released]


def _keys(place: Workplace) -> tuple[str, ...]:
    """The keys of the input `job`, between commas or white space."""
    return tuple(filter(None, re.split(r"[\s,]+", place.inputs.job)))


def _directory(place: Workplace) -> Path:
    return Path(place.inputs.working_directory or ".")


def _listeners(
    commands: WorkflowCommands,
    place: Workplace,
    event: GitHubContext,
    decision: Decision,
) -> list[Listener]:
    """Who is told of the legs; each is imported where it is used.

    The summary is first: it is near, and must be written in the seconds after a cancellation.
    """
    rows, page = leg_rows(place, event, decision), page_of(event)
    return [
        rows,
        StepSummary(commands, rows, page, subject_of(event, decision)),
        Annotations(commands, _directory(place)),
        *told_elsewhere(place, event, decision, rows),
        *_release_page(place, event, decision),
    ]


def _release_page(place: Workplace, event: GitHubContext, decision: Decision) -> list[Listener]:
    """Who tells the page of a tag's GitHub Release, where GitHub can be spoken to."""
    token = place.inputs.github_token
    if decision.mode != "release" or not token or not event.repository:
        return []
    from launch_action.github.api import GitHubApi
    from launch_action.step.release_page import ReleasePage

    api = GitHubApi(event.repository, token=token, api_url=event.api_url)
    return [ReleasePage(api, event.tag, place.reporter)]


def _clean(
    commands: WorkflowCommands, place: Workplace, event: GitHubContext, decision: Decision
) -> int:
    """Remove what the event's end leaves over: nothing in one that is not trusted."""
    if not decision.trusted:
        return 0
    from launch_action.step.cleanup import clean_up

    return clean_up(commands, place, event)


def allowed(inputs: Inputs, decision: Decision) -> Inputs:
    """The inputs as far as the event allows them: without trust, no secret is among them.

    The token of the workflow stays: an untrusted event's own can only read.
    """
    if decision.trusted:
        return replace(inputs, push=decision.push, run=decision.run)
    return replace(
        inputs,
        push=decision.push,
        run=False,
        registry_username="",
        registry_password="",
        secret=(),
        ssh=(),
        ssh_key="",
        env=(),
        wandb_api_key="",
        wandb_register="off",
        queue="",
        comment=False,
        deployment=False,
    )


def _check_preview(event: GitHubContext, decision: Decision, inputs: Inputs) -> None:
    """Raise InputError where a comment's preview would be of the default branch's commit.

    Such an event does not say which commit the pull request has, and a person has seen one.
    """
    by_comment = decision.mode == "preview" and event.event_name == "issue_comment"
    if by_comment and _checked_out(inputs) == event.sha:
        raise InputError(
            f"the checkout is at the default branch's commit {event.sha[:12]}, not at that of "
            f"pull request #{event.pull_request}",
            hint="give actions/checkout the commit that was looked at, as `ref:`",
        )


def _is_foreign(event: GitHubContext, inputs: Inputs) -> bool:
    """Whether another repository's code may be built here, where the event would give it rights.

    Asked for events with rights alone. This repository's own is what GitHub says that it runs: the
    default branch's commit, or the one that a pull request is compared with.
    """
    if not (event.has_rights and event.is_fork):
        return False
    if inputs.uri or inputs.git_hash:
        return True
    commit = _checked_out(inputs)
    return bool(commit) and commit not in (event.sha, event.base_sha)


def _checked_out(inputs: Inputs) -> str:
    """The commit of the checkout; empty where there is none, which is its own error later."""
    from launch_action.git.checkout import inspect

    try:
        return inspect(Path(inputs.working_directory or ".").resolve()).commit
    except SourceError:
        return ""
