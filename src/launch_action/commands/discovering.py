"""Finds the jobs that changed since a base: by what decides their images, and by their `paths`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from launch_action.core.checkout import Checkout
from launch_action.core.concurrency import concurrently
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.discovery import Verdict, differences, matched, matrix, unequal
from launch_action.core.errors import InputError, LaunchError, SourceError
from launch_action.core.inputs import Inputs
from launch_action.core.launch_file import LaunchFile, ListedJob
from launch_action.core.plan import LaunchPlan
from launch_action.git.checkout import inspect
from launch_action.git.history import content_of, first_parent, has_commit, merge_base
from launch_action.launches.many_jobs import Given, Listed, job_inputs, open_listed, read_listed
from launch_action.planning.launch_plan import plan_launch
from launch_action.planning.sources import fetched_checkout
from launch_action.planning.workplace import Workplace, in_actions
from launch_action.report import Report


@dataclass(frozen=True, slots=True)
class Discovery:
    """The jobs of the commit, each with what is known of it; `base` is empty where all count."""

    commit: str
    base: str
    verdicts: tuple[Verdict, ...]

    def matrix(self) -> dict[str, Any]:
        """GitHub's matrix of those that changed."""
        return matrix(self.verdicts)

    def document(self) -> dict[str, Any]:
        """All of it, as `--json` prints it."""
        return {
            "commit": self.commit,
            "base": self.base or None,
            "matrix": self.matrix(),
            "jobs": [one.document() for one in self.verdicts],
        }


def discover(
    place: Workplace, given: Given, keys: Sequence[str], *, base: str, everything: bool
) -> Discovery:
    """Which of the jobs of these keys, all without any, changed since `base`.

    Without `base` since the commit that the event is a change of, or outside CI since the branch
    left the default branch; where there is none, all count as changed, as with `everything`. Raises
    InputError without a launch file, SourceError for a `base` that is not to be had.
    """
    if place.inputs.uri:
        raise InputError(
            f"what changed is told of the checkout, and 'uri' names {place.inputs.uri!r}",
            hint="check that repository out, and leave 'uri' away",
        )
    with open_listed(place, given, keys) as listed:
        if listed is None:
            raise InputError(
                "no file at the commit lists jobs: launch.yaml, or [tool.launch-action]",
                hint="list the jobs there (docs/many-jobs.md), and commit it",
            )
        with ExitStack() as stack:
            base_found = (
                "all are asked for" if everything else _base(stack, place, listed.checkout, base)
            )
            verdicts = _verdicts(place, given, listed, base_found)
        for one in verdicts:
            place.reporter.info(f"{one.key}: {'; '.join(one.reasons) or 'not changed'}")
        commit = base_found.commit if isinstance(base_found, Checkout) else ""
        return Discovery(listed.checkout.commit, commit, tuple(verdicts))


# ---- the base ------------------------------------------------------------------------------------


def _base(stack: ExitStack, place: Workplace, checkout: Checkout, asked: str) -> Checkout | str:
    """A checkout of the base; where there is none, why every job counts as changed."""
    if asked:
        named = _named_base(checkout, asked)
        return replace(named, commit=merge_base(checkout, named.commit) or named.commit)
    commit = _own_base(place, checkout)
    if not commit:
        return "nothing says what it is a change of"
    if has_commit(checkout, commit):
        return replace(checkout, commit=merge_base(checkout, commit) or commit)
    return _fetched_base(stack, place, checkout, commit)


def _named_base(checkout: Checkout, asked: str) -> Checkout:
    try:
        return inspect(Path(checkout.top), ref=asked)
    except SourceError as error:
        raise SourceError(
            error.message,
            hint="`git fetch` it first, with the history between: actions/checkout with "
            "`fetch-depth: 0`; or take --all",
        ) from None


def _own_base(place: Workplace, checkout: Checkout) -> str:
    """The commit that the checkout's is a change of; empty where the event has none."""
    if in_actions(place.environment):
        from launch_action.github.environment import compared_commit

        return compared_commit(place.environment)
    default = checkout.default_branch
    if not default:
        raise InputError(
            "nothing says what to compare with: the remote's default branch is not known",
            hint="name a branch or commit with --base, or take --all",
        )
    tip = inspect(Path(checkout.top), ref=f"refs/remotes/{checkout.remote_name}/{default}")
    common = merge_base(checkout, tip.commit) or tip.commit
    # On the default branch itself: the last commit.
    return first_parent(checkout) if common == checkout.commit else common


