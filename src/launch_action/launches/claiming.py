"""Moves the aliases of a version by the right that a launch has to them: core.claims."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from launch_action.core.checkout import Checkout
from launch_action.core.claims import Claims
from launch_action.core.errors import SourceError
from launch_action.core.plan import LaunchPlan
from launch_action.core.reference import Tag
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.planning.workplace import Workplace


def claim(
    store: JobStore,
    version: JobVersion,
    aliases: Sequence[Tag],
    claims: Claims,
    place: Workplace,
    checkout: Checkout | None = None,
) -> tuple[Tag, ...]:
    """Move aliases to a version, but for those that a later workflow run has; which it has now.

    Raises StoreError, and what the content raises.
    """
    if claims.turn is None:
        store.point(version, aliases)
        return tuple(aliases)
    # Imported where it is used: outside workflows nobody takes turns.
    from launch_action.core.turns import Claimant

    is_before = partial(_is_before, checkout, version)
    return Claimant(store, claims, place.reporter.info, is_before).point(version, aliases)


def claim_planned(
    place: Workplace,
    checkout: Checkout | None,
    store: JobStore,
    version: JobVersion,
    plan: LaunchPlan,
) -> tuple[Tag, ...]:
    """Move the aliases of a plan to a version, by the plan's right; those that it has now."""
    return claim(store, version, plan.aliases, plan.claims, place, checkout)


def _is_before(checkout: Checkout | None, version: JobVersion, other: JobVersion) -> bool:
    """Whether the other version is newer: its commit a descendant, else where that is later.

    Where git does not know, by the times of the committer, to the second.
    """
    if checkout and version.commit and other.commit:
        from launch_action.git.history import has_commit, merge_base

        with suppress(SourceError):
            if has_commit(checkout, other.commit) and not checkout.shallow:
                return merge_base(checkout, other.commit) == version.commit != other.commit
    return other.created > version.created
