"""Names of jobs, and the two spellings of a git remote: the canonical one and the recorded one."""

from __future__ import annotations

import hashlib
import posixpath
import re
from urllib.parse import unquote, urlsplit

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import SourceError
from launch_action.core.reference import Reference

MAX_NAME = 128
_KEPT_END = 58
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")
_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}
_SCP = re.compile(
    r"(?:(?P<user>[^@/:]+)@)?(?P<host>\[[^\]]+\]|[^:/@]+):(?P<path>(?!//).+)", re.DOTALL
)
# Hosts that speak ssh on the https port on behalf of another name.
_SSH_ALIASES = {
    "ssh.github.com": "github.com",
    "altssh.gitlab.com": "gitlab.com",
    "altssh.bitbucket.org": "bitbucket.org",
}


@dataclass(frozen=True, slots=True)
class _Remote:
    scheme: str  # empty: a path of this machine
    user: str
    host: str
    port: int | None
    path: str


def canonical_remote(url: str) -> str:
    """One spelling for every way to write a remote: `https://host[:port]/path`. Raises SourceError.

    >>> canonical_remote("git@GitHub.com:acme/mono.git")
    'https://github.com/acme/mono'
    >>> canonical_remote("ssh://git@ssh.github.com:443/acme/mono/")
    'https://github.com/acme/mono'
    """
    remote = _parse(url)
    path = _repository_path(remote.path)
    if not remote.scheme:
        return f"file:///{path}"
    host, port = remote.host.lower(), remote.port
    if host in _SSH_ALIASES:
        host, port = _SSH_ALIASES[host], None
    # What is written is https, so that its own port is none to write either.
    dropped = (None, _DEFAULT_PORTS["https"], _DEFAULT_PORTS.get(remote.scheme))
    kept = "" if port in dropped else f":{port}"
    return f"https://{host}{kept}/{path}"


def recorded_remote(url: str) -> str:
    """The remote as given without password, token or query; the user of an ssh URL stays.

    >>> recorded_remote("https://x-access-token:secret@github.com/acme/mono.git")
    'https://github.com/acme/mono.git'
    """
    remote = _parse(url)
    if not remote.scheme:
        return url
    if "://" not in url:
        return f"{remote.user}@{remote.host}:{remote.path}" if remote.user else url
    user = f"{remote.user}@" if remote.user and remote.scheme == "ssh" else ""
    port = f":{remote.port}" if remote.port else ""
    return f"{remote.scheme}://{user}{remote.host}{port}{remote.path}"


def git_job_name(url: str, script: str) -> str:
    """`job-<git-remote-url>-<path-to-script>`, safe for every store.

    >>> git_job_name("https://github.com/acme/mono", "jobs/hello_world/job.py")
    'job-https___github.com_acme_mono-jobs_hello_world_job.py'
    """
    return safe_name(f"job-{canonical_remote(url)}-{script}")


def wandb_git_job_name(url: str, script: str) -> str:
    """The name W&B's own automatic job of this script has: `_` as joint, the remote as given."""
    return safe_name(f"job-{recorded_remote(url)}_{script}")


def code_artifact_name(directory: str, script: str) -> str:
    """`code-<directory>_<script>`: what the code of a directory is recorded under.

    >>> code_artifact_name("quickstart", "main.py")
    'code-quickstart_main.py'
    """
    return safe_name(f"code-{directory}/{script}")


def code_job_name(artifact: str) -> str:
    """`job-<code-artifact-name>`."""
    return safe_name(f"job-{artifact}")


def image_job_name(reference: Reference) -> str:
    """`job-<image-name>`; Docker Hub's short names stay short, as W&B spells them.

    >>> image_job_name(Reference.parse("wandb/job_hello_world:main"))
    'job-wandb_job_hello_world'
    """
    return safe_name(f"job-{reference.familiar}")


def safe_name(name: str) -> str:
    """A name of at most 128 of `[A-Za-z0-9_.-]`; a longer one keeps both ends around its hash."""
    safe = _UNSAFE.sub("_", name)
    if not safe.strip("."):
        safe = "_" * max(len(safe), 1)  # a store makes a directory of it: never '.' or '..'
    if len(safe) <= MAX_NAME:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{safe[:_KEPT_END]}..{digest}..{safe[-_KEPT_END:]}"


def _parse(url: str) -> _Remote:
    if "://" in url:
        return _parse_url(url)
    scp = _SCP.fullmatch(url)
    if scp and not url.startswith(("/", ".")):
        # `user:password@host:path` is none of ssh's spellings, `ext::command` no address at all.
        if scp["path"].startswith(":") or (not scp["user"] and "@" in scp["path"].split("/")[0]):
            raise _not_a_remote(url)
        return _Remote("ssh", scp["user"] or "", scp["host"], None, scp["path"])
    return _Remote("", "", "", None, url)


def _parse_url(url: str) -> _Remote:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _not_a_remote(url) from error
    if parts.scheme == "file":
        return _Remote("", "", "", None, parts.path)
    if not parts.hostname or not parts.path.strip("/"):
        raise _not_a_remote(url)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return _Remote(parts.scheme.lower(), unquote(parts.username or ""), host, port, parts.path)


def _not_a_remote(url: str) -> SourceError:
    # The URL may carry a credential: only what stands behind the last '@' is shown.
    shown = url.rpartition("@")[2]
    return SourceError(
        f"not a git remote: {shown!r}",
        hint="set it with `git remote set-url origin https://host/owner/repository`",
    )


def _repository_path(path: str) -> str:
    normal = posixpath.normpath("/" + path.strip("/")).strip("/")
    return normal.removesuffix(".git").rstrip("/")
