"""Requirements of a version control system: `git+URL@REVISION#subdirectory=PATH`.

Source of the form: pip's "VCS Support", and PyPA's "Direct URL Data Structure" (`commit_id`).
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote

from launch_action.core.credentials import without_credentials
from launch_action.core.dataclass import dataclass, field, replace

_KINDS = ("git", "hg", "svn", "bzr")
_PREFIX = re.compile(rf"(?P<kind>{'|'.join(_KINDS)})\+(?P<url>[^#]*)(?:#(?P<fragment>.*))?")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_SUPPORTED = ("https://", "http://", "ssh://")


@dataclass(frozen=True, slots=True)
class GitSource:
    """A repository as a package's source; `url` is without `git+`, revision and fragment.

    `revision` is a commit, tag or branch as written, empty for the remote's HEAD. `name` and
    `extras` are those of an `#egg=` fragment. The URL may hold a login or `${VARIABLES}`.
    """

    url: str = field(repr=False)
    revision: str = ""
    subdirectory: str = ""
    name: str = ""
    extras: str = ""

    @property
    def fixed(self) -> bool:
        """Whether the revision is a whole commit id, which can never mean anything else."""
        return _COMMIT.fullmatch(self.revision) is not None

    @property
    def place(self) -> str:
        """Repository and revision without a login: what a commit is looked up and recorded by."""
        return f"{self.plain}@{self.revision}"

    @property
    def plain(self) -> str:
        """The URL without a login; the user of ssh is no secret and is part of the address."""
        if self.url.startswith("ssh://"):
            return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1@", self.url)
        return without_credentials(self.url)

    def at(self, commit: str) -> GitSource:
        """The same at a commit."""
        return replace(self, revision=commit)

    def requirement(self) -> str:
        """The URL of a direct reference, without a login and without `#egg=`."""
        revision = f"@{self.revision}" if self.revision else ""
        inside = f"#subdirectory={self.subdirectory}" if self.subdirectory else ""
        return f"git+{self.plain}{revision}{inside}"


def is_vcs(text: str) -> bool:
    """Whether a text begins as a version control URL does, in pip's form or git's short one."""
    return text.startswith((*(f"{kind}+" for kind in _KINDS), "git@", "git://"))


def read_git_url(text: str) -> GitSource | None:
    """A `git+...` URL in its parts; None for another system, or a form that no tool takes.

    >>> read_git_url("git+https://host/acme/lib.git@v1#egg=lib&subdirectory=py")
    GitSource(revision='v1', subdirectory='py', name='lib', extras='')
    """
    found = _PREFIX.fullmatch(text.strip())
    if not found or found["kind"] != "git" or not found["url"].startswith(_SUPPORTED):
        return None
    host, slash, path = found["url"].partition("://")[2].partition("/")
    scheme = found["url"].partition("://")[0]
    # The revision is behind the last `@` of the path; one before it belongs to a login.
    before, at, revision = path.rpartition("@")
    url = f"{scheme}://{host}{slash}{before if at else path}"
    options = dict(parse_qsl(found["fragment"] or "", keep_blank_values=True))
    egg = re.fullmatch(r"([A-Za-z0-9._-]*)(\[[^\]]*\])?", options.get("egg", ""))
    return GitSource(
        url,
        unquote(revision) if at else "",
        options.get("subdirectory", "").strip("/"),
        egg[1] if egg else "",
        (egg[2] or "") if egg else "",
    )
