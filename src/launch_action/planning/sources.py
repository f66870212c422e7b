"""Opens the source of a job: a remote's commit, a directory, or the checkout around us."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from launch_action.core.checkout import Checkout
from launch_action.core.context import Context, TreeFile
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.directory import Directory
from launch_action.core.dockerignore import select
from launch_action.core.errors import InputError, SourceError
from launch_action.git.checkout import inspect
from launch_action.git.tree import open_context
from launch_action.planning.workplace import Workplace, in_actions, names_commit
from launch_action.scratch import scratch_directory

if TYPE_CHECKING:
    from launch_action.code.directory import DirectoryContext
    from launch_action.git.transfer import Access
    from launch_action.github.environment import GitHubContext

_TEMPORARY = "launch-action-source-"
# Seconds: whether a commit is at its remote is worth no long wait.
_CHECK_TIMEOUT = 30.0


class SourceContext(Context, Protocol):
    """A build context that also tells of what stands above it."""

    def check(self, files: Iterable[TreeFile]) -> None:
        """Raise SourceError for the first file whose content is known not to be there."""
        ...

    def outer(self, *paths: str) -> dict[str, bytes]:
        """The regular files among `paths`, which count from the source's root."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """An opened source: what the plan must know of it, and its build contexts.

    `code` is all of a directory, whose files are recorded with the job.
    """

    origin: Checkout | Directory
    context: Callable[[str], AbstractContextManager[SourceContext]]
    code: DirectoryContext | None = None

    @property
    def top(self) -> Path:
        """The directory that it lies in."""
        if isinstance(self.origin, Checkout):
            return Path(self.origin.top)
        return self.code.root if self.code else Path()

    @property
    def checkout(self) -> Checkout | None:
        return self.origin if isinstance(self.origin, Checkout) else None


@contextmanager
def open_source(place: Workplace, build_context: str) -> Iterator[Source]:
    """The source that the inputs name; of a remote only `build_context` need be there.

    Raises InputError and SourceError.
    """
    uri = place.inputs.uri
    if uri and not names_commit(uri):
        yield _directory(place, uri)
        return
    with open_checkout(place, build_context) as checkout:
        yield Source(checkout, partial(open_context, _changed(place, checkout, build_context)))


def _changed(place: Workplace, checkout: Checkout, build_context: str) -> Checkout:
    """The checkout to read: of a recorded run with what it had changed of its commit."""
    patch = place.recorded.patch if place.recorded else None
    if not patch:
        return checkout
    from launch_action.git.patched import patched

    return patched(checkout, patch, build_context)


def _directory(place: Workplace, uri: str) -> Source:
    from launch_action.code.directory import (
        DirectoryContext,
        directory_of,
        open_directory,
        plain_directory,
    )

    inputs = place.inputs
    if inputs.git_hash:
        raise InputError(
            f"input 'git-hash' is of a git repository, and 'uri' names the directory {uri!r}",
            hint="leave one of them out; a checkout's commit is built without --uri",
        )
    root = directory_of(uri)
    with place.reporter.phase("read"):
        if place.artifact:
            code = plain_directory(root)
            directory = Directory(root.name, code.files, place.artifact)
            return Source(directory, partial(_below, code), code)
        found = open_directory(root, allowed=inputs.allow_file, transfer=place.reporter.transfer)
    ignored = found.read(".dockerignore")
    text = ignored.decode("utf-8", "surrogateescape") if ignored else None
    code = DirectoryContext(root, select(found.files, text))
    return Source(Directory(root.name, code.files), partial(_below, code), code)


@contextmanager
def _below(code: DirectoryContext, build_context: str) -> Iterator[SourceContext]:
    yield code.below(build_context)


@contextmanager
def open_checkout(place: Workplace, build_context: str) -> Iterator[Checkout]:
    """The checkout to build: of `--uri`, else the one around the directory, looked at once.

    On a pull request that is the commit which a person pushed, unless `pr-commit` is `merge`: the
    checkout's own is a merge that GitHub makes anew and throws away.
    """
    inputs = place.inputs
    if place.checkout:
        yield place.checkout
        return
    if inputs.uri:
        with fetched_checkout(place, inputs.uri, inputs.git_hash, build_context) as found:
            yield found
        return
    ref = inputs.git_hash or _pull_request_head(place)
    try:
        checkout = inspect(place.directory, ref=ref or None)
    except SourceError:
        if not ref or inputs.git_hash:
            raise
        checkout = None
    if checkout:
        yield checkout
        return
    here = inspect(place.directory)  # `actions/checkout` fetches the merge alone
    with fetched_checkout(place, here.remote, ref, build_context) as found:
        yield replace(found, branch=here.branch, default_branch=here.default_branch)


def check_commit(
    place: Workplace, checkout: Checkout, stop: Callable[[], bool] | None = None
) -> None:
    """Raise SourceError when the remote says that it does not have the commit.

    A remote that cannot be asked is a warning, or with `--check-remote` an error. Once `stop` says
    that nobody wants to know any more, it ends by an exception, and leaves nothing behind.
    """
    wanted = place.inputs.check_remote
    if wanted is False or place.inputs.uri or _is_of_event(place, checkout):
        return
    from launch_action.git.remote_commit import is_on_remote

    with scratch_directory(_TEMPORARY) as name:
        try:
            access = git_access(place, checkout.remote)
            access = replace(access, timeout=_CHECK_TIMEOUT, stop=stop)
            found = is_on_remote(checkout, access, Path(name))
        except (SourceError, InputError) as error:
            if wanted:
                raise
            place.reporter.warning(
                f"whether commit {checkout.short_commit} is at its remote was not found out: "
                f"{error.message}"
            )
            return
    if not found:
        raise SourceError(
            f"commit {checkout.commit} is not at its remote {_shown(checkout.remote)}",
            hint="push it first, or nobody could rebuild the job; --no-check-remote records it",
        )


def git_access(place: Workplace, remote: str) -> Access:
    """The login for a remote: what was given, else the workflow's token at its own server."""
    from launch_action.git.transfer import Access

    inputs = place.inputs
    token = inputs.git_token
    if not token and in_actions(place.environment):
        server = place.environment.get("GITHUB_SERVER_URL", "https://github.com").rstrip("/")
        token = inputs.github_token if remote.startswith(f"{server}/") else ""
    return Access(
        place.environment,
        username=inputs.git_username,
        password=token,
        ssh_key=inputs.ssh_key,
        known_hosts=inputs.ssh_known_hosts,
    )


