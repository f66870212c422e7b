"""Cleanups: what previews and deleted branches leave in a store, and what a sweep finds there."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from launch_action.core.aliases import branch_alias, distinct_alias
from launch_action.core.claims import Turn
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import InputError, LaunchError, ServiceError
from launch_action.core.notes import ROW_NOTE, note_text, preview_of, row_of, used_at
from launch_action.core.orphans import find_orphans, remove_orphans
from launch_action.core.ports import Collecting, Content
from launch_action.core.reference import Digest, Repository, Tag
from launch_action.core.release_aliases import LATEST, read_release
from launch_action.core.removal import Doomed, Removal, Tagged, remove_notes, survey
from launch_action.core.store import JobStore
from launch_action.core.sweep import Policy, Sweep, parse_age, plan_sweep, stale_rows
from launch_action.core.turns import Taken, read_taken, record_removal, stale_turns, taken_of
from launch_action.jobs.stored_jobs import (
    for_registry,
    local_stores,
    open_store,
    registry_reference,
)
from launch_action.jobs.wandb_aliases import Forget, Gone, artifact_names
from launch_action.planning.workplace import Workplace

Document = dict[str, Any]
AGE = "7d"
KEEP = "10"
# Seconds within which what is pushed without a name has got one.
_SAFE_AGE = 24 * 3600


@dataclass(frozen=True, slots=True)
class Cleanup:
    """What is asked of a cleanup, of any repository: a policy, and whether it is only shown.

    `forget` takes the aliases off at W&B as well, where that is spoken to; of a dry run it looks
    what would go there.
    """

    policy: Policy
    dry_run: bool = False
    forget: Forget | None = None


def age_policy(place: Workplace, pulls: frozenset[int] | None) -> Policy:
    """The policy of a sweep, by the inputs; previews of these pull requests stay, None: of all.

    Raises InputError.
    """
    keep = place.inputs.keep or KEEP
    if not (keep.isascii() and keep.isdigit()):
        raise InputError(
            f"input 'keep' cannot be {keep!r}", hint="write how many versions stay, such as 10"
        )
    return Policy(
        now=place.started,
        older_than=parse_age(place.inputs.older_than or AGE),
        keep=int(keep),
        open_pulls=pulls,
    )


def clean_all(names: Sequence[str], place: Workplace, wanted: Cleanup) -> Document:
    """Clean repositories by name; without names that of `--image`, else all of the local store.

    What went is told for each. Raises what the first repository raises that cannot be cleaned; the
    others are cleaned before.
    """
    found: list[Document] = []
    failed: list[LaunchError] = []
    for content in _repositories(names, place):
        try:
            found.append(clean(content, wanted))
        except LaunchError as error:
            failed.append(error)
    for other in failed[1:]:
        place.reporter.warning(f"not cleaned either: {other.message}; {other.hint}")
    if failed:
        raise failed[0]
    return {"dry_run": wanted.dry_run, "repositories": found}


def clean(content: Content, wanted: Cleanup) -> Document:
    """Take away what the policy says; what went, or would go. Killed anywhere it can go on."""
    removal = Removal(content, secrets.token_hex(8))
    tagged = survey(content)
    if not wanted.dry_run:
        removal.finish(tagged)
    named = [(one.tag, one.version) for one in tagged if one.version]
    stamps = {one.tag: at for one in tagged if (at := _stamp(one)) is not None}
    turns = {one.tag: taken for one in tagged if (taken := taken_of(one.manifest))}
    policy = replace(
        wanted.policy,
        stamps=(*((row_of(t) or 0, at) for t, at in stamps.items()), *_moved(turns.values())),
        used=tuple(use for one in tagged if (use := used_at(one.tag, one.manifest))),
    )
    plan = plan_sweep(named, policy)
    # Of what is in the store still.
    names = _names(content, tagged, plan, policy) if wanted.forget else ()
    if wanted.dry_run:
        gone: Sequence[Doomed] = plan.versions
        removed = [tag for tag, _ in plan.aliases]
    else:
        gone = removal.versions(plan.versions)
        removed = [tag for tag, version in plan.aliases if removal.alias(tag, version.digest)]
    taken_off = dict.fromkeys((*removed, *(tag for one in gone for tag in one.aliases)))
    left = {tag for tag, _ in named} - taken_off.keys()
    if not wanted.dry_run:
        old = stale_turns(turns, left, policy.now, policy.older_than)
        remove_notes(content, (*stale_rows(stamps, left, policy), *old))
        if isinstance(content, Collecting) and (gone or removed):
            content.collect()
    found = _document(content, gone, removed, plan)
    treat = find_orphans if wanted.dry_run else remove_orphans
    found["orphans"] = _each_orphan(treat, content, policy, gone)
    if wanted.forget:
        aliases = dict.fromkeys((*taken_off, *policy.gone - left))
        found["wandb"] = wanted.forget(Gone(content.name, names, tuple(aliases)))
    return found


def _each_orphan(
    treat: Callable[[Content, int, Collection[Digest]], Sequence[Digest]],
    content: Content,
    policy: Policy,
    gone: Iterable[Doomed],
) -> list[str]:
    """What a sweep by age finds besides versions: manifests that nothing names any more."""
    if policy.older_than is None:
        return []
    # What a version just named is left to the next sweep: somebody may have found it there.
    spared = {entry.digest for one in gone for entry in one.version.index.entries()}
    return list(map(str, treat(content, policy.now - max(policy.older_than, _SAFE_AGE), spared)))


def _names(
    content: Content, tagged: Iterable[Tagged], plan: Sweep, policy: Policy
) -> tuple[tuple[str, str], ...]:
    """What the jobs are at W&B that lose aliases; of an alias that is asked to go all that is here.

    It may be gone from the store, by a cleanup that did not come to its end, and not yet at W&B.
    """
    losing = [one.version for one in plan.versions] + [version for _, version in plan.aliases]
    others = [one.version for one in tagged if one.version] if policy.gone else []
    return artifact_names(content, {one.digest: one for one in (*losing, *others)}.values())


def _stamp(tagged: Tagged) -> int | None:
    """When the row of a preview was written that is kept under a tag, in seconds since 1970."""
    if row_of(tagged.tag) is None:
        return None
    text = note_text(tagged.manifest, ROW_NOTE)
    try:
        at = json.loads(text)["at"] if text else None
    except (ValueError, KeyError, TypeError, RecursionError):
        at = None
    return at // 1000 if type(at) is int else 0


def _moved(turns: Iterable[Taken]) -> Iterator[tuple[int, int]]:
    """When aliases of previews were set, each by its number."""
    for one in turns:
        number = preview_of(one.alias)
        if number is not None and one.version:
            yield number, one.turn.at


def remove_branch(
    content: Content, branch: str, turn: Turn | None, forget: Forget | None
) -> Document:
    """Remove the aliases of a deleted branch, if there are any; its versions wait for a sweep.

    Another branch's stays, and what a later run than `turn` has set.
    """
    aliases = _of_branch(content, branch, turn)
    store, removal = JobStore(content), Removal(content, secrets.token_hex(8))
    versions = [found for alias in aliases if (found := store.find(alias))] if forget else []
    names = artifact_names(content, versions)
    removed = tuple(alias for alias in aliases if removal.alias(alias))
    if turn:
        record_removal(content, turn, removed, branch)
    told = forget(Gone(content.name, names, removed)) if forget and removed else []
    return {
        "repository": content.name,
        "versions": [],
        "aliases": [str(alias) for alias in removed],
        "orphans": [],
        "kept": None,
        "wandb": told,
    }


def _of_branch(content: Content, branch: str, turn: Turn | None) -> tuple[Tag, ...]:
    """The aliases that are this branch's, as far as it is noted."""
    names = tuple(dict.fromkeys((branch_alias(branch), distinct_alias(branch))))
    known = read_taken(content, names, turn.origin if turn else "")

    def is_mine(taken: Taken) -> bool:
        others = taken.version and taken.branch not in ("", branch)
        return not (others or (turn and taken.is_later(turn)))

    return tuple(alias for alias in names if alias not in known or is_mine(known[alias]))


