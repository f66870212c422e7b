"""The legs of a step whose jobs a launch file lists: built at once, then run one after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import Interrupted, LaunchError
from launch_action.core.legs import Leg
from launch_action.core.many_outputs import JobResult, combined
from launch_action.core.outputs import Outcome, output_text
from launch_action.launches.many_builds import BuiltJob, builds, named
from launch_action.launches.many_launches import of_job
from launch_action.launches.stored_runs import run_stored
from launch_action.planning.workplace import Running
from launch_action.report import Report
from launch_action.step.job_log import job_log, write
from launch_action.step.step_context import StepContext, build_leg, say_result


@dataclass(slots=True)
class _Progress:
    """How a leg goes on. `log` are its lines until they are printed together."""

    step: StepContext
    leg: Leg
    outcome: Outcome = field(default_factory=Outcome)
    log: list[str] = field(default_factory=list)
    version: BuiltJob | None = None
    error: LaunchError | None = None
    code: int = 0
    ended: bool = False

    def announce(self, found: Mapping[str, Any]) -> None:
        self.outcome.announce(found)
        values = self.outcome.values
        if found.get("pushed") and values["image"]:
            self.step.commands.add_artifact(values["image"])
        self.step.listeners.known(self.leg, values)

    def end(self, error: LaunchError | None = None) -> None:
        """The leg has ended, by an error or as its values say."""
        self.error, self.ended = error or self.error, True
        self.step.listeners.end(self.leg, self.outcome.values, self.error)


def run_listed(step: StepContext, legs: Sequence[Leg], file: str, most: int) -> int:
    """Work on every leg, at most so many builds at a time.

    The exit code is that of the first that did not go well, in their order.

    Raises the LaunchError of that leg where it has one, after all listeners were told of all.
    """
    all_progress = [_Progress(step, leg) for leg in legs]
    run = step.decision.run
    places = [replace(step.place, inputs=leg.inputs) for leg in legs]
    with ExitStack() as stack:
        # Before anybody who is told starts a thread.
        build_all = stack.enter_context(
            builds(
                places,
                lambda number, place, announce: build_leg(
                    step, legs[number], place, announce, run=run
                ),
                most,
                run=run,
            )
        )
        step.listeners.begin(legs)
        try:
            with stack.pop_all():  # interrupted, the builds have ended when anybody is told
                build_all(_BuildLogs(step, all_progress))
            for one in all_progress:
                if one.version and not one.ended:
                    _run(step, one, one.version)
        finally:
            _close(step, all_progress, file)
    return _first_failure(all_progress)


def _close(step: StepContext, all_progress: Sequence[_Progress], file: str) -> None:
    for one in all_progress:
        if not one.ended:
            one.end(Interrupted())
    _set_outputs(step, all_progress, file)
    for one in all_progress:
        if one.outcome.values["job"]:
            step.commands.line(f"[{one.leg.key}]")
            say_result(step, one.outcome.values)
    step.listeners.close()


def _run(step: StepContext, progress: _Progress, version: BuiltJob) -> None:
    known = progress.outcome.values["metadata"] or {}
    # What the build took, in a process of its own, is a part of what the leg takes.
    reporter = Report(step.commands, timings=dict(known.get("timings") or {}))
    place = replace(step.place, inputs=progress.leg.inputs, reporter=reporter)
    step.commands.line(f"[{progress.leg.key}]")
    try:
        stored = version.open(place)
        traffic = stored.content.traffic
        traffic.requests += known.get("requests") or 0
        traffic.sent += known.get("bytes_sent") or 0
        traffic.received += known.get("bytes_received") or 0
        with job_log(step.commands, place) as silent:
            progress.code = run_stored(stored, silent, Running(progress.announce, write))
    except LaunchError as error:
        progress.end(error)
    else:
        progress.end()


def _set_outputs(step: StepContext, all_progress: Sequence[_Progress], file: str) -> None:
    """Those of all jobs at their end: they are written anew whenever one changes."""
    results = [JobResult(one.leg.key, one.outcome.values, one.error) for one in all_progress]
    for name, value in combined(file, results).items():
        if value is not None:
            step.commands.set_output(name.replace("_", "-"), output_text(value))


def _first_failure(all_progress: Sequence[_Progress]) -> int:
    bad = [one for one in all_progress if one.error or one.code]
    if not bad:
        return 0
    if error := bad[0].error:
        raise of_job(bad[0].leg.key, error, [one.leg.key for one in bad[1:]])
    return bad[0].code


@dataclass(frozen=True, slots=True)
class _BuildLogs:
    """An Audience: the log of a build is printed as one group when it has ended."""

    step: StepContext
    all_progress: Sequence[_Progress]

    def begun(self, number: int) -> None:
        leg = self.all_progress[number].leg
        self.step.commands.line(f"[{leg.key}] build begins")
        self.step.listeners.start(leg)

    def line(self, number: int, text: str) -> None:
        self.all_progress[number].log.append(text)

    def warning(self, numbers: Sequence[int], text: str, file: str, line: int) -> None:
        """Outside of any job's group: an annotation is seen beside the log."""
        keys = named([self.all_progress[number].leg.key for number in numbers])
        self.step.commands.warning(f"[{keys}] {text}", file, line)

    def known(self, number: int, found: Mapping[str, Any]) -> None:
        self.all_progress[number].announce(found)

    def built(self, number: int, result: BuiltJob | LaunchError) -> None:
        progress = self.all_progress[number]
        failed = isinstance(result, LaunchError)
        self._print(progress, "build failed" if failed else "build")
        if isinstance(result, BuiltJob):
            progress.version = result
            if not self.step.decision.run:
                progress.announce({"run_status": "skipped"})
                progress.end()
            elif result.code is not None:
                progress.code = result.code
                progress.end()
            return
        progress.end(result)

    def _print(self, progress: _Progress, title: str) -> None:
        with self.step.commands.group(f"[{progress.leg.key}] {title}"):
            for text in progress.log:
                self.step.commands.line(text)
        progress.log.clear()