@contextmanager
def fetched_checkout(
    place: Workplace, uri: str, ref: str, build_context: str = ""
) -> Iterator[Checkout]:
    """A checkout of a remote's commit, there inside the block. Raises InputError, SourceError."""
    from launch_action.core.git_address import parse_git_address
    from launch_action.git.fetch import Wanted, fetched

    address = parse_git_address(uri)
    if address.protocol == "http":
        place.reporter.warning(f"{address.url} is spoken to without encryption")
    wanted = Wanted(address, ref, build_context)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(scratch_directory(_TEMPORARY)))
        with place.reporter.phase("fetch"):
            top = stack.enter_context(fetched(wanted, git_access(place, address.url), folder))
        yield inspect(top)


def _pull_request_head(place: Workplace) -> str:
    """The commit that a person pushed, where the checkout is at the merge of a pull request."""
    event = _event(place)
    if event is None or event.pull_request is None or place.inputs.pr_commit == "merge":
        return ""
    if place.untrusted and event.has_rights:
        return ""  # a fork's code is not brought where it would have these rights
    at_merge = event.sha and event.head_sha and inspect(place.directory).commit == event.sha
    return event.head_sha if at_merge else ""


def _is_of_event(place: Workplace, checkout: Checkout) -> bool:
    """Whether GitHub itself named the commit when it started this run."""
    event = _event(place)
    return event is not None and checkout.commit in (event.sha, event.head_sha)


def _event(place: Workplace) -> GitHubContext | None:
    if not in_actions(place.environment):
        return None
    from launch_action.github.environment import load_context

    return load_context(place.environment)


def _shown(remote: str) -> str:
    from launch_action.core.names import recorded_remote

    return recorded_remote(remote)
