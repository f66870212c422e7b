"""Every event that a workflow can have, through the real bootstrap and program."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from support import github_events as events
from support.action_scene import Scene
from support.github_events import Event
from support.github_payloads import NUMBER, Commits
from support.github_runner import StepResult
from support.services import LocalRegistry

from launch_action.core.tags import hidden

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]

PREVIEW = f"pr-{NUMBER}"
OUTSIDE = "nothing is pushed or run, and no secret is used"


def topic(commits: Commits) -> Event:
    return events.branch(commits, "topic/x")


@dataclass(frozen=True)
class Case:
    """An event, the mode that it has, the aliases besides `sha-<commit>`, and whether it is run."""

    event: Callable[[Commits], Event]
    mode: str
    aliases: tuple[str, ...] = ()
    pushed: bool = True
    run: bool = False
    says: str = ""

    def __str__(self) -> str:
        return self.event.__name__


# fmt: off
BUILT = (
    Case(events.opened, "preview", (PREVIEW,), says=f"pull request #{NUMBER}, pull_request opened"),
    Case(events.synchronize, "preview", (PREVIEW,)),
    Case(events.reopened, "preview", (PREVIEW,)),
    Case(events.draft, "preview", (PREVIEW,)),
    Case(events.ready_for_review, "preview", (PREVIEW,)),
    Case(events.labeled, "preview", (PREVIEW,)),
    Case(events.fork, "build", (PREVIEW,), pushed=False, says=f"of a fork: {OUTSIDE}"),
    Case(events.deleted_fork, "build", (PREVIEW,), pushed=False, says=f"of a fork: {OUTSIDE}"),
    Case(events.dependabot, "build", (PREVIEW,), pushed=False, says=f"of Dependabot: {OUTSIDE}"),
    Case(
        events.pushed_by_dependabot,
        "build",
        ("dependabot-pip-tomli-2.3.0",),
        pushed=False,
        says=f"of Dependabot: {OUTSIDE}",
    ),
    Case(events.target, "preview", (PREVIEW,)),
    Case(events.branch, "update", ("main", "latest"), says="push, branch 'main'"),
    Case(topic, "update", ("topic-x",)),
    Case(events.tag, "release", ("v1.2.3",), says="push, tag 'v1.2.3'"),
    Case(events.release, "release", ("v1.2.3",), says="release published, tag 'v1.2.3'"),
    Case(events.dispatch, "launch", ("main", "latest"), run=True),
    Case(events.schedule, "launch", ("main",), run=True),
    Case(events.merge_group, "build", says="merge_group checks_requested, branch "),
    Case(events.repository_dispatch, "update", ("main", "latest")),
    Case(events.workflow_call, "update", ("main", "latest")),
)
# fmt: on


def succeeded(result: StepResult) -> StepResult:
    assert result.code == 0, result.raw
    return result


def first_line(result: StepResult) -> str:
    """The first line that a person sees, of a machine's first step too."""
    return next(x for x in result.log.text.splitlines() if not x.startswith("add-mask"))


@pytest.mark.parametrize("case", BUILT, ids=str)
def test_an_event_becomes_a_job_with_its_aliases(
    case: Case, scene: Scene, inputs: dict[str, str], registry: LocalRegistry, repository: str
) -> None:
    result = succeeded(scene.at(case.event).run(inputs))

    assert first_line(result).startswith(f"mode {case.mode}: "), result.log.text
    assert case.says in first_line(result)
    outputs = result.outputs
    commit = scene.commits.head
    wanted = {f"sha-{commit}", *case.aliases}
    if case.mode == "release":
        assert wanted <= set(outputs["tags"].split())
    else:
        assert set(outputs["tags"].split()) == wanted
    assert outputs["pushed"] == str(case.pushed).lower()
    in_registry = {tag for tag in registry.tags(repository) if not hidden(tag)}
    assert in_registry == (set(outputs["tags"].split()) if case.pushed else set())
    assert outputs["run-status"] == ("succeeded" if case.run else "skipped")
    assert ("trained" in result.raw.splitlines()) == case.run
    # What came of it is the end of the log, and stands in the summary with the reason for it.
    assert f"version  {outputs['job']}" in result.log.text
    assert ("pushed   no: " in result.log.text) == (not case.pushed)
    assert result.summary.startswith(f"### ✅ {case.mode.capitalize()} of ")
    assert f"<sub>mode {case.mode}&#58; " in result.summary


