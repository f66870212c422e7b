"""The command line: it wires the parts, holds the only `except LaunchError` and the only exit."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from launch_action.commands.arguments import parser
from launch_action.commands.cleanup_cli import cleanup_command
from launch_action.commands.signals import (
    TerminatedError,
    interruption,
    listen,
    listen_no_more,
)
from launch_action.commands.streams import flush, prepare_streams, unwritable, writer
from launch_action.core.errors import InputError, LaunchError, SourceError
from launch_action.core.input_table import INPUTS
from launch_action.core.input_values import read_inputs
from launch_action.core.inputs import Inputs
from launch_action.core.outputs import Outcome
from launch_action.core.unexpected import unexpected
from launch_action.jobs.job_cli import job_command
from launch_action.report import Report, leave_terminals, open_sink, printable

if TYPE_CHECKING:
    from launch_action.planning.workplace import Workplace

# As `cat` ends in `cat | head`.
_NOBODY_READS = 128 + signal.SIGPIPE


def main() -> NoReturn:
    """Run the program and exit with the code of what happened."""
    told = listen()
    prepare_streams()
    # Of our own image: elsewhere whoever starts the program has chosen the user.
    if os.environ.get("LAUNCH_ACTION_IMAGE") and not os.geteuid():
        from launch_action.commands.image_user import become_owner

        become_owner(os.environ)
    arguments = sys.argv[1:] or _without_arguments(os.environ)
    outcome = Outcome()
    as_json = "--json" in _own(arguments)
    try:
        code = _command(arguments, outcome)
    except LaunchError as error:
        code = _failed(error, outcome, as_json=as_json)
    except KeyboardInterrupt:
        code = _failed(interruption(signal.SIGINT), outcome, as_json=as_json)
    except TerminatedError:
        code = _failed(interruption(signal.SIGTERM), outcome, as_json=as_json)
    except BrokenPipeError:
        code = _NOBODY_READS
    except Exception as error:  # the one place: what no part of the program has foreseen
        # C code that is interrupted may make another exception of it (imports of C modules do).
        ended = interruption(told[0]) if told else _unforeseen(error)
        code = _failed(ended, outcome, as_json=as_json)
    listen_no_more()
    code = _flushed(code)
    with suppress(OSError):
        if told:
            leave_terminals()
        sys.stderr.flush()
    # All is cleaned up: the interpreter would only take its objects apart, for as long as a look at
    # a registry takes, and wait for a thread that was interrupted while it began, for ever.
    os._exit(code)


def _unforeseen(error: Exception) -> LaunchError:
    from pathlib import Path

    try:
        Path.cwd()
    except FileNotFoundError:
        return SourceError("the current directory is gone", hint="change to one that is there")
    return unexpected(error)


def _command(arguments: Sequence[str], outcome: Outcome) -> int:
    chosen = _parsed(arguments)
    match chosen.command:
        case "action":
            from launch_action.step.action import run_action

            return run_action()
        case "discover":
            from launch_action.commands.discover_cli import discovered_lines

            return _told(chosen, partial(discovered_lines, _given(chosen)))
        case "doctor":
            from launch_action.commands.doctor import examine

            return examine(as_json=chosen.json)
        case "job":
            return _told(chosen, partial(job_command, outcome=outcome))
        case "cleanup":
            return _told(chosen, cleanup_command)
        case _:
            return _launch(chosen, outcome)


def _told(
    chosen: argparse.Namespace,
    command: Callable[[argparse.Namespace, Workplace], Iterator[str]],
) -> int:
    """Do a command that tells its result as lines."""
    from launch_action.planning.workplace import Workplace, is_untrusted, now, take_environment

    environment = take_environment()
    inputs = _read(chosen, environment)
    report = Report(open_sink(sys.stderr))
    place = Workplace(inputs, environment, report, now(), is_untrusted(environment))
    for line in command(chosen, place):
        # What a line tells is from a store: a line feed in it begins none of ours.
        _print(line if chosen.json else printable(line).replace("\n", "\N{REPLACEMENT CHARACTER}"))
    return 0


def _without_arguments(environment: Mapping[str, str]) -> list[str]:
    """A workflow's step starts our image so (`uses: docker://...`); else a command is missing."""
    step = environment.get("LAUNCH_ACTION_IMAGE") and environment.get("GITHUB_ACTIONS") == "true"
    return ["action"] if step else []


