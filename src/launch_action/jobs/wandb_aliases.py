"""Aliases of jobs at W&B, kept as the store has them: promoted there too, and taken off there too.

What W&B has is its history: no version of it is deleted, and none is made. What it refuses is a
warning, for the store is what counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from launch_action.core.aliases import wandb_aliases
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import LaunchError
from launch_action.core.ports import Content
from launch_action.core.reference import Tag
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.jobs.admission import OFFLINE, check_account
from launch_action.planning.workplace import StoredJob, Workplace

if TYPE_CHECKING:
    from launch_action.core.registration import Register
    from launch_action.wandb.artifact_lookup import Found

# W&B's own, which it gives to what it has last.
_LATEST = "latest"


@dataclass(frozen=True, slots=True)
class Gone:
    """Aliases that went from a store; `names` are those of artifacts at W&B, each with its kind."""

    store: str
    names: tuple[tuple[str, str], ...]
    aliases: tuple[Tag, ...]


# Takes aliases off at W&B; what was taken off, as `entity/project/name:alias`.
Forget = Callable[[Gone], list[str]]


def forgetting(place: Workplace, *, dry_run: bool = False) -> Forget | None:
    """What takes aliases off at W&B; None without a key and a project, or where nobody wants it.

    A dry run looks what would be taken off, and takes off nothing.
    """
    return partial(_forget, place=place, dry_run=dry_run) if _speaks(place) else None


def artifact_names(content: Content, versions: Iterable[JobVersion]) -> tuple[tuple[str, str], ...]:
    """The artifacts that versions of a store may be at W&B, while they are in it: name and kind."""
    from launch_action.core.registration import image_job_name

    found: dict[tuple[str, str], None] = {}
    for version in versions:
        found[version.job_name, "job"] = None
        found[image_job_name(version.job_name), "job"] = None
        if not version.commit and (name := _code_name(content, version)):
            found[name, "code"] = None
    return tuple(found)


def promoted(job: StoredJob, aliases: Sequence[Tag], place: Workplace) -> list[str]:
    """Move aliases to a job version at W&B, where it has it; the versions there."""
    if not aliases or not _speaks(place):
        return []
    try:
        with _found(job, aliases, place) as found:
            return [_completed(one, place) for one in found]
    except LaunchError as error:
        names = ", ".join(wandb_aliases(aliases))
        place.reporter.warning(
            f"{error.message}; at W&B {names} of {job.version.job_name!r} may be where they were; "
            f"{error.hint}, and promote it again"
        )
        return []


def moved_on(job: StoredJob) -> dict[Tag, str]:
    """The aliases that a version was given and that the store has elsewhere by now.

    Each with the alias of the other version's commit; empty where it names nothing, or one without
    a commit. The version's own commit names it for ever.
    """
    from launch_action.core.concurrency import concurrently

    store, own = JobStore(job.content), job.version.digest
    aliases = _moving(job)
    found = zip(aliases, concurrently(store.find, aliases), strict=True)
    others = {alias: other for alias, other in found if other is None or other.digest != own}
    return {
        alias: f"sha-{other.commit}" if other and other.commit else ""
        for alias, other in others.items()
    }


def _moving(job: StoredJob) -> list[Tag]:
    """The aliases that a version was given, but for what names it for ever."""
    return [alias for alias in job.aliases if not alias.startswith("sha-")]


def follow_store(job: StoredJob, uploaded: Sequence[str], place: Workplace) -> None:
    """Hand on at W&B what the store has handed on while the versions were uploaded.

    `uploaded` are they, as `entity/project/name:v3`.
    """
    try:
        lost = moved_on(job)
    except LaunchError as error:
        names = ", ".join(wandb_aliases(_moving(job)))
        place.reporter.warning(
            f"{error.message}; whether {names} moved on while {uploaded[0]!r} was uploaded is not "
            f"known, and what moved may name it at W&B still; {error.hint}, and promote the "
            "version that has them then"
        )
        return
    if not lost:
        return
    from launch_action.core.wandb_reference import parse_job_reference
    from launch_action.wandb.aliases import hand_over

    try:
        with closing(place.wandb.server()) as server:
            for name in uploaded:
                for alias, to in lost.items():
                    hand_over(server, parse_job_reference(name), wandb_aliases([alias])[0], to)
    except LaunchError as error:
        names = ", ".join(wandb_aliases(tuple(lost)))
        place.reporter.warning(
            f"{error.message}; {names} moved on while {uploaded[0]!r} was recorded, and may name "
            f"it at W&B still; {error.hint}, and promote the version that has them again"
        )


def _speaks(place: Workplace) -> bool:
    """Whether W&B is told of aliases; what cannot be an account is a warning."""
    inputs, mode = place.inputs, place.environment.get("WANDB_MODE", "").lower()
    if place.untrusted or inputs.wandb_register == "off" or mode in OFFLINE:
        return False
    try:
        account = place.wandb
        if account.key and account.project:
            check_account(account)
            return True
    except LaunchError as error:
        place.reporter.warning(f"{error.message}; W&B is not told of aliases; {error.hint}")
    return False


@contextmanager
def _found(job: StoredJob, aliases: Sequence[Tag], place: Workplace) -> Iterator[list[Found]]:
    """What W&B has of a job version, under whatever alias that the store has of it."""
    from launch_action.jobs.wandb_content import made_artifacts
    from launch_action.wandb.artifact_lookup import find_uploaded

    what: Register = "both" if job.registry and job.version.images else "blueprint"
    named = replace(job, aliases=tuple(aliases))
    known = wandb_aliases(JobStore(job.content).aliases(job.version))
    with (
        place.reporter.phase("W&B"),
        made_artifacts(named, what, place) as (asked, folder),
        place.waiting_for_wandb(),
    ):
        yield list(find_uploaded(place.wandb, asked, folder, known=known))


def _completed(found: Found, place: Workplace) -> str:
    from launch_action.wandb.aliases import complete_aliases

    complete_aliases(place.wandb, found)
    return found.uploaded.name


def _code_name(content: Content, version: JobVersion) -> str:
    """The name of a directory's code, as it was recorded; empty for other jobs."""
    from launch_action.core.job import CodeSource, artifact_name, read_job
    from launch_action.core.names import safe_name

    try:
        document, _ = JobStore(content).job_files(version)
        source = read_job(document, content.name).source
    except LaunchError:  # part of it is gone: so is what would say it
        return ""
    if not isinstance(source, CodeSource):
        return ""
    return artifact_name(source.artifact) or safe_name(f"code-{version.job_name}")