def test_who_asks_for_it_gets_the_job_of_github_s_merge(
    scene: Scene, inputs: dict[str, str], registry: LocalRegistry, repository: str
) -> None:
    options = f"{inputs['build-options']}\npr-commit=merge"

    result = succeeded(scene.at(events.opened).run(inputs | {"build-options": options}))

    assert set(result.outputs["tags"].split()) == {PREVIEW, f"sha-{scene.commits.merge}"}
    assert json.loads(result.outputs["metadata"])["commit"] == scene.commits.merge
    assert f"sha-{scene.commits.head}" not in registry.tags(repository)


def old_branch(commits: Commits) -> Event:
    return events.branch(commits, "old")


def old_tag(commits: Commits) -> Event:
    return events.tag(commits, "v1")


@pytest.mark.parametrize(
    ("before", "event", "alias"),
    [
        (events.opened, events.closed, PREVIEW),
        (events.opened, events.merged, PREVIEW),
        (events.opened, events.labeled_when_closed, PREVIEW),
        (old_branch, events.branch_pushed_away, "old"),
        (old_branch, events.branch_deleted, "old"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_the_end_of_something_is_cleaned_up_after(
    before: Callable[[Commits], Event],
    event: Callable[[Commits], Event],
    alias: str,
    scene: Scene,
    inputs: dict[str, str],
    registry: LocalRegistry,
    repository: str,
) -> None:
    succeeded(scene.at(before).run(inputs))
    assert alias in registry.tags(repository)

    result = succeeded(scene.at(event).run(inputs))

    assert first_line(result).startswith("mode cleanup: "), result.log.text
    assert alias not in registry.tags(repository)
    assert result.summary


def test_the_aliases_of_a_deleted_tag_stay_with_what_was_released(
    scene: Scene, inputs: dict[str, str], registry: LocalRegistry, repository: str
) -> None:
    succeeded(scene.at(old_tag).run(inputs))

    result = succeeded(scene.at(events.tag_deleted).run(inputs))

    assert first_line(result) == "mode cleanup: delete, tag 'v1' deleted"
    assert "v1" in registry.tags(repository)


def test_what_a_fork_closes_removes_nothing(scene: Scene, inputs: dict[str, str]) -> None:
    result = succeeded(scene.at(events.closed_fork).run(inputs))

    assert first_line(result).startswith("mode cleanup: "), result.log.text
    assert "nothing was pushed, and nothing is removed" in first_line(result)


def refused(result: StepResult, code: int = 2) -> str:
    """The one error of a step that built nothing, which the summary shows too."""
    assert result.code == code, result.raw
    (error,) = result.log.of("error")
    assert not result.outputs["job"]
    assert "### ❌" in result.summary
    return error


@pytest.mark.parametrize("event", [events.issue_comment, events.workflow_run])
def test_an_event_without_a_mode_is_an_error_that_lists_the_modes(
    event: Callable[[Commits], Event], scene: Scene, inputs: dict[str, str]
) -> None:
    error = refused(scene.at(event).run(inputs))

    assert "no mode belongs to this event" in error
    assert "preview, release, update, launch, build, cleanup" in error


def test_a_mode_that_does_not_exist_gets_the_nearest(scene: Scene, inputs: dict[str, str]) -> None:
    error = refused(scene.at(events.branch).run(inputs | {"mode": "relase"}))

    assert "'mode' cannot be 'relase'" in error
    assert "did you mean 'release'?" in error


def test_a_mode_can_be_asked_for(scene: Scene, inputs: dict[str, str]) -> None:
    result = succeeded(scene.at(events.branch).run(inputs | {"mode": "launch"}))

    assert first_line(result) == "mode launch: the input says so (push, branch 'main')"
    assert result.outputs["run-status"] == "succeeded"


def test_a_preview_is_run_where_it_is_asked_for(scene: Scene, inputs: dict[str, str]) -> None:
    result = succeeded(scene.at(events.opened).run(inputs | {"run": "true"}))

    assert result.outputs["run-status"] == "succeeded"


def test_a_workflow_run_s_preview_is_of_the_commit_that_triggered_it(
    scene: Scene, inputs: dict[str, str]
) -> None:
    result = succeeded(scene.at(events.workflow_run).run(inputs | {"mode": "preview"}))

    assert set(result.outputs["tags"].split()) == {f"sha-{scene.commits.head}", PREVIEW}


WITH_RIGHTS = (events.target_fork, events.workflow_run_fork)


@pytest.mark.parametrize("which", ["head", "merge"])
@pytest.mark.parametrize("event", WITH_RIGHTS, ids=lambda event: event.__name__)
def test_a_fork_s_code_is_refused_where_it_would_have_rights(
    event: Callable[[Commits], Event], which: str, scene: Scene, inputs: dict[str, str]
) -> None:
    runner = scene.at(event, getattr(scene.commits, which))

    error = refused(runner.run(inputs | {"mode": "build"}))

    assert "the code of a fork is checked out" in error
    assert "`allow-untrusted: true`" in error


@pytest.mark.parametrize("event", WITH_RIGHTS, ids=lambda event: event.__name__)
def test_our_own_code_is_built_and_not_pushed_in_a_fork_s_event_with_rights(
    event: Callable[[Commits], Event],
    scene: Scene,
    inputs: dict[str, str],
    registry: LocalRegistry,
    repository: str,
) -> None:
    result = succeeded(scene.at(event).run(inputs | {"mode": "build", "run": "true"}))

    assert f"sha-{scene.commits.base}" in result.outputs["tags"].split()
    assert registry.tags(repository) == []
    assert result.outputs["run-status"] == "skipped"


def test_a_fork_s_source_by_address_is_refused_where_it_would_have_rights(
    scene: Scene, inputs: dict[str, str]
) -> None:
    options = f"{inputs['build-options']}\nuri=https://github.com/mallory/mono-jobs"

    assert "fork" in refused(scene.at(events.target_fork).run(inputs | {"build-options": options}))


def test_who_allows_it_previews_a_fork(
    scene: Scene, inputs: dict[str, str], registry: LocalRegistry, repository: str
) -> None:
    runner = scene.at(events.target_fork, scene.commits.head)

    succeeded(runner.run(inputs | {"allow-untrusted": "true"}))

    assert {PREVIEW, f"sha-{scene.commits.head}"} <= set(registry.tags(repository))


def test_a_comment_s_preview_needs_the_commit_that_was_looked_at(
    scene: Scene, inputs: dict[str, str], registry: LocalRegistry, repository: str
) -> None:
    wishes = inputs | {"mode": "preview", "allow-untrusted": "true"}

    error = refused(scene.at(events.issue_comment).run(wishes))
    succeeded(scene.at(events.issue_comment, scene.commits.head).run(wishes))

    assert "not at that of pull request #12" in error
    assert {PREVIEW, f"sha-{scene.commits.head}"} <= set(registry.tags(repository))


def test_allowing_it_gives_a_plain_fork_s_event_nothing(
    scene: Scene, inputs: dict[str, str], registry: LocalRegistry, repository: str
) -> None:
    wishes = {"allow-untrusted": "true", "run": "true", "push": "true", "mode": "launch"}

    result = succeeded(scene.at(events.fork).run(inputs | wishes))

    assert first_line(result).startswith("mode build: ")
    assert registry.tags(repository) == []
    assert result.outputs["run-status"] == "skipped"
