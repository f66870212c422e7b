"""How commits of a repository are related, as far as its history is here."""

from __future__ import annotations

from launch_action.core.checkout import Checkout
from launch_action.git.command import git, text
from launch_action.git.listing import list_names


def merge_base(checkout: Checkout, other: str) -> str:
    """The best common ancestor with another commit that is here; empty where none is known."""
    found = git(checkout.repository, "merge-base", checkout.commit, other, accept=(0, 1))
    return text(found).strip()


def first_parent(checkout: Checkout) -> str:
    """The commit before this one; empty where there is none, or it is not here."""
    return _known(checkout, f"{checkout.commit}^1")


def has_commit(checkout: Checkout, commit: str) -> bool:
    """Whether a commit, by its full name, is here."""
    return bool(_known(checkout, commit))


def _known(checkout: Checkout, name: str) -> str:
    wanted = f"{name}^{{commit}}"
    options = ("--verify", "--quiet", "--end-of-options")
    found = git(checkout.repository, "rev-parse", *options, wanted, accept=(0, 1))
    return text(found).strip()


def content_of(checkout: Checkout) -> dict[str, tuple[str, str]]:
    """Mode and object of every file of the commit, by its path from the root."""
    entries = list_names(checkout.repository, checkout.commit)
    return {entry.path: (entry.mode, entry.oid) for entry in entries}
