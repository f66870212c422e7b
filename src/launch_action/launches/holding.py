"""Runs a version whose aliases wait for the end of its run, and moves them when that was good."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from launch_action.core.claims import Held
from launch_action.core.launch import Announce
from launch_action.core.notes import note_use, remove_note, used_tag
from launch_action.core.reference import Tag
from launch_action.core.store import JobStore
from launch_action.jobs.wandb_aliases import promoted
from launch_action.launches.claiming import claim
from launch_action.launches.release_names import bills, name_release
from launch_action.planning.workplace import StoredJob, Workplace


def run_held(
    job: StoredJob, held: Held, place: Workplace, announce: Announce, run: Callable[[], int]
) -> int:
    """Run, and move what waits for it if it went well; the exit code of the run.

    Otherwise, and where the aliases cannot be moved, what was not moved is told, with the command
    that does it. Raises what the run raises, and what the store and W&B raise.
    """
    announce(_told(held.shown, _command(job, held)))
    note_use(job.content, job.version.digest, place.started)
    done = False
    try:
        code = run()
        if code == 0:
            _move(job, held, place, announce)
            done = True
        return code
    finally:
        if not done:
            names = ", ".join(held.shown)
            place.reporter.warning(
                f"aliases are not moved: {names}; by hand: {_command(job, held)}"
            )


def _move(job: StoredJob, held: Held, place: Workplace, announce: Announce) -> None:
    store = JobStore(job.content)
    with place.reporter.phase("alias"):
        got = claim(store, job.version, held.aliases, held.claims, place, place.checkout)
        if held.tag:
            named = name_release(store, job.version, held.tag, held.names, place, held.claims)
            got = tuple(dict.fromkeys((*got, *named)))
            told = {"aliases": [str(alias) for alias in named], "sboms": bills(job)}
            announce({"metadata": {"release": told}})
    aliases = tuple(dict.fromkeys((*job.aliases, *got)))
    announce({"tags": [str(alias) for alias in aliases]})
    announce(_told(got, None))
    remove_note(job.content, used_tag(job.version.digest))
    if job.wandb_job:
        promoted(job, got, place)


def _told(aliases: Sequence[Tag], command: str | None) -> Mapping[str, Any]:
    """What `metadata` says of aliases that wait, and what moves them; or of those that it got."""
    names = [str(alias) for alias in aliases]
    return {"metadata": {"held": {"aliases": names, "moved": not command, "command": command}}}


def _command(job: StoredJob, held: Held) -> str:
    """What moves the aliases by hand."""
    version = f"{job.content.name}@{job.version.digest}"
    return shlex.join(["launch-action", "job", "promote", version, *map(str, held.shown)])
