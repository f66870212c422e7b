"""Fetches one commit of a remote into a checkout of our own: shallow, and only what is asked for.

What the server cannot do is done in the next larger way: one commit by its name, a reference, all
branches and tags. Sources: git-fetch(1), git-sparse-checkout(1), gitprotocol-v2(5).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launch_action import process
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import InputError, SourceError
from launch_action.core.git_address import GitAddress
from launch_action.git.command import text
from launch_action.git.transfer import Access, Transfer, transfer

_FULL = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SHORT = re.compile(r"[0-9a-fA-F]{4,63}")
# What sparse-checkout(1) takes for a pattern, or trims from a line: all is checked out then.
_PATTERN = re.compile(r"[*?\[\]\\\n\r]|^[!\s]|\s$")
_NOT_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^[-/.]|[/.]$|//|\.lock$")
# What a server says that has no such commit to give by name, or cannot give a part of a history.
LARGER = re.compile(
    r"unadvertised object|not our ref|couldn't find remote ref|does not support shallow"
    r"|shallow capabilities|no such ref|remote error: upload-pack|expected shallow/unshallow"
)
# From the cheapest to what every server can: a part of one commit, one commit, all history.
_WAYS = (("--depth=1", "--filter=blob:none"), ("--depth=1",), ())
FETCH = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-auto-maintenance")


class _TooLittleError(Exception):
    """The server does not give what it left out."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be fetched. `ref` is a branch, tag or commit, empty for the remote's HEAD.

    `path` is the directory of the repository that is needed, empty for all of it.
    """

    address: GitAddress
    ref: str = ""
    path: str = ""


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A commit, or a text that may abbreviate one; the reference that names it, where one does."""

    commit: str
    reference: str
    default_branch: str


@contextmanager
def fetched(wanted: Wanted, access: Access, folder: Path) -> Iterator[Path]:
    """A checkout of the commit, in an empty private `folder`, which the caller removes.

    Its origin is the address without its login. Raises InputError for a reference that cannot be
    one, SourceError for what the remote refuses or does not have.
    """
    wanted = replace(wanted, ref=_ref(wanted.ref))
    keys = folder / "keys"
    keys.mkdir(mode=0o700)
    for number, way in enumerate(_WAYS):
        top = folder / f"checkout-{number}"
        top.mkdir(mode=0o700)
        with transfer(wanted.address, access, top, keys) as remote:
            if not _try(remote, wanted, way):
                shutil.rmtree(top)
                continue
        yield top
        return
    raise _unknown(wanted.address, wanted.ref)


def _try(remote: Transfer, wanted: Wanted, way: tuple[str, ...]) -> bool:
    """Make the checkout in one way; False where the server cannot do it so. Raises SourceError."""
    remote.run("init", "--quiet", "--template=", "--initial-branch=launch-action", ".")
    remote.run("config", "remote.origin.url", wanted.address.url)
    try:
        found = _resolve(remote, wanted.ref)
        commit = _fetch(remote, found, way)
        if commit:
            _check_out(remote, wanted.path, found, commit)
        return bool(commit)
    except _TooLittleError:
        return False


def _ref(given: str) -> str:
    """The reference as it is asked for: empty for HEAD, a commit in lower case."""
    if given and _NOT_A_REF.search(given):
        raise InputError(
            f"not a branch, tag or commit: {given!r}",
            hint="give its name as `git branch` prints it",
        )
    if given in ("HEAD", "@"):
        return ""
    return given.lower() if _FULL.fullmatch(given.lower()) else given


