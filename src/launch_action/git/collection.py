"""Collects the files of a build context over repositories: a commit's tree and its submodules."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from pathlib import Path

from launch_action.core.checkout import Checkout
from launch_action.core.context import TreeFile, sort_key
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import InputError, SourceError
from launch_action.git.configuration import Configuration
from launch_action.git.lfs import Pointer
from launch_action.git.listing import KINDS, SUBMODULE, TreeEntry
from launch_action.git.origin import Origin
from launch_action.git.repository import repository_at

_SUBMODULE_HINT = (
    "`git submodule update --init --recursive`; with actions/checkout: `submodules: recursive`"
)


@dataclass(slots=True)
class Collection:
    """The files of a context and where each comes from.

    `chain` are the repositories from the checkout's own down to the one that the context begins
    in; `placed` has the origin of every file that is of another one than that. `pointers` are the
    files that LFS keeps, `absent` those whose object a partial clone left out.
    """

    prunes: Callable[[str], bool]
    chain: list[Origin] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    files: list[TreeFile] = field(default_factory=list)
    placed: dict[str, Origin] = field(default_factory=dict)
    pointers: dict[str, Pointer] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)

    def add(self, origin: Origin, directory: str, entries: Sequence[TreeEntry], at: str) -> None:
        """Take the entries below a directory of one repository in, at `at` in the context.

        Raises SourceError for a mode that is unknown, and for a submodule that is not there.
        """
        self.origins.append(origin)
        pointers = origin.pointers(directory, entries)
        for entry in entries:
            path = at + entry.path
            if entry.mode == SUBMODULE:
                if not self.prunes(path):
                    inside = posixpath.join(origin.mount, directory, entry.path)
                    self._add_submodule(inside, entry.oid, path)
                continue
            kind = KINDS.get(entry.mode)
            if kind is None:
                raise SourceError(
                    f"{path!r} has the unknown mode {entry.mode}", hint="`git fsck` explains it"
                )
            if pointer := pointers.get(entry.path):
                self.pointers[path] = pointer
                file = TreeFile(path, kind, f"sha256:{pointer.oid}", pointer.size)
            else:
                file = TreeFile(path, kind, f"git:{entry.oid}", entry.size or 0)
            if entry.size is None:
                self.absent.add(path)
            if origin is not self.chain[-1]:
                self.placed[path] = origin
            self.files.append(file)

    def _add_submodule(self, inside: str, commit: str, path: str) -> None:
        origin = submodule(self.chain[0], inside, commit)
        self.add(origin, "", submodule_files(origin, ""), f"{path}/")


def collect(checkout: Checkout, path: str, prunes: Callable[[str], bool]) -> Collection:
    """Everything below `path` at the checkout's commit. Raises SourceError, InputError.

    The common case is one listing; only when there is no such directory is it asked why.
    """
    found = Collection(prunes)
    top = Origin(checkout.repository, checkout.commit, "", checkout.partial)
    found.chain.append(top)
    directory = context_path(path)
    try:
        entries = top.listing(directory)
    except SourceError:
        if not directory:
            raise
        entries = None
    if entries is None:
        directory = _enter(found.chain, directory)
        entries = submodule_files(found.chain[-1], directory)
    found.add(found.chain[-1], directory, entries, "")
    if len(found.origins) > 1:
        found.files.sort(key=lambda file: sort_key(file.path))
    _check_distinct(found.files)
    return found


def context_path(path: str) -> str:
    """A build context as a path from the top, empty for the top. Raises InputError outside it."""
    cleaned = posixpath.normpath(path or ".")
    if path.startswith("/") or cleaned.split("/")[0] == ".." or "\0" in path:
        raise InputError(
            f"the build context is outside the repository: {path!r}",
            hint="give a path from the repository's root, such as jobs/train",
        )
    return "" if cleaned == "." else cleaned


def submodule(top: Origin, place: str, commit: str) -> Origin:
    """The repository of the submodule at `place` in the checkout. Raises SourceError."""
    repository = repository_at(Path(top.repository.top) / place)
    if repository is None:
        raise SourceError(f"the submodule {place!r} is not initialised", hint=_SUBMODULE_HINT)
    return Origin(repository, commit, place, Configuration.read(repository).is_partial)


def submodule_files(origin: Origin, directory: str) -> list[TreeEntry]:
    """What is below a directory of a submodule. Raises SourceError that names the submodule."""
    try:
        return origin.listing(directory)
    except SourceError as error:
        raise SourceError(
            f"the submodule {origin.mount!r} does not have the recorded commit "
            f"{origin.commit[:12]}" + (f" with a directory {directory!r}" if directory else ""),
            hint=_SUBMODULE_HINT,
            context=error.context,
        ) from error


def _enter(chain: list[Origin], directory: str) -> str:
    """Walk to a directory that lies in a submodule: extends `chain`, returns the rest of the way.

    Raises SourceError that says at which part of the path the way ends.
    """
    parts = directory.split("/")
    start = 0
    for end in range(1, len(parts) + 1):
        way = "/".join(parts[start:end])
        found = chain[-1].entries([way])
        place = "/".join(parts[:end])
        if not found:
            raise SourceError(
                f"the commit {chain[0].commit[:12]} has no directory {place!r}",
                hint="is it committed? the build context counts from the repository's root",
            )
        if found[0].mode == SUBMODULE:
            chain.append(submodule(chain[0], place, found[0].oid))
            start = end
        elif found[0].mode in KINDS:
            kind = "symbolic link" if KINDS[found[0].mode] == "symlink" else "file"
            raise SourceError(
                f"the build context {place!r} is a {kind}, not a directory",
                hint="give the directory",
            )
    return "/".join(parts[start:])


def _check_distinct(files: Sequence[TreeFile]) -> None:
    """Refuse a tree in which a path is there twice, or a file or link is also a directory.

    Such a tree is forged: an archive of it would write through a link to any place.
    """
    paths = {file.path for file in files}
    directories = {file.path.rpartition("/")[0] for file in files}
    for directory in tuple(directories):
        while (directory := directory.rpartition("/")[0]) and directory not in directories:
            directories.add(directory)
    twice = paths & directories
    if twice or len(paths) < len(files):
        raise SourceError(
            "the commit holds a path twice" + (f": {min(twice)!r}" if twice else ""),
            hint="no git made this commit; `git fsck` names its tree",
        )
