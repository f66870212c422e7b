"""The jobs of a launch file from a command line: built at once, then run one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import InputError, LaunchError
from launch_action.core.launch_document import fault
from launch_action.core.many_outputs import JobResult, combined
from launch_action.core.outputs import Outcome
from launch_action.core.ports import Reporter
from launch_action.launches.launching import build
from launch_action.launches.many_builds import BuiltJob, builds, how_many, named, reporters
from launch_action.launches.many_jobs import Listed
from launch_action.launches.shown_plan import show_plan
from launch_action.launches.stored_runs import Log, run_stored
from launch_action.planning.workplace import Running, Workplace
from launch_action.report import result_lines


@dataclass(slots=True)
class Launching:
    """One job of the file as it goes on. `code` is that of its run."""

    key: str
    place: Workplace
    outcome: Outcome = field(default_factory=Outcome)
    version: BuiltJob | None = None
    error: LaunchError | None = None
    code: int = 0

    def result(self) -> JobResult:
        return JobResult(self.key, self.outcome.values, self.error)


def launch_listed(
    listed: Listed, place: Workplace, outcome: Outcome, log: Log, *, run: bool
) -> int:
    """Build all, and run those that were built where asked; the exit code of the first failure.

    `outcome` gets what is known of all, however it ends. Raises the LaunchError of the first job
    that failed by one, in the order of the file.
    """
    jobs = places(listed, place)
    prepare_runs(listed, place, run=run)
    try:
        build_jobs(jobs, place, run=run)
        for job in jobs:
            run_one(job, log, run=run)
    finally:
        outcome.announce(combined(listed.file.name, [job.result() for job in jobs]))
    return first_failure(jobs)


def show_listed(listed: Listed, place: Workplace, outcome: Outcome, *, run: bool) -> dict[str, Any]:
    """The plans of all jobs as one document, the steps with their job's key."""
    jobs = places(listed, place)
    _check_gates(listed, place, run=run)
    with reporters(_terminal(jobs, place.reporter), len(jobs)) as told:
        plans = [
            show_plan(replace(job.place, reporter=one), job.outcome, run=run)
            for job, one in zip(jobs, told, strict=True)
        ]
    outcome.announce(combined(listed.file.name, [job.result() for job in jobs]))
    pairs = zip(jobs, plans, strict=True)
    steps = [{"job": job.key, **step} for job, plan in pairs for step in plan["plan"]]
    return {**outcome.document(), "plan": steps}


def listed_lines(values: Mapping[str, Any]) -> Iterator[str]:
    """The results of all jobs of which there are any, for a person."""
    for document in values["metadata"]["jobs"]:
        lines = list(result_lines(document))
        if "error" in document:
            lines.append(f"error    {document['error']['message']}")
        if lines:
            yield from (f"[{document['key']}]", *lines)


def places(listed: Listed, place: Workplace) -> list[Launching]:
    """The jobs, each with a place of its own at the one commit."""
    pairs = zip(listed.jobs, listed.inputs, strict=True)
    return [
        Launching(job.key, replace(place, inputs=inputs, checkout=listed.checkout))
        for job, inputs in pairs
    ]


def prepare_runs(listed: Listed, place: Workplace, *, run: bool) -> None:
    """Check and read what all runs are given, once: it may come through a pipe.

    Raises InputError, before any job's build begins.
    """
    _check_gates(listed, place, run=run)
    if run and (place.inputs.config or place.inputs.resource_args):
        from launch_action.planning.run_plan import read_run_files

        read_run_files(place.inputs)


def _check_gates(listed: Listed, place: Workplace, *, run: bool) -> None:
    """Raise InputError for the first wrong `fail-if`: at its job in the file, where that has it."""
    from launch_action.core.gate import check_conditions

    for job, inputs in zip(listed.jobs, listed.inputs, strict=True):
        try:
            check_conditions(inputs, run=run)
        except InputError as error:
            if place.inputs.fail_if:  # it is every job's
                raise
            what = f"job {job.key!r}: {error.message}"
            raise fault(listed.file.name, job.line, what, error.hint) from error


def build_jobs(jobs: Sequence[Launching], place: Workplace, *, run: bool) -> None:
    """Build all jobs at once, their lines under their keys."""
    with builds(
        [job.place for job in jobs],
        lambda _, there, announce: build(there, announce, run=run),
        how_many(place.inputs.parallel),
        run=run,
    ) as build_all:
        build_all(_terminal(jobs, place.reporter))


def run_one(job: Launching, log: Log, *, run: bool) -> None:
    """Run a job that was built. What it ends by is kept with it."""
    if job.version is None:
        return
    if not run:
        job.outcome.announce({"run_status": "skipped"})
        return
    if job.version.code is not None:
        job.code = job.version.code
        return
    job.place.reporter.info(f"[{job.key}]")
    try:
        stored = job.version.open(job.place)
        job.code = run_stored(stored, job.place, Running(job.outcome.announce, log))
    except LaunchError as error:
        job.error = error


def first_failure(jobs: Sequence[Launching]) -> int:
    """The exit code of the first that did not go well. Raises LaunchError where it has one."""
    for job in jobs:
        if job.error:
            others = [one.key for one in jobs if one is not job and (one.error or one.code)]
            raise of_job(job.key, job.error, others)
        if job.code:
            return job.code
    return 0


def of_job(key: str, error: LaunchError, others: Sequence[str]) -> LaunchError:
    """The error, with its job's key in it and the keys of the others that failed.

    What a tool said is left out: it was reported when the job failed.
    """
    more = f"; failed as well: {', '.join(others)}" if others else ""
    error.message = f"job {key!r}: {error.message}{more}"
    error.context = ""
    return error


def _terminal(jobs: Sequence[Launching], reporter: Reporter) -> _Terminal:
    return _Terminal(jobs, reporter, max(len(job.key) for job in jobs))


@dataclass(frozen=True, slots=True)
class _Terminal:
    """An Audience that reports every line behind its job's key."""

    jobs: Sequence[Launching]
    reporter: Reporter
    width: int

    def begun(self, number: int) -> None:
        self.line(number, "build begins")

    def line(self, number: int, text: str) -> None:
        self.reporter.info(f"{self.jobs[number].key:<{self.width}} | {text}")

    def warning(self, numbers: Sequence[int], text: str, file: str, line: int) -> None:
        keys = named([self.jobs[number].key for number in numbers])
        self.reporter.warning(f"[{keys}] {text}", file=file, line=line)

    def known(self, number: int, found: Mapping[str, Any]) -> None:
        self.jobs[number].outcome.announce(found)

    def built(self, number: int, result: BuiltJob | LaunchError) -> None:
        job = self.jobs[number]
        if isinstance(result, BuiltJob):
            job.version = result
            self.line(number, "recorded")
            return
        job.error = result
        for text in result.context.splitlines():
            self.line(number, f"  {text}")
        self.line(number, f"error: {result.message}")
        self.line(number, f"hint: {result.hint}")
