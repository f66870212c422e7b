"""The command line of `launch-action cleanup`: its parser, what it does, and its output."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from launch_action.planning.workplace import Workplace

_HELP = "remove what previews left: their aliases, and the versions that only they reach"


def add_cleanup(
    commands: argparse._SubParsersAction[Any],
    add_options: Callable[[argparse.ArgumentParser], None] | None,
) -> None:
    """Add `cleanup`; `add_options` adds its rows of the table, where it was asked for."""
    own = commands.add_parser("cleanup", help=_HELP, description=_HELP, allow_abbrev=False)
    if add_options is None:
        return
    own.add_argument(
        "repositories", metavar="REPOSITORY", nargs="*",
        help="repository, or job of the local store; default --image, else the local store",
    )  # fmt: skip
    own.add_argument(
        "-a", "--alias", dest="aliases", metavar="ALIAS", action="append", default=[],
        help="remove this alias, such as pr-12, with what only it reaches, whatever its age; "
        "nothing else goes unless --older-than is said",
    )  # fmt: skip
    own.add_argument("--dry-run", action="store_true", help="print what would go and do nothing")
    add_options(own)
    own.add_argument("--json", action="store_true", help="one JSON document on standard output")


def cleanup_command(chosen: argparse.Namespace, place: Workplace) -> Iterator[str]:
    """Do what was chosen; the lines to print."""
    from launch_action.commands.cleaning import (
        Cleanup,
        age_policy,
        checked_aliases,
        clean_all,
        warn_of_age,
    )
    from launch_action.core.dataclass import replace
    from launch_action.jobs.wandb_aliases import forgetting

    aliases = checked_aliases(chosen.aliases)
    by_age = bool(place.inputs.older_than) or not aliases
    asked = by_age and _can_ask(place)
    pulls = _open_pulls(place) if asked else frozenset[int]()
    policy = replace(age_policy(place, pulls), gone=aliases)
    if not by_age:
        policy = replace(policy, older_than=None)
    wanted = Cleanup(policy, chosen.dry_run, forgetting(place, dry_run=chosen.dry_run))
    document = clean_all(chosen.repositories, place, wanted)
    if by_age and not asked:
        warn_of_age(document["repositories"], place, aliases)
    return iter([json.dumps(document, indent=2)] if chosen.json else lines(document))


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """What went, for people."""
    verb = "would delete" if document["dry_run"] else "deleted"
    told = "would remove" if document["dry_run"] else "removed"
    for one in document["repositories"]:
        for version in one["versions"]:
            aliases = ", ".join(map(_short, version["aliases"])) or "no alias"
            made = (version["created"] or "")[:10]
            yield f"{verb:<13}{one['repository']}@{version['version']} ({made}; {aliases})"
        for alias in one["aliases"]:
            yield f"{told:<13}{one['repository']}:{alias}"
        for name in one["wandb"]:
            yield f"{told:<13}wandb:{name}"
        if count := len(one["orphans"]):
            yield f"{verb:<13}{one['repository']}: {_counted(count, 'manifest')} without a name"
        if (count := one["kept"]) is not None:
            yield f"{'kept':<13}{one['repository']}: {_counted(count, 'version')}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _short(alias: str) -> str:
    return alias[:16] if alias.startswith("sha-") else alias


def _can_ask(place: Workplace) -> bool:
    """Whether GitHub can be asked which pull requests are open."""
    return bool(_token(place) and place.environment.get("GITHUB_REPOSITORY"))


def _token(place: Workplace) -> str:
    return place.environment.get("GITHUB_TOKEN") or place.environment.get("GH_TOKEN") or ""


def _open_pulls(place: Workplace) -> frozenset[int] | None:
    """The pull requests that are open: their previews stay."""
    from launch_action.commands.cleaning import open_pulls

    api_url = place.environment.get("GITHUB_API_URL") or "https://api.github.com"
    return open_pulls(place.environment["GITHUB_REPOSITORY"], _token(place), api_url, place)
