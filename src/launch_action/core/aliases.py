"""The aliases of a job version: what the event or the checkout is about, and what was asked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from launch_action.core.checkout import Checkout
from launch_action.core.errors import InputError
from launch_action.core.reference import Tag
from launch_action.core.situation import Situation
from launch_action.core.tags import alias_tag, hidden

# W&B counts the versions of an artifact so; a second such alias ends its client.
_VERSION = re.compile(r"v[0-9]+")
# Branches of GitHub's merge queue begin so.
MERGE_QUEUE = "gh-readonly-queue/"
# A tag has 128 characters at most, nine of which are a hash's.
_LONGEST = 119
# Aliases with a meaning of their own, which no branch or tag may take, as `pr/3` would when its `/`
# has become a `-`.
_RESERVED = re.compile(r"latest|pr-[0-9]+|sha-.*|key-.*|branch-.*", re.DOTALL)
# What a release's aliases look like, which no branch may take either: `v1`, `1.2`, `v1.2.3-rc1`;
# nor `release-2.0`, which would pass for a newer release than all there are (release_aliases).
_ANY = r"(?:(?:releases?|rel|version|ver)[-_])?"
_RELEASES = re.compile(
    rf"{_ANY}v?[0-9]+(\.[0-9]+)*|({_ANY}v?|.+[-_]v)[0-9]+\.[0-9]+\.[0-9]+.*",
    re.DOTALL | re.IGNORECASE,
)


def default_aliases(
    checkout: Checkout | None, situation: Situation, asked: Sequence[str]
) -> tuple[Tag, ...]:
    """`sha-<commit>` of a commit; then what the event or the checkout is about; then the asked."""
    found: list[str] = [f"sha-{checkout.commit}"] if checkout else []
    if situation.pull_request is not None:
        found.append(f"pr-{situation.pull_request}")
    elif situation.event_tag:
        # `latest` and `v1` move by what else was released, which the store knows.
        found.append(tag_alias(situation.event_tag))
    else:
        branch = _branch(checkout, situation)
        found += [branch_alias(branch)] if branch else []
        if not situation.ci or (branch and branch == _default_branch(checkout, situation)):
            found.append("latest")
    tags = [alias_tag(name) for name in found] + [asked_alias(text) for text in asked]
    return tuple(dict.fromkeys(tags))


def previous_aliases(checkout: Checkout | None, situation: Situation) -> tuple[Tag, ...]:
    """The versions whose layers may serve: `latest`, the branch's and the base branch's."""
    branch = _branch(checkout, situation)
    pull = f"pr-{situation.pull_request}" if situation.pull_request is not None else ""
    branches = [branch, situation.base_branch, _default_branch(checkout, situation)]
    wanted = [pull, *(branch_alias(name) for name in branches if name), "latest"]
    return tuple(dict.fromkeys(alias_tag(name) for name in wanted if name))


def named_branch(checkout: Checkout | None, situation: Situation) -> str:
    """The branch whose alias is among the default ones; empty for none."""
    about_it = situation.pull_request is None and not situation.event_tag
    return _branch(checkout, situation) if about_it else ""


def base_aliases(branch: str) -> tuple[Tag, ...]:
    """What a pull request into a branch is compared with: the first of these that there is."""
    own = [distinct_alias(branch)] if branch and may_collide(branch) else []
    wanted = [*own, branch_alias(branch), "latest"] if branch else ["latest"]
    return tuple(dict.fromkeys(alias_tag(name) for name in wanted))


def wandb_aliases(aliases: Sequence[Tag]) -> tuple[str, ...]:
    """The aliases as W&B takes them: `v3` is a version's own name there, and becomes `tag-v3`."""
    return tuple(f"tag-{alias}" if _VERSION.fullmatch(alias) else str(alias) for alias in aliases)


def branch_alias(branch: str) -> Tag:
    """The alias of a branch; one called `latest`, `pr/3` or `v1` does not take that alias."""
    alias = alias_tag(branch)
    reserved = _is_reserved(branch) or _is_reserved(alias) or _RELEASES.fullmatch(alias)
    return alias_tag(f"branch-{branch}") if reserved else alias


def may_collide(branch: str) -> bool:
    """Whether a branch shares its alias with others, and has no better right to it than they.

    As `a/b`, `a-b` and `@main` do; `main` is spelt by its alias as nobody else is.
    """
    alias = branch_alias(branch)
    return alias != branch or "-" in alias


def distinct_alias(branch: str) -> Tag:
    """The alias that a branch has where another branch has its plain one.

    >>> str(distinct_alias("feature/x"))
    'feature-x-217d2bf5'
    """
    digest = hashlib.sha256(branch.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return alias_tag(f"{branch_alias(branch)[:_LONGEST]}-{digest}")


def tag_alias(tag: str) -> Tag:
    """The alias of a git tag; `_` is for the `+` of build metadata, as Helm has it.

    >>> str(tag_alias("v1.2.3+cu118"))
    'v1.2.3_cu118'
    """
    named = tag.replace("+", "_")
    alias = alias_tag(named)
    reserved = _is_reserved(named) or _is_reserved(alias)
    return alias_tag(f"tag-{named}") if reserved else alias


def _is_reserved(name: str) -> bool:
    return _RESERVED.fullmatch(name) is not None


def asked_alias(text: str) -> Tag:
    """An alias that a user asks for. Raises InputError for a tag of the store's own."""
    tag = Tag(text)
    if tag.startswith("key-") or hidden(tag):
        raise InputError(
            f"not an alias: {text!r}",
            hint="buildcache and tags that begin with key-, sha256-, report-pr- are the store's",
        )
    return tag


def _branch(checkout: Checkout | None, situation: Situation) -> str:
    """The branch that this is about: the event's where it says, else the checkout's."""
    branch = situation.event_branch or (checkout.branch if checkout else None) or ""
    # A branch of GitHub's merge queue is gone when its checks have ended.
    return "" if branch.startswith(MERGE_QUEUE) else branch


def _default_branch(checkout: Checkout | None, situation: Situation) -> str:
    own = (checkout.default_branch if checkout else None) or ""
    return situation.default_branch or own
