"""Releases: the version of the tag's commit is promoted by its digest, else built, and named."""

from __future__ import annotations

from collections.abc import Sequence

from launch_action.core.aliases import asked_alias, tag_alias
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import StoreError
from launch_action.core.job import read_job
from launch_action.core.launch import Announce, image_digest
from launch_action.core.plan import LaunchPlan
from launch_action.core.ports import Content
from launch_action.core.promotion import objection
from launch_action.core.reference import Repository, Tag
from launch_action.core.release_aliases import Release, moving_aliases, own_aliases, read_release
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.jobs.admission import Admission, to_register
from launch_action.jobs.registering import registered
from launch_action.launches.launching import (
    carry_out,
    check_before,
    record_job,
    source_metadata,
    tell,
)
from launch_action.planning.launch_plan import Looked, look
from launch_action.planning.workplace import StoredJob, Workplace


def release(
    place: Workplace, announce: Announce, tag: str, *, key: str = "", run: bool
) -> StoredJob:
    """Record the job of a git tag, and move the aliases of the release to it.

    `key` is the job's in launch.yaml. What was built of the commit before is promoted by digest:
    what was previewed is what is released, also where its base image has moved since.
    """
    check_before(place, run=run)
    admission = Admission(to_register(place), place)
    known = tuple(map(asked_alias, place.inputs.alias))
    if place.inputs.docker_image:
        job = record_job(place, announce, admission, run=run)
    else:
        with look(place, run=run) as looked:
            # The tag's own alias is written when all else is there.
            known = tuple(one for one in looked.plan.aliases if one != tag_alias(tag))
            looked = replace(looked, plan=replace(looked.plan, aliases=known))
            admission.begin(looked.plan.job_name, known)
            promoted = _promoted(place, looked, announce, admission)
            job = promoted or carry_out(place, looked, announce, admission)
    named = name_release(JobStore(job.content), job.version, tag, _names(job, key), place)
    aliases = tuple(dict.fromkeys((*known, *named)))
    announce({"tags": [str(alias) for alias in aliases]})
    told = {"aliases": [str(alias) for alias in named], "sboms": bills(job)}
    announce({"metadata": {"release": told}})
    return registered(replace(job, aliases=aliases), admission, place, announce)


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


def name_release(
    store: JobStore, version: JobVersion, tag: str, names: Sequence[str], place: Workplace
) -> tuple[Tag, ...]:
    """Give a version the aliases of a release; those that it has got.

    Those that move go to the newest release that is there, whoever else releases meanwhile: the
    own aliases are written first, and the others looked at again once they have moved.
    """
    found = read_release(tag)
    own = own_aliases(found, names)
    _tell_moved(store, version, own, place)
    store.point(version, own)
    naming = _Naming(store, version, found, names)
    return (*own, *naming.keep(naming.take()))


@dataclass(frozen=True, slots=True)
class _Naming:
    """The aliases of one release that move."""

    store: JobStore
    version: JobVersion
    release: Release
    names: Sequence[str]

    def take(self) -> tuple[Tag, ...]:
        """Take every alias that no newer release has; those that were taken."""
        taken = tuple(alias for alias, newest in self._newest() if newest is None)
        self.store.point(self.version, taken)
        return taken

    def keep(self, taken: Sequence[Tag]) -> tuple[Tag, ...]:
        """Hand on what belongs to a newer release that has come meanwhile; those that are kept."""
        newer = {alias: newest for alias, newest in self._newest() if newest is not None}
        for alias in taken:
            if alias in newer:
                self.store.point(newer[alias], [alias])
        return tuple(alias for alias in taken if alias not in newer)

    def _newest(self) -> list[tuple[Tag, JobVersion | None]]:
        """Each alias that moves, with the newest other release that it belongs to."""
        moving = moving_aliases(self.release, self.store.content.tags(), self.names)
        return [(one.alias, self._first(one.rivals)) for one in moving]

    def _first(self, rivals: Sequence[Tag]) -> JobVersion | None:
        # A removed alias may still be listed: where nothing can be deleted, its tombstone is there.
        return next(filter(None, map(self.store.find, rivals)), None)


def _promoted(
    place: Workplace, looked: Looked, announce: Announce, admission: Admission
) -> StoredJob | None:
    """The version of the commit, if it is what would be built; the log says why where it is not."""
    plan = looked.plan
    content = place.content(plan.store)
    announce({"job_name": plan.job_name, "metadata": source_metadata(looked)})
    store = JobStore(content)
    with place.reporter.phase("look up"):
        version = store.find(Tag(f"sha-{plan.commit}")) if plan.commit else None
        if version is None:
            place.reporter.info("nothing was built of this commit: building")
            return None
        why = _objection(store, place, plan, version)
    if why:
        place.reporter.info(f"{version.digest} of this commit is not promoted: {why}; building")
        announce({"metadata": {"promoted": False, "not_promoted": why}})
        return None
    admission.check()
    _announce(place, content, plan, version, announce)
    return StoredJob(content, version, plan.store.kind == "registry")


def _objection(store: JobStore, place: Workplace, plan: LaunchPlan, version: JobVersion) -> str:
    try:
        files = store.files(version)
        store.images(version)
        document = read_job(files.document, f"{store.content.name}@{version.digest}")
    except StoreError as error:
        return error.message
    asked = (("sbom", place.inputs.sbom), ("provenance", place.inputs.provenance))
    lacking = [name for name, wanted in asked if wanted]
    if lacking and not version.attestations:
        return f"it was not attested, and {' and '.join(lacking)} is asked for"
    return objection(plan, version, document, files.schema)


def _announce(
    place: Workplace, content: Content, plan: LaunchPlan, version: JobVersion, announce: Announce
) -> None:
    document = read_job(JobStore(content).job_files(version)[0], content.name)
    attested = "" if version.attestations else "; it is not attested, and its digest stays"
    place.reporter.info(f"{version.digest} was built of this commit and is promoted{attested}")
    image = image_digest(version)
    own = document.own
    announce(
        {
            "job": f"{content.name}@{version.digest}",
            "job_digest": str(version.digest),
            "image": f"{content.name}@{image}",
            "digest": image,
            "cache_hit": True,
            "metadata": {
                "promoted": True,
                "build_key": version.build_key,
                "base": own.get("base", []),
                "built_from_source": own.get("built_from_source", []),
            },
        }
    )
    JobStore(content).point(version, plan.aliases)
    announce({"tags": list(plan.aliases), "pushed": plan.store.kind == "registry"})
    tell(place, announce, content.traffic)


def _tell_moved(store: JobStore, version: JobVersion, own: Sequence[Tag], place: Workplace) -> None:
    """Say when a release is not the one that the same tag was before."""
    for alias in own:
        before = store.find(alias)
        if before and before.digest != version.digest:
            place.reporter.warning(
                f"{alias} was {before.digest} of commit {before.commit or 'none'} before, "
                "and names another version now"
            )


def _names(job: StoredJob, key: str) -> tuple[str, ...]:
    """What a tag's prefix may call the job."""
    return key, job.content.name.rpartition("/")[2], job.version.job_name
