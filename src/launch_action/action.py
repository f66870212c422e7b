"""The GitHub Actions entry point: inputs from the runner, outputs as soon as they are known."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import InputError, LaunchError
from launch_action.core.input_values import read_inputs, secret_texts, with_build_options
from launch_action.core.inputs import INPUTS, NOT_IN_ACTION, Inputs
from launch_action.core.outputs import Outcome, output_text
from launch_action.github.commands import WorkflowCommands, prepare_output
from launch_action.github.environment import GitHubContext, load_context
from launch_action.github.summary import Summary, render
from launch_action.launching import build, run_stored
from launch_action.report import Report
from launch_action.wiring import Running, StoredJob, Workplace, now, take_environment

_ACTION_INPUTS = {
    row.name: row for row in INPUTS if "action" in row.commands and row.name not in NOT_IN_ACTION
}


def run_action(outcome: Outcome) -> int:
    """Run as a step of a workflow; the exit code. What is expected to fail is also annotated."""
    prepare_output()
    commands = WorkflowCommands()
    environment = take_environment()
    step: _Step | None = None
    try:
        values = action_values(environment)
        # Before anything is read, so that no error can show a secret that is not masked yet.
        _mask(commands, values)
        given = with_build_options(values)
        _mask(commands, {name: text for name, text in given.items() if isinstance(text, str)})
        inputs = read_inputs(given, environment)
        verbose = inputs.verbose or environment.get("RUNNER_DEBUG") == "1"
        place = Workplace(inputs, environment, Report(commands, verbose=verbose), now())
        step = _Step(commands, place, load_context(environment), outcome)
        return step.run()
    except LaunchError as error:
        commands.error(f"{error.message}\nhint: {error.hint}", title=f"launch-action: {error.code}")
        if step:
            step.summarise(error)
        raise


def _mask(commands: WorkflowCommands, values: Mapping[str, str]) -> None:
    for row in INPUTS:
        if row.secret:
            for text in secret_texts(row, values.get(row.name, "")):
                commands.mask(text)


def action_values(environment: Mapping[str, str]) -> dict[str, str]:
    """The inputs by name: of `LAUNCH_INPUTS` (composite action), else of `INPUT_*` (container).

    Raises InputError for a name that is no input, and for a document that is not an object.
    """
    text = environment.get("LAUNCH_INPUTS", "")
    if text:
        return _from_json(text)
    found = {}
    for row in _ACTION_INPUTS.values():
        # A shell between drops names with a hyphen, so that the other spelling is read too.
        for spelling in (row.name.upper(), row.field.upper()):
            value = environment.get(f"INPUT_{spelling}", "")
            if value:
                found[row.name] = value
    return found


def _from_json(text: str) -> dict[str, str]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"LAUNCH_INPUTS is not JSON: {error}", hint="it is set by action.yml: toJSON(inputs)"
        ) from error
    if not isinstance(document, dict) or not all(isinstance(v, str) for v in document.values()):
        raise InputError(
            "LAUNCH_INPUTS is not an object of texts",
            hint="it is set by action.yml: toJSON(inputs)",
        )
    return {name.lower(): value for name, value in document.items()}


@dataclass(frozen=True, slots=True)
class _Step:
    """The running step: what it says goes through `commands`."""

    commands: WorkflowCommands
    place: Workplace
    event: GitHubContext
    outcome: Outcome

    def run(self) -> int:
        self._introduce()
        inputs = self._inputs()
        place = replace(self.place, inputs=inputs, untrusted=self.event.is_untrusted)
        job = build(place, self.announce, run=bool(inputs.run))
        self._artifact()
        code = 0
        if inputs.run:
            code = self._run(job, place)
        else:
            self.announce({"run_status": "skipped"})
        self.summarise()
        return code

    def announce(self, found: Mapping[str, Any]) -> None:
        """Set outputs now, so that a later failure keeps them."""
        self.outcome.announce(found)
        for name in found:
            value = output_text(self.outcome.values[name])
            self.commands.set_output(name.replace("_", "-"), value)

    def _inputs(self) -> Inputs:
        """The inputs as far as the event allows them: an untrusted one pushes and runs nothing."""
        inputs = self.place.inputs
        if not self.event.is_untrusted:
            return inputs
        self.place.reporter.warning(
            f"this {self.event.event_name} event is not trusted (a fork's or Dependabot's): "
            "the job is built, and neither pushed nor run"
        )
        return replace(inputs, push=False if inputs.image else None, run=False)

    def _introduce(self) -> None:
        for name, value in self.place.inputs.shown():
            self.place.reporter.info(f"{name}: {value}")

    def _run(self, job: StoredJob, place: Workplace) -> int:
        quiet = _Held()
        silent = replace(place, reporter=Report(quiet, timings=place.reporter.timings))
        try:
            with self.commands.stop_commands():
                # Between the two marks the runner takes no line for a command: the job's log is
                # outside text. Our own warnings wait in a list meanwhile. Outputs go to a file,
                # not to the log: they can be set inside the marks.
                return run_stored(job, silent, Running(self.announce, _write))
        finally:
            quiet.release(self.commands)

    def _artifact(self) -> None:
        if self.outcome.values["pushed"] and self.outcome.values["image"]:
            self.commands.add_artifact(self.outcome.values["image"])

    def summarise(self, error: LaunchError | None = None) -> None:
        """Write the step's summary from what is known."""
        values = self.outcome.values
        metadata = values["metadata"] or {}
        base = metadata.get("base") or []
        self.commands.add_summary(
            render(
                Summary(
                    job_name=values["job_name"] or "",
                    job=values["job"] or "",
                    image=values["image"] or "",
                    tags=tuple(values["tags"] or ()),
                    commit=metadata.get("commit", ""),
                    commit_url=self.event.commit_url(metadata.get("commit", "")),
                    builder=metadata.get("builder", ""),
                    reason=metadata.get("reason", ""),
                    base=", ".join(f"{one['name']} {one['identity']}" for one in base),
                    cache_hit=values["cache_hit"],
                    pushed=values["pushed"],
                    run_status=values["run_status"] or "",
                    run_exit_code=values["run_exit_code"],
                    timings=metadata.get("timings") or {},
                    sent=metadata.get("bytes_sent"),
                    received=metadata.get("bytes_received"),
                    requests=metadata.get("requests"),
                    metrics=values["metrics"] or {},
                    reproduce=_reproduce(values),
                    error=error.message if error else "",
                    hint=error.hint if error else "",
                )
            )
        )


@dataclass(slots=True)
class _Held:
    """A report's sink that keeps the lines until commands may be printed again."""

    kept: list[tuple[str, str, int]]

    def __init__(self) -> None:
        self.kept = []

    def line(self, text: str) -> None:
        _write(f"{text}\n".encode("utf-8", "replace"))

    def warning(self, text: str, file: str, line: int) -> None:
        self.kept.append((text, file, line))

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        self.line(name)
        yield

    def bar(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]] | None:  # noqa: ARG002  # a log cannot be redrawn
        return None

    def release(self, commands: WorkflowCommands) -> None:
        """Say the warnings that were kept."""
        for text, file, line in self.kept:
            commands.warning(text, file, line)


def _write(line: bytes) -> None:
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _reproduce(values: Mapping[str, Any]) -> str:
    return f"launch-action run {values['job']}" if values["job"] and values["pushed"] else ""
