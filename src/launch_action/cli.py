"""The command line: it wires the parts, holds the only `except LaunchError` and the only exit."""

from __future__ import annotations

import argparse
import json
import os
import platform as machine
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import NoReturn

from launch_action import __version__
from launch_action.core.errors import InputError, LaunchError
from launch_action.core.inputs import INPUTS, Command, Input

_DESCRIPTION = "Turn a commit into a job: a versioned, runnable blueprint with a container image."
_COMMANDS: Mapping[Command, str] = {
    "launch": "build a job version from the checkout, record it, and run it",
    "build": "build a job version from the checkout and record it",
    "run": "run an existing job version",
}


class _Parser(argparse.ArgumentParser):
    """argparse with our error form and exit code (both are 2, the text is ours)."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, hint=f"see `{self.prog} --help`")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands, made from the table of inputs."""
    top = _Parser(prog="launch-action", description=_DESCRIPTION, allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"launch-action {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command, text in _COMMANDS.items():
        one = commands.add_parser(command, help=text, description=text, allow_abbrev=False)
        if command == "run":
            one.add_argument("job", metavar="JOB", help="job reference, such as ghcr.io/acme/train:v1")
        for known in INPUTS:
            if command in known.commands:
                _add_option(one, known)
        _add_own(one, dry_run=command != "run")
    commands.add_parser("action", help="the GitHub Actions entry point")
    doctor = commands.add_parser("doctor", help="what is found here, and what is missing")
    doctor.add_argument("--json", action="store_true", help="one JSON document on standard output")
    return top


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
    else:
        metavar = known.metavar or ("{" + ",".join(known.choices) + "}" if known.choices else None)
        one.add_argument(*spellings, dest=known.name, help=text, metavar=metavar)


def _add_own(one: argparse.ArgumentParser, *, dry_run: bool) -> None:
    if dry_run:
        one.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
    one.add_argument("--json", action="store_true", help="one JSON document on standard output")
