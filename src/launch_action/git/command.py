"""Calls git so that nothing of a repository's configuration is run and nothing is fetched.

A `.git/config` is outside text: an archive or a previous step may have written it. Only commands
that read are called, and whatever such a command could be told to start is switched off here.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from launch_action import process
from launch_action.core.checkout import Repository
from launch_action.core.errors import SourceError

TIMEOUT = 300.0  # seconds: a status of millions of files on a cold network disk takes minutes

_OFF = (
    "core.fsmonitor=",  # empty, not `false`: before git 2.36 that was the name of a hook
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.askPass=",
    "core.sshCommand=false",
    "core.gitProxy=",
    "core.alternateRefsCommand=false",
    "credential.helper=",
    "diff.external=",
    "fetch.bundleURI=",
    "gc.auto=0",
    "log.showSignature=false",
    "maintenance.auto=false",
    "protocol.allow=never",
    "submodule.recurse=false",
)


def git(
    repository: Repository,
    *arguments: str,
    settings: Sequence[str] = (),
    stdin: bytes | None = None,
    accept: tuple[int, ...] = (0,),
) -> bytes:
    """Run one reading git command in a repository and return its standard output.

    `settings` are further `name=value` pairs. Raises SourceError when git is missing, takes too
    long, or ends with a code that is not in `accept`.
    """
    with _explained(arguments[0]):
        done = process.run(
            _command(arguments, settings),
            cwd=Path(repository.top),
            env=_environment(repository),
            stdin=stdin,
            timeout=TIMEOUT,
        )
    if done.code not in accept:
        raise SourceError(
            f"git {arguments[0]} failed in {repository.top!r} with code {done.code}",
            hint="see what git says; `git fsck` checks the repository",
            context=done.complaint,
        )
    return done.out


@contextmanager
def git_talk(repository: Repository, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a reading git command that is spoken to through pipes. Raises SourceError."""
    with ExitStack() as stack:
        with _explained(arguments[0]):
            child = stack.enter_context(
                process.talk(
                    _command(arguments, ()),
                    cwd=Path(repository.top),
                    env=_environment(repository),
                )
            )
        yield child


def text(data: bytes) -> str:
    """Output of git as text; bytes that are not UTF-8 are kept by surrogateescape."""
    return data.decode("utf-8", "surrogateescape")


def raw(value: str) -> bytes:
    """The bytes of a text that `text` made."""
    return value.encode("utf-8", "surrogateescape")


def _command(arguments: Sequence[str], settings: Sequence[str]) -> list[str]:
    options = [word for setting in (*_OFF, *settings) for word in ("-c", setting)]
    return ["git", "--no-pager", *options, *arguments]


def _environment(repository: Repository) -> dict[str, str]:
    """No `GIT_*` variable is inherited, and the configuration of user and machine is not read.

    Nothing local needs it: `safe.directory` is asked only when git looks for the repository
    itself (naming GIT_DIR is the documented way round), and proxies, helpers and certificates
    serve transfers, of which there are none. What it could add is programs to run.
    GIT_WORK_TREE wins over a `core.worktree` that points elsewhere. GIT_ALLOW_PROTOCOL stops a
    partial clone from fetching what it lacks where git does not know GIT_NO_LAZY_FETCH (2.44).
    """
    return process.environment(
        HOME="/nonexistent",
        XDG_CONFIG_HOME="/nonexistent",
        GIT_ALLOW_PROTOCOL="none",
        GIT_CONFIG_GLOBAL="/dev/null",
        GIT_CONFIG_NOSYSTEM="1",
        GIT_ATTR_NOSYSTEM="1",
        GIT_DIR=repository.git_dir,
        GIT_LITERAL_PATHSPECS="1",
        GIT_NO_LAZY_FETCH="1",
        GIT_NO_REPLACE_OBJECTS="1",
        GIT_OPTIONAL_LOCKS="0",
        GIT_TERMINAL_PROMPT="0",
        GIT_WORK_TREE=repository.top,
    )


@contextmanager
def _explained(command: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if process.which("git"):
            raise SourceError(
                f"no such directory: {error.filename!r}", hint="was the checkout moved or removed?"
            ) from error
        raise SourceError(
            "git is not installed", hint="install git, for example `apt-get install git`"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SourceError(
            f"git {command} took longer than {error.timeout:.0f} seconds",
            hint="is the checkout on a disk that answers?",
        ) from error
