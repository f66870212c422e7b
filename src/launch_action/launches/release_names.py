"""Names releases: gives a version the aliases of a git tag, whoever else releases meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from launch_action.core.claims import Claims
from launch_action.core.dataclass import dataclass
from launch_action.core.reference import Repository, Tag
from launch_action.core.release_aliases import Release, moving_aliases, own_aliases, read_release
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.launches.claiming import claim
from launch_action.planning.workplace import StoredJob, Workplace


def name_release(
    store: JobStore,
    version: JobVersion,
    tag: str,
    names: Sequence[str],
    place: Workplace,
    claims: Claims | None = None,
) -> tuple[Tag, ...]:
    """Give a version the aliases of a release; those that it has got.

    Those that move go to the newest release that is there, whoever else releases meanwhile: the
    own aliases are written first, and the others looked at again once they have moved. None moves
    where a later workflow run has given the tag's own to another version.
    """
    claims = claims or Claims()
    found = read_release(tag)
    own = own_aliases(found, names)
    before = [store.find(alias) for alias in own]
    got = claim(store, version, own, claims, place)
    if got != own:
        return got
    _tell_moved(zip(own, before, strict=True), version, place)
    naming = _Naming(store, version, found, names, claims)
    return (*own, *naming.keep(naming.take()))


def likely_names(store: JobStore, tag: str, names: Sequence[str]) -> tuple[Tag, ...]:
    """The aliases that a release would get, as the store is now."""
    found = read_release(tag)
    moving = moving_aliases(found, store.content.tags(), names)
    return (*own_aliases(found, names), *(one.alias for one in moving if not one.rivals))


def names_of(job: StoredJob, key: str) -> tuple[str, ...]:
    """What a tag's prefix may call the job; `key` is its key in launch.yaml."""
    return key, job.content.name.rpartition("/")[2], job.version.job_name


def bills(job: StoredJob) -> list[dict[str, str]]:
    """Where the bills of materials of a version are, with the platform of each; of a registry.

    The address is that of a blob, for which a registry may want a login.
    """
    if not job.registry:
        return []
    from launch_action.core.attestation import PREDICATE_TYPE, REFERENCE_DIGEST, SPDX

    named = Repository.parse(job.content.name)
    address = f"https://{named.registry}/v2/{named.path}/blobs"
    images = {str(image.digest): str(image.platform) for image in job.version.images}
    found = []
    for entry in job.version.attestations:
        manifest = job.content.get_manifest(entry.digest)
        platform = images.get(entry.annotations.get(REFERENCE_DIGEST, ""), "")
        for layer in manifest.layers() if manifest else ():
            if layer.annotations.get(PREDICATE_TYPE) == SPDX:
                found.append({"platform": platform, "url": f"{address}/{layer.digest}"})
    return found


@dataclass(frozen=True, slots=True)
class _Naming:
    """The aliases of one release that move: by what is the newest release, not by whose run."""

    store: JobStore
    version: JobVersion
    release: Release
    names: Sequence[str]
    claims: Claims

    def take(self) -> tuple[Tag, ...]:
        """Take every alias that no newer release has; those that were taken."""
        taken = tuple(alias for alias, newest in self._newest() if newest is None)
        self._note([alias for alias in taken if self.store.find(alias) != self.version])
        self.store.point(self.version, taken)
        return taken

    def keep(self, taken: Sequence[Tag]) -> tuple[Tag, ...]:
        """Hand on what belongs to a newer release that has come meanwhile; those that are kept."""
        newer = {alias: newest for alias, newest in self._newest() if newest is not None}
        for alias in taken:
            if alias in newer:
                self.store.point(newer[alias], [alias])
        return tuple(alias for alias in taken if alias not in newer)

    def _note(self, aliases: Sequence[Tag]) -> None:
        """Have an earlier run of a branch leave `latest` to this release."""
        if self.claims.turn and aliases:
            from launch_action.core.turns import record

            record(self.store.content, self.claims.turn, self.version, aliases)

    def _newest(self) -> list[tuple[Tag, JobVersion | None]]:
        """Each alias that moves, with the newest other release that it belongs to."""
        moving = moving_aliases(self.release, self.store.content.tags(), self.names)
        return [(one.alias, self._first(one.rivals)) for one in moving]

    def _first(self, rivals: Sequence[Tag]) -> JobVersion | None:
        # A removed alias may still be listed: where nothing can be deleted, its tombstone is there.
        return next(filter(None, map(self.store.find, rivals)), None)


def _tell_moved(
    before: Iterable[tuple[Tag, JobVersion | None]], version: JobVersion, place: Workplace
) -> None:
    """Say when a release is not the one that the same tag was before."""
    for alias, found in before:
        if found and found.digest != version.digest:
            place.reporter.warning(
                f"{alias} was {found.digest} of commit {found.commit or 'none'} before, "
                "and names another version now"
            )
