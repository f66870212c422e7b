"""Releases: the version of the tag's commit is promoted by its digest, else built, and named."""

from __future__ import annotations

from launch_action.core.aliases import asked_alias, tag_alias
from launch_action.core.claims import Claims, for_release
from launch_action.core.dataclass import replace
from launch_action.core.errors import StoreError
from launch_action.core.job import read_job
from launch_action.core.launch import Announce, image_digest
from launch_action.core.plan import LaunchPlan
from launch_action.core.ports import Content
from launch_action.core.promotion import objection
from launch_action.core.reference import Tag
from launch_action.core.release_aliases import own_aliases, read_release
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.jobs.admission import Admission, to_register
from launch_action.jobs.registering import registered
from launch_action.launches.claiming import claim_planned
from launch_action.launches.launching import build_unregistered, carry_out, source_metadata, tell
from launch_action.launches.preconditions import check_before
from launch_action.launches.release_names import bills, likely_names, name_release, names_of
from launch_action.planning.launch_plan import PlannedLaunch, place_situation, plan_launch
from launch_action.planning.workplace import StoredJob, Workplace


def release(
    place: Workplace, announce: Announce, tag: str, *, key: str = "", run: bool
) -> StoredJob:
    """Record the job of a git tag, and move the aliases of the release to it.

    `key` is the job's in launch.yaml. What was built of the commit before is promoted by digest:
    what was previewed is what is released, also where its base image has moved since. Where it is
    run, the aliases wait for the end of the run.
    """
    check_before(place, run=run)
    admission = Admission(to_register(place), place)
    job = _job_of_commit(place, announce, admission, tag, run=run)
    names, store = names_of(job, key), JobStore(job.content)
    if job.held:
        own = own_aliases(read_release(tag), names)
        held = for_release(job.held, tag, names, own, likely_names(store, tag, names))
        return registered(replace(job, held=held), admission, place, announce)
    claims = Claims(place_situation(place).turn)
    named = name_release(store, job.version, tag, names, place, claims)
    aliases = tuple(dict.fromkeys((*job.aliases, *named)))
    announce({"tags": [str(alias) for alias in aliases]})
    told = {"aliases": [str(alias) for alias in named], "sboms": bills(job)}
    announce({"metadata": {"release": told}})
    return registered(replace(job, aliases=aliases), admission, place, announce)


def _job_of_commit(
    place: Workplace, announce: Announce, admission: Admission, tag: str, *, run: bool
) -> StoredJob:
    """The version of the tag's commit, promoted or built, without the tag's own alias."""
    if place.inputs.docker_image:
        job = build_unregistered(place, announce, admission, run=run)
        # An image's tag is no alias of its release.
        return (
            job if job.held else replace(job, aliases=tuple(map(asked_alias, place.inputs.alias)))
        )
    with plan_launch(place, run=run) as planned:
        # The tag's own alias is written when all else is there.
        known = tuple(one for one in planned.plan.aliases if one != tag_alias(tag))
        planned = replace(planned, plan=replace(planned.plan, aliases=known))
        admission.begin(planned.plan.job_name, known)
        promoted = _promoted(place, planned, announce, admission)
        return promoted or carry_out(place, planned, announce, admission)


def _promoted(
    place: Workplace, planned: PlannedLaunch, announce: Announce, admission: Admission
) -> StoredJob | None:
    """The version of the commit, if it is what would be built; the log says why where it is not."""
    plan = planned.plan
    content = place.content(plan.store)
    announce({"job_name": plan.job_name, "metadata": source_metadata(planned)})
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
    registry = plan.store.kind == "registry"
    aliases = _announce(place, content, planned, version, announce)
    return StoredJob(content, version, registry, aliases=aliases, held=plan.held)


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
    place: Workplace,
    content: Content,
    planned: PlannedLaunch,
    version: JobVersion,
    announce: Announce,
) -> tuple[Tag, ...]:
    """Tell of a promoted version, and move what the plan has; those aliases that it has now."""
    plan = planned.plan
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
    aliases = claim_planned(place, planned.checkout, JobStore(content), version, plan)
    announce({"tags": list(aliases), "pushed": plan.store.kind == "registry"})
    tell(place, announce, content.traffic)
    return aliases
