"""The command line of `launch-action job ...`: its parser, and each command with its output."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from launch_action.core.errors import InputError

if TYPE_CHECKING:
    from launch_action.core.outputs import Outcome
    from launch_action.planning.workplace import Workplace

# Options of a build that say nothing of what a job is, or are given in another way here.
NOT_TO_CREATE = frozenset({
    "uri", "docker-image", "working-directory", "pr-commit", "builder", "compile", "compression",
    "resolve-date", "sbom", "provenance",
})  # fmt: skip
_HELP: Mapping[str, str] = {
    "create": "record the job of a repository, directory, image or W&B run; nothing is built",
    "list": "list the versions of jobs in a repository or in the local store",
    "describe": "show everything that is recorded of a job version",
    "promote": "move aliases to a job version, by digest; nothing is built",
    "delete": "delete a job version, or aliases of one",
}
_JOB_HELP = "job reference, such as ghcr.io/acme/train:v1, or name:alias of the local store"


def add_job_commands(
    commands: argparse._SubParsersAction[Any],
    add_options: Callable[[argparse.ArgumentParser, str], None],
) -> None:
    """Add `job` with its commands; `add_options` adds what all of them take."""
    text = "create, list, describe, promote or delete recorded jobs"
    own = commands.add_parser("job", help=text, description=text, allow_abbrev=False)
    parsers = own.add_subparsers(dest="job_command", metavar="COMMAND", required=True)
    for name, text in _HELP.items():
        one = parsers.add_parser(name, help=text, description=text, allow_abbrev=False)
        _add_arguments(name, one)
        add_options(one, name)
        one.add_argument("--json", action="store_true", help="one JSON document on standard output")


def _add_arguments(name: str, one: argparse.ArgumentParser) -> None:
    if name == "create":
        one.add_argument("kind", choices=("git", "code", "image", "run"), help="what PATH names")
        one.add_argument(
            "path", metavar="PATH", nargs="?", default="",
            help="address of a git repository or a checkout; a directory; an image; "
            "directory of a W&B run, default the latest",
        )  # fmt: skip
        one.add_argument("-n", "--name", dest="job-name", metavar="NAME", help="name of the job")
        one.add_argument("-d", dest="description", metavar="TEXT", help="the same as --description")
        one.add_argument("-r", dest="python", metavar="VERSION", help="the same as --runtime")
        one.add_argument("--dry-run", action="store_true", help="print the plan and do nothing")
        return
    if name == "list":
        one.add_argument(
            "repositories", metavar="REPOSITORY", nargs="*",
            help="repository, or job of the local store; default --image, else the local store",
        )  # fmt: skip
        return
    one.add_argument("reference", metavar="JOB", help=_JOB_HELP)
    if name == "describe":
        one.add_argument(
            "--against", metavar="JOB", default="",
            help="another version, or an alias beside it: show what differs",
        )  # fmt: skip
    if name == "promote":
        one.add_argument(
            "aliases", metavar="ALIAS", nargs="+",
            help="alias, or REPOSITORY:ALIAS to take the version over into another repository",
        )  # fmt: skip
    if name == "delete":
        one.add_argument(
            "-a", "--alias", dest="aliases", metavar="ALIAS", action="append", default=[],
            help="remove this alias only, and keep the version",
        )  # fmt: skip


def job_command(chosen: argparse.Namespace, place: Workplace, outcome: Outcome) -> Iterator[str]:
    """Do what was chosen; the lines to print. What is recorded is told to the outcome at once."""
    from launch_action.jobs import job_commands, job_text

    match chosen.job_command:
        case "create":
            return _create(chosen, place, outcome)
        case "list":
            document = job_commands.list_jobs(chosen.repositories, place)
            lines = job_text.listing(document, place.started)
        case "describe":
            document = job_commands.describe_job(chosen.reference, chosen.against, place)
            lines = job_text.description(document, place.started)
        case "promote":
            document = job_commands.promote_job(chosen.reference, chosen.aliases, place)
            lines = job_text.promotion(document)
        case _:
            document = job_commands.delete_job(chosen.reference, chosen.aliases, place)
            lines = job_text.deletion(document)
    return iter([json.dumps(document, indent=2)] if chosen.json else lines)


def _create(chosen: argparse.Namespace, place: Workplace, outcome: Outcome) -> Iterator[str]:
    from launch_action.jobs.job_create import create_job, job_steps
    from launch_action.report import result_lines

    if not chosen.path and chosen.kind != "run":
        raise InputError(
            f"a job of kind {chosen.kind!r} needs its PATH",
            hint="see `launch-action job create --help`",
        )
    if chosen.dry_run:
        plan = job_steps(chosen.kind, chosen.path, place, outcome.announce)
        document = {**outcome.document(), "plan": plan}
        lines = (f"{step['step']:<13}{step['detail']}" for step in plan)
        return iter([json.dumps(document, indent=2)] if chosen.json else lines)
    create_job(chosen.kind, chosen.path, place, outcome.announce)
    if chosen.json:
        return iter([json.dumps(outcome.document(), indent=2)])
    return result_lines(outcome.values)