def close_preview(content: Content, policy: Policy, turn: Turn | None) -> Policy:
    """The policy without what a later run has set, after which no earlier one brings it back."""
    if turn is None or not content.tags():
        return policy
    taken = read_taken(content, sorted(policy.gone), turn.origin)
    gone = [
        alias
        for alias in sorted(policy.gone)
        if not (alias in taken and taken[alias].is_later(turn))
    ]
    record_removal(content, turn, gone)
    return replace(policy, gone=frozenset(gone))


def open_pulls(
    repository: str, token: str, api_url: str, place: Workplace
) -> frozenset[int] | None:
    """The pull requests of a GitHub repository that are open; None, with a warning, if unknown."""
    from launch_action.github.api import GitHubApi
    from launch_action.github.pulls import PullRequests

    try:
        with GitHubApi(repository, token=token, api_url=api_url) as api:
            return frozenset(pull.number for pull in PullRequests(api).open())
    except ServiceError as error:
        place.reporter.warning(f"{error.message}; no preview goes this time; {error.hint}")
        return None


def warn_of_age(
    documents: Iterable[Document], place: Workplace, named: Collection[str] = ()
) -> None:
    """Say that previews go though nobody was asked whether they are in use; but for the `named`."""
    gone = {tag for one in documents for tag in gone_aliases(one) if preview_of(tag) is not None}
    if gone - set(named):
        place.reporter.warning(
            f"previews go by their age alone: {', '.join(sorted(gone - set(named)))}; with a token "
            "(GITHUB_TOKEN and GITHUB_REPOSITORY) those of open pull requests stay"
        )