def _forget(gone: Gone, place: Workplace, *, dry_run: bool) -> list[str]:
    """Take aliases off at W&B, but for what names a version for ever, or is W&B's own."""
    aliases = [a for a in gone.aliases if a != _LATEST and not a.startswith("sha-")]
    if not aliases or not gone.names:
        return []
    from launch_action.core.concurrency import concurrently
    from launch_action.core.wandb_reference import ArtifactReference
    from launch_action.wandb.aliases import own_version, remove_alias

    account, take = place.wandb, own_version if dry_run else remove_alias
    pairs = [(*name, alias) for name in gone.names for alias in wandb_aliases(aliases)]
    try:
        with place.waiting_for_wandb(), closing(account.server()) as server:
            entity = account.default_entity()

            def remove(pair: tuple[str, str, str]) -> str:
                name, kind, alias = pair
                named = ArtifactReference(entity, account.project, name, alias)
                return str(named) if take(server, named, kind, gone.store) else ""

            return list(filter(None, concurrently(remove, pairs)))
    except LaunchError as error:
        named = f"{', '.join(wandb_aliases(aliases))} of {gone.names[0][0]!r}"
        where = f"in project {account.project!r}"
        left = (
            f"whether {named} would go at W&B {where} is not known; {error.hint}"
            if dry_run
            else f"at W&B {named} {where} may still be there; {error.hint}, and clean up again "
            "with `launch-action cleanup REPOSITORY --alias ALIAS`, or remove it on the job's page"
        )
        place.reporter.warning(f"{error.message}; {left}")
        return []