def _fetched_base(
    stack: ExitStack, place: Workplace, checkout: Checkout, commit: str
) -> Checkout | str:
    """The base of a shallow checkout, brought from the remote; else why it could not be."""
    try:
        return stack.enter_context(fetched_checkout(place, checkout.remote, commit))
    except LaunchError as error:
        place.reporter.warning(
            f"the base {commit[:12]} is not in this checkout and was not fetched: "
            f"{error.message}; with `fetch-depth: 0` it is here"
        )
        return f"its base {commit[:12]} cannot be read"


# ---- the jobs ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Comparison:
    """What the jobs are compared with, and how. `changed` are the files that differ."""

    place: Workplace
    given: Given
    listed: Listed
    base: Checkout
    file: LaunchFile
    changed: frozenset[str]

    def reasons(self, number: int) -> tuple[str, ...]:
        """Why the job of this number counts as changed."""
        job, inputs = self.listed.jobs[number], self.listed.inputs[number]
        by_key = {one.key.lower(): one for one in self.file.jobs}
        before = by_key.get(job.key.lower())
        if before is None:
            return (f"it is not in {self.file.name} of the base",)
        earlier = job_inputs(self.place, self.file, before, self.given, self.base)
        moved = () if earlier.image == inputs.image else ("its repository",)
        touched = matched(job.paths, self.changed) if job.paths else ()
        return (*self._planned(job, inputs, before, earlier), *moved, *touched)

    def _planned(
        self, job: ListedJob, inputs: Inputs, before: ListedJob, earlier: Inputs
    ) -> tuple[str, ...]:
        head = self.listed.checkout
        try:
            after = (job, _plan(self.place, inputs, head))
        except LaunchError as error:
            return (f"it cannot be built: {error.message}",)
        # As if it were of the same day, so that nothing differs but what is committed.
        base = replace(self.base, commit_time=head.commit_time, remote=head.remote)
        try:
            return differences((before, _plan(self.place, earlier, base)), after)
        except LaunchError as error:
            return (f"it could not be built at the base: {error.message}",)


def _verdicts(
    place: Workplace, given: Given, listed: Listed, base: Checkout | str
) -> list[Verdict]:
    pairs = zip(listed.jobs, listed.names, strict=True)
    all_jobs = [Verdict(job.key, name) for job, name in pairs]
    compared = base if isinstance(base, str) else _comparison(place, given, listed, base)
    if isinstance(compared, str):
        return [replace(one, reasons=(compared,)) for one in all_jobs]
    reasons = concurrently(compared.reasons, range(len(all_jobs)))
    return [replace(one, reasons=why) for one, why in zip(all_jobs, reasons, strict=True)]


def _comparison(
    place: Workplace, given: Given, listed: Listed, base: Checkout
) -> _Comparison | str:
    try:
        file = read_listed(base)
    except LaunchError as error:
        return f"the base's list of jobs cannot be read: {error.message}"
    if file is None:
        return "the base lists no jobs"
    changed: frozenset[str] = frozenset()
    if any(job.paths for job in listed.jobs):
        changed = frozenset(unequal(content_of(base), content_of(listed.checkout)))
    return _Comparison(place, given, listed, base, file, changed)


def _plan(place: Workplace, inputs: Inputs, checkout: Checkout) -> LaunchPlan:
    """The plan of a job at a commit; where it is kept is no part of what is compared."""
    inputs = replace(inputs, image="", push=None, github_token="")
    quiet = replace(place, inputs=inputs, checkout=checkout, reporter=Report(_Nowhere()))
    with plan_launch(quiet, run=False) as planned:
        return planned.plan


class _Nowhere:
    """A report's sink of what is said when the jobs are built."""

    def line(self, text: str) -> None:
        """Nothing is printed."""

    def warning(self, text: str, file: str, line: int) -> None:
        """Nothing is printed."""

    @contextmanager
    def group(self, name: str) -> Iterator[None]:  # noqa: ARG002  # nothing is printed
        yield

    def bar(self, title: str, total: int) -> None:  # noqa: ARG002  # nothing is printed
        return None
