"""Whether a commit can be had from its remote, so that somebody else can rebuild the job."""

from __future__ import annotations

import re
from pathlib import Path

from launch_action.core.checkout import Checkout
from launch_action.core.dataclass import replace
from launch_action.core.git_address import parse_git_address
from launch_action.git.command import text
from launch_action.git.fetch import FETCH, LARGER
from launch_action.git.transfer import Access, Transfer, transfer

_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def is_on_remote(checkout: Checkout, access: Access, folder: Path) -> bool:
    """Whether the remote of a checkout gives its commit to who asks; `folder` is empty and private.

    Asked in the order of what it costs: the remote's references; what is known here of their
    histories; the commit by its name; all histories. Raises SourceError when the
    remote cannot be asked, InputError for a remote of a kind that is not spoken to.
    """
    address = parse_git_address(checkout.remote)
    with transfer(address, access, folder, folder) as remote:
        _begin(remote)
        lines = text(remote.run("ls-remote", "origin")).splitlines()
        tips = {line.partition("\t")[0] for line in lines}
        if checkout.commit in tips:
            return True
        if not checkout.shallow and _is_before(remote, checkout, tips):
            return True
        return _is_given(remote, checkout.commit)


def _is_before(remote: Transfer, checkout: Checkout, tips: set[str]) -> bool:
    """Whether a commit is in the history of a reference that this checkout knows as well.

    The objects of the checkout are read from a repository of ours: nothing in its own is obeyed.
    """
    objects = Path(checkout.repository.common_dir, "objects")
    local = remote.with_variables(GIT_ALTERNATE_OBJECT_DIRECTORIES=f'"{objects}"')
    asked = "".join(f"{tip}\n" for tip in sorted(tips) if _OID.fullmatch(tip))
    answers = local.attempt("cat-file", "--batch-check", stdin=asked.encode()).text
    known = [words[0] for line in answers.splitlines() if (words := line.split())[1] == "commit"]
    if not known:
        return False
    found = local.attempt("rev-list", "--max-count=1", checkout.commit, "--not", *known)
    return found.code == 0 and not found.out.strip()


def _is_given(remote: Transfer, commit: str) -> bool:
    """Whether the server gives the commit by name or, where it gives none so, in any history."""
    done = remote.attempt(*FETCH, "--depth=1", "--filter=tree:0", "origin", commit)
    if done.code == 0:
        return True
    if "not our ref" in done.complaint:
        return False
    if not LARGER.search(done.complaint):
        raise remote.refused("fetch", done)
    # Elsewhere: what was asked for in part here, git would go on asking for.
    history = replace(remote, directory=remote.directory / "history")
    history.directory.mkdir()
    _begin(history)
    history.run(*FETCH, "origin", "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
    return history.attempt("cat-file", "-e", f"{commit}^{{commit}}").code == 0


def _begin(remote: Transfer) -> None:
    """A repository of ours whose origin is the remote."""
    remote.run("init", "--quiet", "--bare", "--template=", ".")
    remote.run("config", "remote.origin.url", remote.address.url)
