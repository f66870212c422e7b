"""The aliases of a release: what a git tag says of versions, and which aliases move with it.

`v1.2.3` is an alias of its own; `v1.2`, `v1` and `latest` move to it unless a newer release has
them. A pre-release moves none, and no `v0` moves: below 1.0 a new minor version may break (Semantic
Versioning 2.0.0, item 4). Versions are read by PEP 440 and, beside it, by Semantic Versioning.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from launch_action.core.aliases import tag_alias
from launch_action.core.dataclass import dataclass
from launch_action.core.reference import Tag
from launch_action.core.tags import alias_tag, hidden

LATEST = Tag("latest")
# A prefix that names no job: `release-1.2.3` is a release of all there is.
_ANY = frozenset({"release", "releases", "rel", "version", "ver"})
_NUMBERED = re.compile(r"([vV]?)(\d+(?:\.\d+)*)(.*)", re.DOTALL | re.ASCII)
_SEMVER_PRE = re.compile(r"-[0-9A-Za-z.-]+")
# PEP 440 reads `1.2.3-1` as a post-release, Semantic Versioning as a pre-release.
_TWO_MEANINGS = re.compile(r"-\d+", re.ASCII)
_JOINT = re.compile(r"[-_]")

# How releases compare: number, post-release, whether it is plain, the variant.
Order = tuple[tuple[int, ...], int, bool, str]


@dataclass(frozen=True, slots=True)
class Release:
    """What a git tag, or the alias of one, says.

    `alias` is the tag's own alias. `prefix` is what stands before the version, as in
    `train-v1.2.3`; `spelling` is the version as it is written (`v1.2.3`), empty where the tag has
    none. `numbers` are those of the version, `final` says that it is no pre-release, `post` counts
    post-releases from 1. `variant` is its build metadata.
    """

    alias: Tag
    prefix: str = ""
    spelling: str = ""
    numbers: tuple[int, ...] = ()
    final: bool = False
    post: int = 0
    variant: str = ""

    @property
    def order(self) -> Order:
        """A newer release's is greater; `1.3` and `1.3.0` are one, a plain one above variants."""
        significant = self.numbers
        while significant and significant[-1] == 0:
            significant = significant[:-1]
        return significant, self.post, not self.variant, self.variant

    def is_of(self, names: Collection[str]) -> bool:
        """Whether the release is of a job with one of these names, or of all there is."""
        known = {alias_tag(name).lower() for name in names if name}
        return not self.prefix or self.prefix.lower() in known | _ANY


@dataclass(frozen=True, slots=True)
class Moving:
    """An alias that moves to a release, unless one of `rivals` is there: aliases of newer ones."""

    alias: Tag
    rivals: tuple[Tag, ...]


def read_release(tag: str) -> Release:
    """Read a git tag.

    >>> found = read_release("train/v1.2.3+cu118")
    >>> found.prefix, found.numbers, found.variant, str(found.alias)
    ('train', (1, 2, 3), 'cu118', 'train-v1.2.3_cu118')
    """
    return _read(tag_alias(tag))


def released_keys(tag: str, keys: Iterable[str]) -> tuple[str, ...]:
    """The jobs of a launch file that a tag releases: the one that its prefix names, else all.

    >>> released_keys("train/v1.2.3", ["train", "evaluate"])
    ('train',)
    """
    known, prefix = tuple(keys), read_release(tag).prefix.lower()
    named = tuple(key for key in known if prefix and alias_tag(key).lower() == prefix)
    return named or known


def own_aliases(release: Release, names: Collection[str] = ()) -> tuple[Tag, ...]:
    """The aliases that are this release's alone: the tag; without a prefix that says the job.

    `names` are those of the job: its key in launch.yaml, and what its repository is called.
    """
    if release.prefix and release.is_of(names):
        return release.alias, Tag(release.spelling)
    return (release.alias,)


def moving_aliases(
    release: Release, present: Iterable[str], names: Collection[str] = ()
) -> tuple[Moving, ...]:
    """The aliases that move to a release, the most exact first; `present`: all tags of the store.

    A tag without a version moves `latest` where no version was released.
    """
    others = [one for one in _finals(present) if _related(release, one, names)]
    if not release.spelling:
        return (Moving(LATEST, tuple(one.alias for one in _newest(others))),)
    if not release.final:
        return ()
    mine = release.is_of(names)
    start = "" if mine else f"{release.prefix}-"
    # Of `v1.2.3.4` too: `v1.2.3` may be a release of its own.
    most = min(len(release.numbers) - 1, 2)
    counts = [n for n in range(most, 0, -1) if n > 1 or release.numbers[0]]
    found = [_moving(release, Tag(start + _short(release, n)), n, others) for n in counts]
    # What another part of the repository releases is not this job's latest.
    return (*found, _moving(release, LATEST, 0, others)) if mine else tuple(found)


def _moving(release: Release, alias: Tag, count: int, others: Iterable[Release]) -> Moving:
    """An alias for the first `count` numbers of the release."""
    line = release.numbers[:count]
    newer = [one for one in others if one.numbers[:count] == line and one.order > release.order]
    return Moving(alias, tuple(one.alias for one in _newest(newer)))


def _newest(releases: Iterable[Release]) -> list[Release]:
    return sorted(releases, key=lambda one: one.order, reverse=True)


def _short(release: Release, count: int) -> str:
    """The version with its first numbers alone, spelt as the tag spells them."""
    numbered = _NUMBERED.fullmatch(release.spelling)
    assert numbered  # noqa: S101  # it was read so
    return numbered[1] + ".".join(numbered[2].split(".")[:count])


def _finals(tags: Iterable[str]) -> list[Release]:
    """The final versions among the tags of a store."""
    return [one for one in (_read(Tag(tag)) for tag in tags if not hidden(tag)) if one.final]


def _related(release: Release, other: Release, names: Collection[str]) -> bool:
    """Whether both are of the same job."""
    if release.is_of(names):
        return other.is_of(names)
    return release.prefix.lower() == other.prefix.lower()


def _read(alias: Tag) -> Release:
    """Read an alias: its version is the longest end of it that is one."""
    starts = (0, *(joint.end() for joint in _JOINT.finditer(alias)))
    return next(filter(None, (_ending(alias, start) for start in starts)), Release(alias))


def _ending(alias: Tag, start: int) -> Release | None:
    """The release whose version begins there; a number alone is none, as in `attempt-2`."""
    spelling = alias[start:]
    numbered = _NUMBERED.fullmatch(spelling)
    if numbered is None or not (numbered[1] or "." in numbered[2]):
        return None
    kind = _kind(numbered[2], numbered[3])
    if kind is None:
        return None
    numbers = tuple(map(int, numbered[2].split(".")))
    return Release(alias, alias[: max(start - 1, 0)], spelling, numbers, *kind)


def _kind(numbers: str, rest: str) -> tuple[bool, int, str] | None:
    """Whether it is final, its post-release and its variant; None where it is no version."""
    # Slow to import, and only a release needs it.
    from packaging.version import InvalidVersion, Version

    semantic = numbers.count(".") == 2
    if _TWO_MEANINGS.fullmatch(rest):
        return (False, 0, "") if semantic else None
    try:
        version = Version(numbers + rest)
    except InvalidVersion:
        pass
    else:
        return not version.is_prerelease, 0 if version.post is None else version.post + 1, ""
    front, _, variant = rest.partition("_")
    if variant:
        inner = _kind(numbers, front)
        return (inner[0], inner[1], variant) if inner else None
    return (False, 0, "") if semantic and _SEMVER_PRE.fullmatch(rest) else None