def _own(arguments: Sequence[str]) -> Sequence[str]:
    """What is ours of the arguments: up to the first `--`."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """The options; what follows the first `--` are arguments of the job, however they look."""
    own = _own(arguments)
    chosen = parser(next(iter(own), "")).parse_args(own)
    rest = list(arguments[len(own) + 1 :])
    if not rest:
        return chosen
    if not hasattr(chosen, "args"):
        raise InputError(
            f"nothing is run here that could take arguments: {rest[0]!r}",
            hint="arguments after -- are for `launch` and `run`",
        )
    if chosen.args:
        raise InputError(
            f"arguments of the job come twice: {chosen.args!r} and {rest[0]!r}",
            hint="give them with --args or after --",
        )
    chosen.args = rest
    return chosen


def _launch(chosen: argparse.Namespace, outcome: Outcome) -> int:
    from launch_action.planning.workplace import (
        Workplace,
        is_untrusted,
        names_no_job,
        now,
        take_environment,
    )

    environment = take_environment()
    _take_keys(chosen)
    inputs = read_inputs(_given(chosen), environment)
    report = Report(open_sink(sys.stderr))
    place = Workplace(inputs, environment, report, now(), is_untrusted(environment))
    log = writer(sys.stderr if chosen.json else sys.stdout)
    run, recorded = chosen.command == "launch", getattr(chosen, "recorded", None)
    try:
        if chosen.command == "run" or getattr(chosen, "job", None):
            code = _run_existing(chosen, place, outcome, log)
        elif (
            recorded is None
            and names_no_job(inputs)
            and (found := _listed(chosen, place, outcome, log)) is not None
        ):
            return found
        elif chosen.dry_run:
            from launch_action.launches.shown_plan import show_plan

            return _print_plan(show_plan(place, outcome, recorded, run=run), chosen.json)
        elif recorded is not None:
            from launch_action.launches.existing_jobs import build_stored

            code = build_stored(recorded, place, outcome)
        else:
            from launch_action.launches.stored_runs import launch

            code = launch(place, outcome, log, run=run)
    except LaunchError as error:
        # A run whose metrics are not good is reported as any run that has ended.
        if error.code == "gate" and not chosen.json:
            _print_result(outcome, as_json=False)
        raise
    _print_result(outcome, as_json=chosen.json)
    return code


def _run_existing(
    chosen: argparse.Namespace, place: Workplace, outcome: Outcome, log: Callable[[bytes], None]
) -> int:
    from launch_action.jobs.stored_jobs import is_at_wandb
    from launch_action.launches.existing_jobs import run_existing

    if not (chosen.command == "launch" and is_at_wandb(chosen.job, place)):
        _refuse_build_options(chosen)
    return run_existing(chosen.job, place, outcome, log)


def _take_keys(chosen: argparse.Namespace) -> None:
    """With the address of a repository, `--job` are keys of its launch file, as in the action."""
    if chosen.command != "launch" or not (chosen.job and chosen.uri):
        return
    from launch_action.core.launch_file import is_key
    from launch_action.planning.workplace import names_commit

    keys = chosen.job.replace(",", " ").split()
    if names_commit(chosen.uri) and all(map(is_key, keys)):
        chosen.only, chosen.job = [*(chosen.only or ()), *keys], None


def _listed(
    chosen: argparse.Namespace, place: Workplace, outcome: Outcome, log: Callable[[bytes], None]
) -> int | None:
    """Build the jobs that a launch file lists; None where there is none that does."""
    from launch_action.launches.many_jobs import open_listed

    run = chosen.command == "launch"
    with open_listed(place, _given(chosen), place.inputs.only) as listed:
        if listed is None:
            return None
        from launch_action.launches.many_launches import launch_listed, listed_lines, show_listed

        if chosen.dry_run:
            return _print_plan(show_listed(listed, place, outcome, run=run), chosen.json)
        try:
            code = launch_listed(listed, place, outcome, log, run=run)
        finally:
            if not chosen.json:
                for line in listed_lines(outcome.values):
                    _print(printable(line))
        if chosen.json:
            _print(json.dumps(outcome.document(), indent=2))
        return code


def _refuse_build_options(chosen: argparse.Namespace) -> None:
    """An existing job version is run as it is. Raises InputError for an option of a build."""
    for known in INPUTS:
        if (
            known.name != "job"
            and "run" not in known.commands
            and getattr(chosen, known.name, None)
        ):
            raise InputError(
                f"--{known.name} is for a build, and --job names a version that is built: "
                f"{chosen.job!r}",
                hint="leave one of the two away",
            )
    if getattr(chosen, "dry_run", False):
        raise InputError(
            f"there is nothing to plan for a version that is built: {chosen.job!r}",
            hint="leave --dry-run away, or see `launch-action job describe`",
        )


def _read(chosen: argparse.Namespace, environment: Mapping[str, str]) -> Inputs:
    return read_inputs(_given(chosen), environment)


def _given(chosen: argparse.Namespace) -> dict[str, str | list[str]]:
    given = vars(chosen)
    return {known.name: given[known.name] for known in INPUTS if given.get(known.name)}


def _print_plan(document: Mapping[str, Any], as_json: bool) -> int:
    if as_json:
        _print(json.dumps(document, indent=2))
        return 0
    for step in document["plan"]:
        job = f"[{step['job']}] " if "job" in step else ""
        _print(printable(f"{job}{step['step']:<13}{step['detail']}"))
    return 0


def _print_result(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        _print(json.dumps(outcome.document(), indent=2))
        return
    from launch_action.report import result_lines

    for line in result_lines(outcome.values):
        _print(printable(line))


def _failed(error: LaunchError, outcome: Outcome, *, as_json: bool) -> int:
    lines = [f"error: {error.message}", f"hint: {error.hint}"]
    # What a tool said is indented: its own "error:" is evidence, ours is the result.
    for line in (*(f"  {text}" for text in error.context.splitlines()), *lines):
        print(_harmless(printable(line)), file=sys.stderr)  # noqa: T201
    if as_json:
        _print(json.dumps(outcome.document(error), indent=2))
    return error.exit_code


def _harmless(line: str) -> str:
    """The line, which GitHub's log must not take for a command: a tool may have said anything."""
    from launch_action.planning.workplace import in_actions

    if not in_actions(os.environ):
        return line
    from launch_action.github.commands import inert

    return inert(line)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _flushed(code: int) -> int:
    """The exit code, once what is buffered is written; it tells when that cannot be done."""
    fault = flush()
    if fault is None or code:
        return code
    if isinstance(fault, BrokenPipeError):
        return _NOBODY_READS
    return _failed(unwritable(fault), Outcome(), as_json=False)
