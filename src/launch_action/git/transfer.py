"""Runs the git commands that speak to a remote: with a login that only their environment holds.

The user's own configuration is read here, unlike in `git.command`: proxies, certificates and
credential helpers are in it. The repository is a new one of ours, so that nothing in it is from
outside but objects.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from launch_action import process
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import InputError, SourceError
from launch_action.core.git_address import GitAddress
from launch_action.git.refusals import explain

TIMEOUT = 3600.0  # seconds: a git that transfers slowly is ended by its own low-speed limit
# A value that is set for every call, whatever the user's configuration says.
_SETTINGS: tuple[tuple[str, str], ...] = (
    ("core.hooksPath", "/dev/null"),
    ("core.fsmonitor", ""),
    ("core.symlinks", "true"),
    ("core.autocrlf", "false"),
    ("advice.detachedHead", "false"),
    ("fetch.fsckObjects", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("gc.auto", "0"),
    ("http.lowSpeedLimit", "1000"),
    ("http.lowSpeedTime", "60"),
    ("maintenance.auto", "false"),
    ("submodule.recurse", "false"),
    ("transfer.credentialsInUrl", "die"),
)
# Of a `GIT_*` variable only these are the user's own settings; the others name a repository.
_KEPT = frozenset({
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY", "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH", "GIT_PROXY_SSL_CAINFO",
})  # fmt: skip
_USERNAME, _PASSWORD = "LAUNCH_ACTION_GIT_USERNAME", "LAUNCH_ACTION_GIT_PASSWORD"
# git starts this by a shell; the two values are data in it, not text of the command.
_HELPER = f"""!printf 'username=%s\\npassword=%s\\n' "${_USERNAME}" "${_PASSWORD}"; true"""
_ANY_USER = "x-access-token"


@dataclass(frozen=True, slots=True)
class Access:
    """How a remote lets us in. `ssh_key` is the text of a private key, or the name of its file.

    Without a login, git's own credential helpers and ssh's agent serve. `environment` is that of
    the program; `known_hosts` names a file; `timeout` is for each git, in seconds.
    """

    environment: Mapping[str, str] = field(repr=False)
    username: str = ""
    password: str = field(default="", repr=False)
    ssh_key: str = field(default="", repr=False)
    known_hosts: str = ""
    timeout: float = TIMEOUT
    stop: Callable[[], bool] | None = None
    """Says that nobody wants the answer any more: git is ended with StoppedError."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """Runs git in `directory` with what `access` gives, for one remote."""

    address: GitAddress
    directory: Path
    environment: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())
    timeout: float = TIMEOUT
    stop: Callable[[], bool] | None = None

    def run(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> bytes:
        """Run one git command to its end; its standard output. Raises SourceError."""
        done = self.attempt(*arguments)
        if done.code not in accept:
            raise self.refused(next(a for a in arguments if a[0] != "-" and "=" not in a), done)
        return done.out

    def with_variables(self, **variables: str) -> Transfer:
        """The same with more environment variables."""
        return replace(self, environment={**self.environment, **variables})

    def attempt(self, *arguments: str, stdin: bytes | None = None) -> process.Finished:
        """Run one git command and leave its code to the caller. Raises SourceError."""
        try:
            return process.run(
                ["git", "--no-pager", *arguments],
                cwd=self.directory,
                env=self.environment,
                stdin=stdin,
                timeout=self.timeout,
                stop=self.stop,
                group=True,
            )
        except FileNotFoundError as error:
            raise SourceError(
                "git is not installed", hint="install git, for example `apt-get install git`"
            ) from error
        except subprocess.TimeoutExpired as error:
            raise SourceError(
                f"git {arguments[0]} took longer than {error.timeout:.0f} seconds",
                hint="is the remote's network up?",
            ) from error

    def refused(self, command: str, done: process.Finished) -> SourceError:
        """What went wrong, as git said it, without a secret."""
        said = done.complaint
        for secret in self.secrets:
            said = said.replace(secret, "***")
        return explain(self.address, command, said, logged_in=bool(self.secrets))


@contextmanager
def transfer(
    address: GitAddress, access: Access, directory: Path, keys: Path
) -> Iterator[Transfer]:
    """Git commands in `directory` with the login of `access`; `keys` is a private directory.

    A key that was given as text is a file in `keys` until the block ends.
    """
    username = address.username or access.username
    password = address.password or access.password
    key = _key_file(access.ssh_key, keys)
    try:
        environment = _environment(access) | _configuration(address, bool(username or password))
        if password or username:
            environment |= {_USERNAME: username or _ANY_USER, _PASSWORD: password}
        if key or access.known_hosts:
            environment["GIT_SSH_COMMAND"] = _ssh(key, access.known_hosts)
        elif "GIT_SSH_COMMAND" not in environment and "GIT_SSH" not in environment:
            environment["GIT_SSH_COMMAND"] = _ssh(None, "")
        secrets = tuple(filter(None, (password,)))
        yield Transfer(address, directory, environment, secrets, access.timeout, access.stop)
    finally:
        if key and key.parent == keys:
            key.unlink(missing_ok=True)


def _environment(access: Access) -> dict[str, str]:
    """The user's environment, for their helpers; none of it names a repository."""
    found = {
        name: value
        for name, value in access.environment.items()
        if not name.startswith(("GIT_", "INPUT_", "LAUNCH_")) or name in _KEPT
    }
    return found | {
        "LC_ALL": "C.UTF-8",
        # Not by `protocol.allow`: the user's `protocol.file.allow` would win over that.
        "GIT_ALLOW_PROTOCOL": "https:http:ssh",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GCM_INTERACTIVE": "never",
    }


def _configuration(address: GitAddress, login: bool) -> dict[str, str]:
    """Settings by variables: no command line and no file shows them."""
    settings = list(_SETTINGS)
    if login and address.host:
        # The empty one first, so that no helper of the user's answers before or stores it.
        settings += [(f"credential.{address.host}.helper", text) for text in ("", _HELPER)]
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for place, (name, value) in enumerate(settings):
        found |= {f"GIT_CONFIG_KEY_{place}": name, f"GIT_CONFIG_VALUE_{place}": value}
    return found


def _ssh(key: Path | None, known_hosts: str) -> str:
    """The ssh command, a shell's words: never asks, and takes no host that is not known."""
    words = [
        "ssh",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=30",
        "-o",
        "ServerAliveInterval=20",
    ]
    words += ["-o", "StrictHostKeyChecking=yes"]
    if known_hosts:
        path = str(Path(known_hosts).absolute())
        words += [
            "-o",
            f'UserKnownHostsFile="{_plain(path)}"',
            "-o",
            "GlobalKnownHostsFile=/dev/null",
        ]
    if key:
        words += ["-i", _plain(str(key)), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
    import shlex

    return shlex.join(words)


def _plain(path: str) -> str:
    if re.search(r'["%\n]', path):  # ssh_config(5) gives these a meaning
        raise InputError(f"a file name that ssh cannot take: {path!r}", hint="rename the file")
    return path


def _key_file(key: str, keys: Path) -> Path | None:
    """The file of a key that was given as a file's name or as text. Raises InputError."""
    if not key:
        return None
    if not key.lstrip().startswith("-----BEGIN "):
        path = Path(key).expanduser()
        if "\n" in key or not path.is_file():
            shown = "a text" if "\n" in key else repr(key)
            raise InputError(
                f"input 'ssh-key' is neither a private key nor a file: {shown}",
                hint="give the name of its file, or the text from -----BEGIN to -----END",
            )
        return path.absolute()
    path = keys / "ssh-key"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(key.strip().splitlines()) + "\n")
    return path
