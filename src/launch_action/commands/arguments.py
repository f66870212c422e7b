"""The parser of the command line, made from the table of inputs."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping
from typing import NoReturn

from launch_action import __version__
from launch_action.commands.cleanup_cli import add_cleanup
from launch_action.core.errors import InputError
from launch_action.core.input_table import BY_NAME, INPUTS, Command, Input
from launch_action.core.spelling import nearest
from launch_action.jobs.job_cli import NOT_TO_CREATE, add_job_commands

_DESCRIPTION = "Turn a commit into a job: a versioned, runnable blueprint with a container image."
_COMMANDS: Mapping[Command, str] = {
    "launch": "build a job version from the checkout, record it, and run it",
    "build": "build a job version from the checkout and record it",
    "run": "run an existing job version",
}


_DISCOVER = "print the jobs of launch.yaml that changed, as a matrix of a workflow"
_NAMES = (*_COMMANDS, "job", "cleanup", "action", "discover", "doctor")
_SPELLINGS = (*_NAMES, *(f"--{known.name}" for known in INPUTS))

# Options of `wandb launch` that nothing does there, or that are called otherwise here.
_OF_WANDB = {
    "--build": "what a queue gets is built before; leave it away",
    "--repository": "--image names the repository to push to",
    "--project-queue": "queues are those of an --entity; leave it away",
}


class _Parser(argparse.ArgumentParser):
    """argparse with our error form and exit code (both are 2, the text is ours)."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, hint=f"{self._guess(message)}see `{self.prog} --help`")

    def _guess(self, message: str) -> str:
        """The spelling that is nearest to what was not understood, if there is one."""
        if message.endswith("required: JOB") and {"-q", "--queue"} & set(sys.argv):
            return "a bare --queue took JOB for its name: write JOB before it; "
        typed = re.search(r"unrecognized arguments: (--[\w-]+)|invalid choice: '([^']*)'", message)
        word = (typed[1] or typed[2]) if typed else ""
        if word in _OF_WANDB:
            return f"{_OF_WANDB[word]}; "
        if known := BY_NAME.get(word.removeprefix("--")):
            able = [command for command in known.commands if command != "action"]
            return f"{word} is an option of {', '.join(able) or 'the action'}; "
        near = nearest(word, _SPELLINGS)
        return f"did you mean {near[0]!r}? " if near else ""


def parser(asked: str) -> argparse.ArgumentParser:
    """The parser of all commands; of the one that is asked for also its options.

    They come from the table of inputs.
    """
    top = _Parser(prog="launch-action", description=_DESCRIPTION, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"launch-action {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command, text in _COMMANDS.items():
        one = commands.add_parser(command, help=text, description=text, allow_abbrev=False)
        if command == asked:
            _add_arguments(command, one)
    add_job_commands(commands, _add_job_options)
    add_cleanup(commands, _add_cleanup_options if asked == "cleanup" else None)
    commands.add_parser("action", help="the GitHub Actions entry point")
    discover = commands.add_parser("discover", help=_DISCOVER, description=_DISCOVER)
    if asked == "discover":
        from launch_action.commands.discover_cli import add_options

        add_options(discover, _add_option)
    doctor = commands.add_parser("doctor", help="what is found here, and what is missing")
    doctor.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return top


def _add_arguments(command: Command, one: argparse.ArgumentParser) -> None:
    if command == "build":
        text = "recorded job to build again; default the source that the options name"
        one.add_argument("recorded", metavar="JOB", nargs="?", help=text)
    if command == "run":
        one.add_argument("job", metavar="JOB", help="job reference, such as ghcr.io/acme/train:v1")
    for known in INPUTS:
        if command in known.commands:
            _add_option(one, known)
    _add_own(one, dry_run=command != "run")


def _add_job_options(one: argparse.ArgumentParser, command: str) -> None:
    for known in INPUTS:
        if command == "create" and known.name in NOT_TO_CREATE:
            continue
        if "job" in known.commands or (command == "create" and "build" in known.commands):
            _add_option(one, known)


def _add_cleanup_options(one: argparse.ArgumentParser) -> None:
    for known in INPUTS:
        if "cleanup" in known.commands:
            _add_option(one, known)


def _add_option(one: argparse.ArgumentParser, known: Input) -> None:
    spellings = (*known.flags, f"--{known.name}")
    text = known.help.replace("%", "%%")
    if known.kind in ("list", "lines"):
        one.add_argument(
            *spellings, dest=known.name, action="append", help=text, metavar=known.metavar
        )
    elif known.kind == "boolean":
        one.add_argument(*spellings, dest=known.name, action="store_const", const="true", help=text)
    elif known.kind == "tristate":
        one.add_argument(*spellings, dest=known.name, action="store_const", const="true", help=text)
        one.add_argument(f"--no-{known.name}", dest=known.name, action="store_const", const="false")
    elif known.bare:
        one.add_argument(
            *spellings,
            dest=known.name,
            nargs="?",
            const=known.bare,
            help=text,
            metavar=known.metavar,
        )
    else:
        metavar = known.metavar or ("{" + ",".join(known.choices) + "}" if known.choices else None)
        one.add_argument(*spellings, dest=known.name, help=text, metavar=metavar)


def _add_own(one: argparse.ArgumentParser, *, dry_run: bool) -> None:
    if dry_run:
        one.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    one.add_argument("--json", action="store_true", help="one JSON document on standard output")
