"""`launch-action discover`: its options, and what it prints."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from launch_action.core.dataclass import replace
from launch_action.core.input_table import BY_NAME, Input
from launch_action.planning.workplace import Workplace, is_untrusted

if TYPE_CHECKING:
    from launch_action.launches.many_jobs import Given

_OPTIONS = (
    "only", "git-hash", "git-username", "git-token", "ssh-key", "ssh-known-hosts",
    "working-directory", "verbose",
)  # fmt: skip


def add_options(
    one: argparse.ArgumentParser, add: Callable[[argparse.ArgumentParser, Input], None]
) -> None:
    """Add the options of the command; `add` takes those of the table of inputs."""
    for name in _OPTIONS:
        add(one, BY_NAME[name])
    one.add_argument(
        "--base",
        metavar="REF",
        help="branch, tag or commit to compare with; default what the event is a change of, else "
        "the remote's default branch",
    )
    one.add_argument("--all", action="store_true", help="take every job as changed")
    one.add_argument(
        "--output",
        metavar="NAME",
        help="print NAME=MATRIX and NAME-any=true or false, for `>> $GITHUB_OUTPUT`",
    )
    one.add_argument("--json", action="store_true", help="one JSON document with all jobs and why")


def discovered_lines(given: Given, chosen: argparse.Namespace, place: Workplace) -> Iterator[str]:
    """Find the jobs that changed; what to print."""
    from launch_action.commands.discovering import discover

    keys = place.inputs.only
    place = replace(place, untrusted=is_untrusted(place.environment))
    found = discover(place, given, keys, base=chosen.base or "", everything=chosen.all)
    matrix = json.dumps(found.matrix(), separators=(",", ":"))
    if chosen.json:
        yield json.dumps(found.document(), indent=2)
    elif chosen.output:
        yield f"{chosen.output}={matrix}"
        yield f"{chosen.output}-any={json.dumps(bool(found.matrix()['include']))}"
    else:
        yield matrix