def _resolve(remote: Transfer, ref: str) -> _Resolved:
    """What the remote says of the reference, and of its own HEAD, in one request."""
    names = [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
    patterns = [p for n in names if ref and not _FULL.fullmatch(ref) for p in (n, f"{n}^{{}}")]
    answer = text(remote.run("ls-remote", "--symref", "origin", "HEAD", *patterns))
    lines = [line.partition("\t") for line in answer.splitlines()]
    symbolic = {name: value[5:] for value, _, name in lines if value.startswith("ref: ")}
    oids = {name: value for value, _, name in lines if not value.startswith("ref: ")}
    head = symbolic.get("HEAD", "")
    default = head.removeprefix("refs/heads/")
    if _FULL.fullmatch(ref):
        return _Resolved(ref, "", default)
    for name in names if ref else (["HEAD"] if "HEAD" in oids else []):
        if name in oids:
            commit = oids.get(f"{name}^{{}}", oids[name])
            return _Resolved(commit, head or name if name == "HEAD" else name, default)
    if _SHORT.fullmatch(ref):
        return _Resolved(ref, "", default)
    raise _unknown(remote.address, ref)


def _fetch(remote: Transfer, found: _Resolved, way: tuple[str, ...]) -> str:
    """Fetch the commit; its full name, empty where the server does not give it in this way."""
    if way and _FULL.fullmatch(found.commit):
        if _tried(remote, *way, found.commit):
            return found.commit
        for reference in filter(None, (found.reference, _naming(remote, found.commit))):
            if _tried(remote, *way, f"+{reference}:refs/launch-action/wanted"):
                return _commit(remote, "refs/launch-action/wanted")
        return ""
    # Of a short name all is needed. A part first: a server of plain files has no parts, and git
    # would ask it for what was left out by asking again, without an end.
    if way and not _tried(remote, *way, "HEAD"):
        return ""
    whole_history = [*(o for o in way if o != "--depth=1"), *(["--unshallow"] if way else [])]
    own = (f"+{found.reference}:refs/launch-action/wanted",) if found.reference else ()
    everything = ("+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*", *own)
    got = _tried(remote, *whole_history, *everything)
    return _commit(remote, found.commit) if got else ""


def _tried(remote: Transfer, *arguments: str) -> bool:
    """Whether a fetch worked; False where another way may. Raises SourceError for the rest."""
    options = [a for a in arguments if a.startswith("--")]
    names = [a for a in arguments if not a.startswith("--")]
    done = remote.attempt(*FETCH, *options, "origin", *names)
    if done.code and not LARGER.search(done.complaint):
        raise remote.refused("fetch", done)
    return done.code == 0


def _naming(remote: Transfer, commit: str) -> str:
    """A reference of any kind that names the commit, such as `refs/pull/7/head`."""
    answer = text(remote.run("ls-remote", "origin"))
    found = (line.partition("\t")[2] for line in answer.splitlines() if line.startswith(commit))
    return next((name for name in found if name != "HEAD" and not name.endswith("^{}")), "")


def _commit(remote: Transfer, name: str) -> str:
    """The full name of a commit that was fetched, empty where there is none."""
    wanted = f"{name}^{{commit}}"
    done = remote.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", wanted)
    return "" if done.code else done.text.strip()


def _unknown(address: GitAddress, ref: str) -> SourceError:
    return SourceError(
        f"no branch, tag or commit {ref or 'HEAD'!r} at {address.url}",
        hint="check the name; a commit has to be pushed, and a short one reachable from a branch",
    )


def _check_out(remote: Transfer, path: str, found: _Resolved, commit: str) -> None:
    """Check the needed directory out, with its submodules and LFS content, under its branch."""
    if path and not _PATTERN.search(path):
        # Files of the directories above come along: `.python-version` and `.gitmodules` are there.
        remote.run("sparse-checkout", "set", "--cone", "--end-of-options", path)
    _name(remote, found, commit)
    branch = found.reference.removeprefix("refs/heads/")
    named = found.reference.startswith("refs/heads/")
    place = ("-B", branch, commit) if named else ("--detach", commit)
    checkout = ("checkout", "--quiet", "--force", "--no-recurse-submodules", *place, "--")
    done = remote.attempt(*_lfs(path), *checkout)
    if done.code and LARGER.search(done.complaint):
        raise _TooLittleError  # the server leaves files out, but does not give them later
    if done.code:
        raise remote.refused("checkout", done)
    inside = _submodules(remote, path, commit)
    if inside:
        update = ("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1")
        remote.run(*_lfs(""), *update, "--", *inside)


def _name(remote: Transfer, found: _Resolved, commit: str) -> None:
    """Write down what the remote's default branch is called, as a clone does."""
    if found.default_branch:
        default = f"refs/remotes/origin/{found.default_branch}"
        remote.run("update-ref", default, commit)
        remote.run("symbolic-ref", "refs/remotes/origin/HEAD", default)


def _lfs(path: str) -> tuple[str, ...]:
    """Settings by which git-lfs, where it is installed, brings the content of the files needed."""
    off = ("filter.lfs.clean=", "filter.lfs.smudge=", "filter.lfs.process=")
    on = ("filter.lfs.process=git-lfs filter-process", "filter.lfs.required=true")
    chosen = on if process.which("git-lfs") else (*off, "filter.lfs.required=false")
    include = (f"lfs.fetchinclude={path}/**",) if path else ()
    return tuple(word for setting in (*chosen, *include) for word in ("-c", setting))


def _submodules(remote: Transfer, path: str, commit: str) -> list[str]:
    """The submodules in the needed directory, or the one that it lies in."""
    parts = path.split("/") if path else []
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    found = []
    listings = (("-r", commit, "--", *([path] if path else [])), (commit, "--", *above))
    for arguments in listings if above else listings[:1]:
        answer = text(remote.run("ls-tree", "-z", "--full-tree", *arguments))
        entries = (entry.partition("\t") for entry in answer.split("\0") if entry)
        found += [name for mode, _, name in entries if mode.startswith("160000 ")]
    return sorted(set(found))
