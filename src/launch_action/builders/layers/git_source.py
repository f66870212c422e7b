"""Git repositories as sources of packages: which commit a revision is, and its tree.

Logins come from where git takes them (credential helpers, ssh, netrc) and from the URLs themselves;
those go to git by its environment, never by its arguments.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from launch_action import process
from launch_action.builders.layers.uv_failure import last_lines, mask
from launch_action.core.errors import BuildError
from launch_action.core.vcs import GitSource

# What git may see besides the allow-list, to reach private repositories.
VARIABLES = (
    "SSH_AUTH_SOCK", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_CONFIG_GLOBAL",
    "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_ASKPASS", "SSH_ASKPASS",
)  # fmt: skip
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
# Of this machine's own disk nothing is read: what is built must be the same on any machine.
_PROTOCOLS = "https:http:ssh"
_TIMEOUT = 600.0
_ASK_TIMEOUT = 60.0
_SHORT = re.compile(r"[0-9a-f]{7,39}")


def find_commits(sources: Iterable[GitSource], environment: Mapping[str, str]) -> dict[str, str]:
    """The commit that each revision that is none stands for now, by `GitSource.place`.

    Raises BuildError for a repository that cannot be read, and a revision that it does not have.
    """
    asked = {one.place: one for one in sources if not one.fixed}
    if not asked:
        return {}
    with ThreadPoolExecutor(min(len(asked), 8)) as pool:
        found = pool.map(lambda one: _ask(one, environment), asked.values())
        return dict(zip(asked, found, strict=True))


def fetch_tree(source: GitSource, place: Path, environment: Mapping[str, str]) -> Path:
    """Check the source's commit out into `place` (made), with its submodules and its history.

    Versions that are made of tags need the history. Returns the directory that is the project.
    Raises BuildError.
    """
    url = _filled(source.plain, environment)
    clone = ["clone", "--quiet", "--no-checkout", "--filter=blob:none", "--", url, str(place)]
    _git(clone, source, environment)
    inside = ["-C", str(place)]
    have = _try([*inside, "cat-file", "-e", source.revision], source, environment)
    if have.code:  # on no branch: such as the head of a pull request
        _git([*inside, "fetch", "--quiet", "origin", source.revision], source, environment)
    _git([*inside, "checkout", "--quiet", "--detach", source.revision], source, environment)
    _git([*inside, "submodule", "--quiet", "update", "--init", "--recursive"], source, environment)
    project = place / source.subdirectory
    if not project.resolve().is_relative_to(place.resolve()) or not project.is_dir():
        raise BuildError(
            f"no directory {source.subdirectory!r} in {source.place}",
            hint="correct #subdirectory=, which counts from the repository's root",
        )
    return project


def git_environment(sources: Iterable[GitSource], environment: Mapping[str, str]) -> dict[str, str]:
    """What git, or a tool that starts it, needs to see to fetch these."""
    names = (*process.ALLOWED, *VARIABLES)
    found = {name: environment[name] for name in names if name in environment}
    found |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_ALLOW_PROTOCOL": _PROTOCOLS,
    }
    headers = dict(_headers(sources, environment))
    settings = {f"http.{url}.extraHeader": header for url, header in headers.items()}
    for number, (key, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return found | ({"GIT_CONFIG_COUNT": str(len(settings))} if settings else {})


def uv_git_environment(
    sources: Iterable[GitSource], environment: Mapping[str, str]
) -> dict[str, str]:
    """The same for uv, which also clones from the repositories in its own cache."""
    return git_environment(sources, environment) | {"GIT_ALLOW_PROTOCOL": f"{_PROTOCOLS}:file"}


def git_secrets(sources: Iterable[GitSource], environment: Mapping[str, str]) -> tuple[str, ...]:
    """The passwords in the URLs, and their encoded form, for masking what git says."""
    found = []
    for source in sources:
        parts = _parts(source, environment)
        found += [unquote(parts.password or ""), parts.password or ""]
        if not parts.password and parts.scheme != "ssh":
            found.append(unquote(parts.username or ""))
    found += [header.partition("Basic ")[2] for _, header in _headers(sources, environment)]
    return tuple(one for one in found if len(one) > 2)


def _headers(sources: Iterable[GitSource], environment: Mapping[str, str]) -> list[tuple[str, str]]:
    found = []
    for source in sources:
        parts = _parts(source, environment)
        if parts.scheme in ("http", "https") and parts.username:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            encoded = base64.b64encode(login.encode()).decode()
            url = _filled(source.plain, environment)
            found.append((url, f"Authorization: Basic {encoded}"))
    return found


def _parts(source: GitSource, environment: Mapping[str, str]) -> SplitResult:
    try:
        return urlsplit(_filled(source.url, environment))
    except ValueError:
        raise BuildError(
            f"not the address of a git repository: {source.plain!r}",
            hint="write https://HOST/PATH or ssh://git@HOST/PATH",
        ) from None


def _filled(url: str, environment: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda found: environment.get(found[1], found[0]), url)


def _ask(source: GitSource, environment: Mapping[str, str]) -> str:
    url, wanted = _filled(source.plain, environment), source.revision
    names = [f"refs/heads/{wanted}", f"refs/tags/{wanted}", f"refs/tags/{wanted}^{{}}", wanted]
    arguments = ["ls-remote", "--", url, *(names if wanted else ["HEAD"])]
    done = _git(arguments, source, environment, timeout=_ASK_TIMEOUT)
    lines = (line.partition("\t") for line in done.text.splitlines())
    found = {name: commit for commit, _, name in lines}
    # As pip and uv: a branch before a tag, and what a tag stands for before the tag's own object.
    order = [names[0], names[2], names[1], wanted] if wanted else ["HEAD"]
    commit = next((found[name] for name in order if name in found), "")
    if commit or _SHORT.fullmatch(wanted):
        return commit
    raise BuildError(
        f"no branch, tag or commit {wanted or 'HEAD'!r} in {source.plain}",
        hint="name one that exists, or a whole commit id",
    )


def _git(
    arguments: list[str],
    source: GitSource,
    environment: Mapping[str, str],
    *,
    timeout: float = _TIMEOUT,
) -> process.Finished:
    done = _try(arguments, source, environment, timeout=timeout)
    if done.code == 0:
        return done
    said = mask(done.err.decode("utf-8", "replace"), git_secrets([source], environment))
    raise BuildError(
        f"cannot read the git repository {source.plain}: {_reason(said)}",
        hint="check the address, and that git here has a login for it: a credential helper, an ssh "
        "key, netrc, or https://${USER}:${TOKEN}@ in the URL",
        context=last_lines(said),
    )


def _try(
    arguments: list[str],
    source: GitSource,
    environment: Mapping[str, str],
    *,
    timeout: float = _TIMEOUT,
) -> process.Finished:
    env = git_environment([source], environment) | {"LC_ALL": "C.UTF-8"}
    try:
        return process.run(["git", *arguments], env=env, timeout=timeout)
    except FileNotFoundError:
        raise BuildError(
            f"git is needed for {source.plain}, and is not installed", hint="install git"
        ) from None
    except process.TimedOut:
        raise BuildError(
            f"{source.plain} did not answer in {timeout:.0f} s", hint="check the network"
        ) from None


def _reason(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith(("fatal:", "error:"))]
    text = (lines or said.strip().splitlines() or ["no message"])[-1]
    return text.removeprefix("fatal: ").removeprefix("error: ")
