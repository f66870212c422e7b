"""A commit with a patch on it, as a commit of a checkout of our own: `diff.patch` of a W&B run."""

from __future__ import annotations

import re

from launch_action.core.checkout import Checkout
from launch_action.core.dataclass import replace
from launch_action.core.errors import SourceError
from launch_action.git.command import git, text

_GLOB = re.compile(r"([\\*?\[])")
_NOBODY = ("user.name=launch-action", "user.email=launch-action@localhost")


def patched(checkout: Checkout, patch: bytes, path: str) -> Checkout:
    """The checkout at a new commit: its own with what the patch changes below `path`.

    Only objects and the index are written. Raises SourceError when the patch does not apply.
    """
    repository = checkout.repository
    # Elsewhere a partial checkout lacks the files that would be changed.
    below = _GLOB.sub(r"[\1]", path)
    inside = (f"--include={below}/*",) if path else ()
    try:
        git(repository, "apply", "--cached", "--whitespace=nowarn", *inside, stdin=patch)
    except SourceError as error:
        raise SourceError(
            f"diff.patch of the job does not apply to commit {checkout.short_commit}",
            hint="commit what the run had changed, and record the job of that commit",
            context=error.context,
        ) from error
    tree = text(git(repository, "write-tree", "--missing-ok")).strip()
    made = git(
        repository, "commit-tree", tree, "-p", checkout.commit, "-m", "diff.patch",
        settings=_NOBODY,
    )  # fmt: skip
    return replace(checkout, commit=text(made).strip())
