"""The plan of a launch: the source is opened and read, this machine looked at, and all planned."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.builders.layers.archive import CONTENT_VERSION
from launch_action.builders.layers.codec import codec_of
from launch_action.builders.layers.writer import FORMAT
from launch_action.core.checkout import Checkout
from launch_action.core.compression import Compression
from launch_action.core.context import Context
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.dockerfile_choice import DockerfileChoice, choose_dockerfile
from launch_action.core.entrypoint import parse_entrypoint
from launch_action.core.errors import InputError, ServiceError
from launch_action.core.plan import LaunchPlan, plan
from launch_action.core.situation import Situation
from launch_action.planning.project import read_project
from launch_action.planning.sources import SourceContext, open_source
from launch_action.planning.workplace import Workplace, in_actions, situation

if TYPE_CHECKING:
    from launch_action.github.environment import GitHubContext


@dataclass(frozen=True, slots=True)
class PlannedLaunch:
    """What was read of the source, and the plan that it came to.

    `top` is where it lies; `code` is all of a directory, where the source is one.
    """

    top: Path
    checkout: Checkout | None
    context: Context
    plan: LaunchPlan
    code: Context | None = None


@contextmanager
def plan_launch(place: Workplace, *, run: bool) -> Iterator[PlannedLaunch]:
    """Read the checkout and plan; the context is open inside the block."""
    if run and not place.inputs.queue:
        from launch_action.planning.run_plan import check_run

        check_run(place)
    place.import_ahead()
    build_context = _build_context(place)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(place, build_context))
        context = stack.enter_context(source.context(build_context))
        choice = _choose_dockerfile(place, context)
        schema = _schema(place, context, run=run)
        if choice and choice.folder:
            build_context = posixpath.join(build_context, choice.folder)
            context = stack.enter_context(source.context(build_context))
        project = read_project(place, context, build_context, choice)
        if schema:
            project = replace(project, schema=schema)
        decided = plan(place.inputs, source.origin, project, place_situation(place), run=run)
        for warning in decided.warnings:
            place.reporter.warning(warning)
        if place.inputs.verbose:
            from launch_action.core.plan_steps import steps

            for step in steps(decided):
                place.reporter.info(f"plan {step.name}: {step.detail}")
        yield PlannedLaunch(source.top, source.checkout, context, decided, source.code)


def place_situation(place: Workplace) -> Situation:
    """What the plan must know of where it runs; in GitHub Actions, what the event says."""
    codec = codec_of(Compression.parse(place.inputs.compression))
    found = situation(place, codec.key(f"{FORMAT}/{CONTENT_VERSION}"))
    if not in_actions(place.environment):
        return found
    from launch_action.github.environment import load_context

    event = load_context(place.environment)
    return replace(
        found,
        ci=True,
        event_branch=event.branch_to_name,
        event_tag=event.tag,
        pull_request=event.pull_request,
        base_branch=event.base_ref,
        default_branch=event.default_branch or _ask_default_branch(place, event),
        builder=event.workflow_url or found.builder,
        invocation=event.run_url,
        turn=event.turn(place.started),
    )


def _ask_default_branch(place: Workplace, event: GitHubContext) -> str:
    """From GitHub's API, where a token is given and the payload (of a schedule) does not say."""
    token = place.inputs.github_token
    if not token or not event.repository or event.pull_request is not None:
        return ""
    from launch_action.github.repository import default_branch

    try:
        return default_branch(event.repository, token=token, api_url=event.api_url)
    except ServiceError as error:
        place.reporter.warning(f"{error.message}; the alias latest is not moved")
        return ""


def _build_context(place: Workplace) -> str:
    """The directory to build, from the repository's root: as given, never outside it.

    Where the program is started in a sub-directory, a given path counts from the root, as in
    W&B Launch; without one the root is built.
    """
    given = place.inputs.build_context
    normal = posixpath.normpath(given) if given else ""
    if normal.startswith("/") or normal.split("/")[0] == ".." or "\0" in normal:
        raise InputError(
            f"build context is outside the repository: {given!r}",
            hint="name a directory relative to the repository's root",
        )
    return "" if normal == "." else normal


def _schema(place: Workplace, context: SourceContext, *, run: bool) -> bytes | None:
    """The schema of the job's inputs; where it is run at once, what it is given is checked."""
    if not place.inputs.schema:
        return None
    from launch_action.planning.job_schema import checked_config, read_schema

    schema = read_schema(place, context.read)
    if schema and run:
        checked_config(place, schema)
    return schema.render() if schema else None


def _choose_dockerfile(place: Workplace, context: SourceContext) -> DockerfileChoice | None:
    paths = {file.path for file in context.files}
    return choose_dockerfile(place.inputs, paths, parse_entrypoint(place.inputs.entry_point))
