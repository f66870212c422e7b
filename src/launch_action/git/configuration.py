"""What a repository's configuration says, read and not obeyed."""

from __future__ import annotations

from launch_action.core.checkout import Repository
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import SourceError
from launch_action.git.command import git, text


@dataclass(frozen=True, slots=True)
class Configuration:
    """The variables of a repository as `(name, value)` in the order of the file.

    Section and variable are in lower case, a subsection is as written: `branch.Topic.remote`.
    """

    variables: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls, repository: Repository) -> Configuration:
        """Read it with one git process, includes followed. Raises SourceError."""
        entries = text(git(repository, "config", "--list", "-z")).split("\0")[:-1]
        pairs = (entry.partition("\n") for entry in entries)
        return cls(tuple((name, value) for name, _, value in pairs))

    def get(self, name: str) -> str | None:
        """The last value of a variable, which is the one that counts."""
        return next((v for n, v in reversed(self.variables) if n == name), None)

    @property
    def remotes(self) -> dict[str, str]:
        """The URL to fetch from by remote, as configured: `insteadOf` is not applied."""
        found: dict[str, str] = {}
        for name, value in self.variables:
            if name.startswith("remote.") and name.endswith(".url") and value:
                found.setdefault(name[len("remote.") : -len(".url")], value)
        return found

    @property
    def is_partial(self) -> bool:
        """Whether objects may be missing because they were left out of the clone."""
        return any(
            name == "extensions.partialclone"
            or (name.startswith("remote.") and name.endswith(".promisor") and value != "false")
            for name, value in self.variables
        )

    def without_filters(self) -> tuple[str, ...]:
        """Settings that switch every content filter off, so that comparing files runs nothing.

        Raises SourceError for a filter whose name cannot be given on a command line.
        """
        names = {n[len("filter.") :].rpartition(".")[0] for n, _ in self.variables if _is_filter(n)}
        for name in names:
            if "=" in name or "\n" in name:
                raise SourceError(
                    f"the filter {name!r} of .git/config cannot be switched off",
                    hint="rename it: a filter's name has no `=`",
                )
        return tuple(
            f"filter.{name}.{variable}"
            for name in sorted(names)
            for variable in ("clean=", "smudge=", "process=", "required=false")
        )


def _is_filter(name: str) -> bool:
    return name.startswith("filter.") and name.count(".") > 1


def pick_remote(configuration: Configuration, branch: str | None) -> tuple[str, str]:
    """Name and URL of origin, else of the branch's upstream, else of the only remote.

    Raises SourceError when there is none, or several and none of these.
    """
    remotes = configuration.remotes
    upstream = configuration.get(f"branch.{branch}.remote") if branch else None
    only = next(iter(remotes)) if len(remotes) == 1 else None
    for name in ("origin", upstream, only):
        if name in remotes:
            return name, remotes[name]
    if remotes:
        raise SourceError(
            f"which remote is the source: {', '.join(map(repr, sorted(remotes)))}?",
            hint="`git branch --set-upstream-to=REMOTE/BRANCH`, or name one of them origin",
        )
    raise SourceError(
        "the repository has no remote, so nobody else could find the commit",
        hint="`git remote add origin URL`",
    )