def gone_aliases(document: Document) -> list[str]:
    """All aliases that a cleanup's document has."""
    versions = (alias for version in document["versions"] for alias in version["aliases"])
    return [*document["aliases"], *versions]


def checked_aliases(aliases: Iterable[str]) -> frozenset[Tag]:
    """Aliases that may be asked to go. Raises InputError for those that a cleanup never touches."""
    tags = frozenset(map(Tag, aliases))
    for tag in sorted(tags):
        if tag == LATEST or read_release(tag).spelling:
            raise InputError(
                f"a cleanup takes away no release: {str(tag)!r}",
                hint="remove it with `launch-action job delete JOB --alias ALIAS`",
            )
    return tags


def _repositories(names: Sequence[str], place: Workplace) -> list[Content]:
    named = names or ([place.inputs.image] if place.inputs.image else [])
    if not named:
        return list(local_stores(place))
    return [_opened(name, place) for name in dict.fromkeys(named)]


def _opened(name: str, place: Workplace) -> Content:
    """A repository by its name, which has no alias. Raises InputError."""
    if registry_reference(name) or "/" in name:
        Repository.parse(name)
    elif ":" in name or "@" in name:
        raise InputError(
            f"a cleanup is of a whole repository: {name!r}",
            hint="leave the alias away, or name it with --alias",
        )
    return open_store(name, for_registry(name, place), writable=True)[0]


def _document(
    content: Content, versions: Sequence[Doomed], aliases: Sequence[Tag], plan: Sweep
) -> Document:
    return {
        "repository": content.name,
        "versions": [_described(one) for one in versions],
        "aliases": [str(tag) for tag in aliases],
        "orphans": [],
        "kept": plan.kept + len(plan.versions) - len(versions),
        "wandb": [],
    }


def _described(doomed: Doomed) -> Mapping[str, Any]:
    version = doomed.version
    return {
        "version": str(version.digest),
        "aliases": [str(tag) for tag in doomed.aliases],
        "commit": version.commit or None,
        "created": version.created,
    }
