"""The aliases of a job version: what the event or the checkout is about, and what was asked."""

from __future__ import annotations

import re
from collections.abc import Sequence

from launch_action.core.checkout import Checkout
from launch_action.core.errors import InputError
from launch_action.core.reference import Tag
from launch_action.core.situation import Situation
from launch_action.core.version import alias_tag, hidden

# W&B counts the versions of an artifact so; a second such alias ends its client.
_VERSION = re.compile(r"v[0-9]+")
# Aliases with a meaning of their own, which no branch may take.
MERGE_QUEUE = "gh-readonly-queue/"
_RESERVED = re.compile(r"latest|pr-[0-9]+|sha-.*|key-.*|branch-.*")


def default_aliases(
    checkout: Checkout | None, situation: Situation, asked: Sequence[str]
) -> tuple[Tag, ...]:
    """`sha-<commit>` of a commit; then what the event or the checkout is about; then the asked."""
    found = [f"sha-{checkout.commit}"] if checkout else []
    if situation.pull_request is not None:
        found.append(f"pr-{situation.pull_request}")
    else:
        branch, tag = _ref(checkout, situation)
        found += [name for name in (tag, _branch_alias(branch)) if name]
        if not situation.ci or (branch and branch == _default_branch(checkout, situation)):
            found.append("latest")
    tags = [alias_tag(name) for name in found] + [asked_alias(text) for text in asked]
    return tuple(dict.fromkeys(tags))


def previous_aliases(checkout: Checkout | None, situation: Situation) -> tuple[Tag, ...]:
    """The versions whose layers may serve: `latest`, the branch's and the base branch's."""
    branch, _ = _ref(checkout, situation)
    pull = f"pr-{situation.pull_request}" if situation.pull_request is not None else ""
    branches = [branch, situation.base_branch, _default_branch(checkout, situation)]
    wanted = [pull, *map(_branch_alias, branches), "latest"]
    return tuple(dict.fromkeys(alias_tag(name) for name in wanted if name))


def wandb_aliases(aliases: Sequence[Tag]) -> tuple[str, ...]:
    """The aliases as W&B takes them: `v3` is a version's own name there, and becomes `tag-v3`."""
    return tuple(f"tag-{alias}" if _VERSION.fullmatch(alias) else str(alias) for alias in aliases)


def _branch_alias(branch: str) -> str:
    """The alias of a branch; one that is called `latest` or `pr-3` does not take that alias."""
    return f"branch-{branch}" if _RESERVED.fullmatch(branch) else branch


def asked_alias(text: str) -> Tag:
    """An alias that a user asks for. Raises InputError for a tag of the store's own."""
    tag = Tag(text)
    if tag.startswith("key-") or hidden(tag):
        raise InputError(
            f"not an alias: {text!r}",
            hint="tags that begin with key- or sha256-, and buildcache, are the store's",
        )
    return tag


def _ref(checkout: Checkout | None, situation: Situation) -> tuple[str, str]:
    """Branch and tag that this is about: the event's where it says, else the checkout's."""
    own = (checkout.branch if checkout else None) or ""
    branch = situation.event_branch or own
    # A branch of GitHub's merge queue is gone when its checks have ended.
    return "" if branch.startswith(MERGE_QUEUE) else branch, situation.event_tag


def _default_branch(checkout: Checkout | None, situation: Situation) -> str:
    own = (checkout.default_branch if checkout else None) or ""
    return situation.default_branch or own
