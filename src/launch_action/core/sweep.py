"""What a cleanup takes away: a pure function of what the tags of a repository name.

A version is fleeting while nothing reaches it but previews (`pr-12`), commits (`sha-...`) and the
store's own tags. Every other alias, of a branch, a release or a person, keeps its version.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError
from launch_action.core.notes import preview_of, row_of
from launch_action.core.reference import Tag
from launch_action.core.removal import Doomed
from launch_action.core.tags import hidden
from launch_action.core.version import JobVersion

_COMMIT = re.compile(r"sha-[0-9a-f]{40,64}")
_AGE = re.compile(r"([0-9]+)(w|d|h|m|s)")
_SECONDS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class Policy:
    """What is to go.

    `gone` are aliases that go whatever their age. What is fleeting goes when it is older than
    `older_than` seconds before `now` (seconds since 1970; None: nothing by its age), but for the
    `keep` newest versions of all that are fleeting, and for previews of `open_pulls`; None: of all
    pull requests, for it is not known which are open. `stamps` are moments that are known of
    previews besides their commit's, `used` those of versions: seconds since 1970, by number and by
    digest.
    """

    now: int
    gone: frozenset[Tag] = frozenset()
    older_than: int | None = None
    keep: int = 0
    open_pulls: frozenset[int] | None = frozenset()
    stamps: tuple[tuple[int, int], ...] = ()
    used: tuple[tuple[str, int], ...] = ()

    def is_open(self, number: int | None) -> bool:
        """Whether a pull request is open, or may be."""
        return self.open_pulls is None or number in self.open_pulls


@dataclass(frozen=True, slots=True)
class Sweep:
    """What goes: aliases of versions that stay, each with the version; and whole versions."""

    aliases: tuple[tuple[Tag, JobVersion], ...]
    versions: tuple[Doomed, ...]
    kept: int


def is_fleeting(tag: str) -> bool:
    """Whether an alias keeps no version: that of a preview, or of a commit."""
    return preview_of(tag) is not None or _COMMIT.fullmatch(tag) is not None


def plan_sweep(tagged: Iterable[tuple[Tag, JobVersion]], policy: Policy) -> Sweep:
    """What goes of a repository, given every tag that names a version."""
    found: dict[str, tuple[JobVersion, list[Tag]]] = {}
    for tag, version in tagged:
        found.setdefault(version.digest, (version, []))[1].append(tag)
    shown = [(v, tuple(t for t in tags if not hidden(t))) for v, tags in found.values()]
    spared = _newest(shown, policy)
    aliases: list[tuple[Tag, JobVersion]] = []
    doomed: list[Doomed] = []
    for version, visible in shown:
        going = [tag for tag in visible if _goes(tag, version, policy)]
        lasting = [tag for tag in visible if tag not in going and not _COMMIT.fullmatch(tag)]
        by_name = policy.gone.intersection(visible)
        by_age = _is_old(version, (), policy) and version.digest not in spared
        if lasting or not (by_name or by_age):
            aliases += [(tag, version) for tag in going if lasting or tag in by_name]
        else:
            doomed.append(Doomed(version, visible))
    return Sweep(tuple(aliases), tuple(doomed), len(shown) - len(doomed))


def stale_rows(stamps: Mapping[Tag, int], left: Collection[Tag], policy: Policy) -> tuple[Tag, ...]:
    """The rows of reports whose preview is no more: named to go, or old; `left` are all aliases.

    `stamps` says of each row's tag when it was written, in seconds since 1970.
    """
    found = []
    for tag, at in stamps.items():
        number = row_of(tag)
        alias = f"pr-{number}"
        old = policy.older_than is not None and at <= policy.now - policy.older_than
        if alias in policy.gone or (old and alias not in left and not policy.is_open(number)):
            found.append(tag)
    return tuple(found)


def parse_age(text: str) -> int:
    """`7d`, `12h`, `2w` or `0s` as seconds. Raises InputError for anything else."""
    found = _AGE.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"not an age: {text!r}", hint="write a number and w, d, h, m or s, such as 7d"
        )
    return int(found[1]) * _SECONDS[found[2]]


def _goes(tag: Tag, version: JobVersion, policy: Policy) -> bool:
    """Whether an alias is removed: by its name, or as a preview that is old."""
    if tag in policy.gone:
        return True
    number = preview_of(tag)
    if number is None or policy.is_open(number):
        return False
    return _is_old(version, (number,), policy)


def _newest(shown: Sequence[tuple[JobVersion, tuple[Tag, ...]]], policy: Policy) -> Collection[str]:
    """The versions that stay as the newest of all that are fleeting."""
    fleeting = [v for v, tags in shown if all(is_fleeting(t) or t in policy.gone for t in tags)]
    ordered = sorted(fleeting, key=lambda v: (v.created, v.digest), reverse=True)
    return {version.digest for version in ordered[: policy.keep]}


def _is_old(version: JobVersion, numbers: Collection[int], policy: Policy) -> bool:
    """Whether it is older than the policy wants; what has no time is not."""
    if policy.older_than is None:
        return False
    try:
        created = int(datetime.fromisoformat(version.created).timestamp())
    except ValueError:
        return False
    moments = [at for number, at in policy.stamps if number in numbers]
    moments += [at for digest, at in policy.used if digest == version.digest]
    return max(created, *moments, 0) <= policy.now - policy.older_than
