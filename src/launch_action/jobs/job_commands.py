"""`launch-action job list | describe | promote | delete`: what a store holds, and who reaches it.

Every command gives one document, which `--json` prints as it is and `job_text` as lines.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from launch_action.core.comparison import packages, requirement_changes
from launch_action.core.errors import InputError
from launch_action.core.image import Manifest
from launch_action.core.input_schema import stored_schema
from launch_action.core.job import OWN_KEY, read_job
from launch_action.core.ports import Content
from launch_action.core.reference import Reference, Tag
from launch_action.core.store import JobStore
from launch_action.core.store_copy import copy_version
from launch_action.core.tags import hidden
from launch_action.core.version import JobVersion
from launch_action.jobs.stored_jobs import (
    find_job,
    for_registry,
    is_at_wandb,
    local_stores,
    open_store,
    registry_reference,
)
from launch_action.jobs.wandb_aliases import Gone, artifact_names, forgetting, promoted
from launch_action.planning.workplace import StoredJob, Workplace

Document = dict[str, Any]
_COMMIT_LENGTHS = (40, 64)  # by SHA-1, and by SHA-256


def list_jobs(repositories: Sequence[str], place: Workplace) -> Document:
    """Every version that has an alias, newest first within its repository.

    Without repositories: that of `--image`, else all of the local store.
    """
    named = repositories or ([place.inputs.image] if place.inputs.image else [])
    stores = [_repository(name, place) for name in named] if named else local_stores(place)
    return {"versions": [entry for content in stores for entry in _entries(content)]}


def describe_job(reference: str, against: str, place: Workplace) -> Document:
    """All that is recorded of a version; with `against`, what it has that the other has not."""
    if is_at_wandb(reference, place):
        return _described_at_wandb(reference, against, place)
    job = find_job(reference, for_registry(reference, place))
    found = _described(job)
    if against:
        beside = _beside(against, reference)
        found["against"] = _compared(find_job(beside, for_registry(beside, place)), job)
    return found


def _described_at_wandb(reference: str, against: str, place: Workplace) -> Document:
    """The same of a job at W&B: what it is named there, and its document as it is there."""
    from launch_action.jobs.wandb_jobs import read_at_wandb, stored_here

    if against:
        raise InputError(
            f"versions are compared in a store, and this job is at W&B: {reference!r}",
            hint="build it first: launch-action build wandb:ENTITY/PROJECT/NAME:ALIAS",
        )
    with (
        read_at_wandb(reference, place) as found,
        stored_here(found, place, code=False) as job,
    ):
        version = found.job.version
        raw = json.loads(found.job.raw)
        return {
            **_described(job),
            "job": f"wandb:{version.reference}",
            "aliases": list(dict.fromkeys((version.reference.alias, *version.aliases))),
            "details": {"wandb": {**found.origin, "description": version.description}},
            "wandb_job": raw,
        }


def promote_job(reference: str, aliases: Sequence[str], place: Workplace) -> Document:
    """Move aliases to a version, by its digest; one with a repository moves in that repository.

    W&B's version, where it has it, gets those of the job's own repository.

    Aliases are checked before any moves. Raises StoreError when another repository holds another
    job and `--allow-rename` is not said.
    """
    wanted = [_target(alias) for alias in dict.fromkeys(aliases)]
    job = find_job(reference, for_registry(reference, place), writable=True)
    _check_commits((alias for _, alias in wanted), job.version)
    moved, own = [], tuple(Tag(alias) for name, alias in wanted if not name)
    for repository in dict.fromkeys(repository for repository, _ in wanted):
        tags = tuple(Tag(alias) for name, alias in wanted if name == repository)
        content = _promoted(job, repository, tags, place)
        moved += [
            {"alias": str(tag), "job": f"{content.name}@{job.version.digest}"} for tag in tags
        ]
    return {
        "job": f"{job.content.name}@{job.version.digest}",
        "moved": moved,
        "wandb": promoted(job, own, place),
    }


def _check_commits(aliases: Iterable[str], version: JobVersion) -> None:
    """Raise InputError for `sha-<commit>` of another commit: a release is looked up by it."""
    for alias in aliases:
        says = alias.removeprefix("sha-")
        if says != alias and len(says) in _COMMIT_LENGTHS and says != version.commit:
            raise InputError(
                f"{alias!r} names another commit than the version has: {version.commit or 'none'}",
                hint="choose another alias",
            )


def delete_job(reference: str, aliases: Sequence[str], place: Workplace) -> Document:
    """Delete a version with the alias that named it; or these aliases alone, and no version.

    The aliases go at W&B as well, where the versions stay.

    Raises StoreError when another alias still reaches the version, or where there is no such alias.
    """
    place = for_registry(reference, place)
    content, selector = open_store(reference, place, writable=True)
    store, nonce = JobStore(content), secrets.token_hex(8)
    forget = forgetting(place)
    if aliases:
        tags = [Tag(alias) for alias in aliases]
        # A misspelt one is told before any is removed.
        versions = [store.load(tag) for tag in tags]
        names = artifact_names(content, versions) if forget else ()
        for place_of, tag in enumerate(tags):
            store.remove_alias(tag, f"{nonce}-{place_of}")
        deleted, gone = None, tuple(tags)
    else:
        version = store.load(selector)
        names = artifact_names(content, [version]) if forget else ()
        given = () if selector.startswith("sha256:") else (Tag(selector),)
        deleted, gone = str(version.digest), store.delete_version(version, nonce, given)
    return {
        "repository": content.name,
        "version": deleted,
        "aliases": [str(tag) for tag in gone],
        "wandb": forget(Gone(content.name, names, gone)) if forget else [],
    }


def _repository(name: str, place: Workplace) -> Content:
    content, _ = open_store(name, for_registry(name, place))
    return content


def _beside(against: str, reference: str) -> str:
    """An alias alone is meant in the repository of the other reference."""
    if "/" in against or ":" in against or "@" in against:
        return against
    named = registry_reference(reference)
    name = str(named.repository) if named else reference.partition("@")[0].partition(":")[0]
    return f"{name}:{against}"


def _entries(content: Content) -> Iterator[Document]:
    store = JobStore(content)
    for version, aliases in store.versions():
        yield {**_identity(content, version, aliases), "image_size": store.image_size(version)}


def _identity(content: Content, version: JobVersion, aliases: Iterable[Tag]) -> Document:
    return {
        "job_name": version.job_name,
        "job": f"{content.name}@{version.digest}",
        "aliases": [str(tag) for tag in aliases],
        "commit": version.commit or None,
        "remote": version.remote or None,
        "created": version.created,
        "platforms": [str(image.platform) for image in version.images],
    }


def _described(job: StoredJob) -> Document:
    store = JobStore(job.content)
    files = store.files(job.version)
    document = read_job(files.document, f"{job.content.name}@{job.version.digest}")
    manifests = store.images(job.version)
    return {
        **_identity(job.content, job.version, store.aliases(job.version)),
        "image_size": store.image_size(job.version),
        "build_key": job.version.build_key or None,
        "entrypoint": list(document.entrypoint),
        "runtime": document.runtime or None,
        "images": [_image(*pair) for pair in zip(job.version.images, manifests, strict=True)],
        "details": document.own,
        "packages": packages(files.frozen),
        "schema": dict(stored_schema(files.schema).document) if files.schema else None,
        "patch": files.patch.decode("utf-8", "replace") if files.patch else None,
        "wandb_job": {k: v for k, v in json.loads(files.document).items() if k != OWN_KEY},
    }


def _image(descriptor: Any, manifest: Manifest) -> Document:
    layers = manifest.layers()
    return {
        "platform": str(descriptor.platform),
        "digest": str(descriptor.digest),
        "layers": len(layers),
        "size": sum(layer.size for layer in layers),
    }


def _compared(other: StoredJob, job: StoredJob) -> Document:
    """What lies between two versions, the other one being the older."""
    stores = JobStore(other.content), JobStore(job.content)
    frozen = [
        store.files(one.version).frozen for store, one in zip(stores, (other, job), strict=True)
    ]
    sizes = [store.image_size(one.version) for store, one in zip(stores, (other, job), strict=True)]
    return {
        "job": f"{other.content.name}@{other.version.digest}",
        "commits": _commits(other.version.commit, job.version.commit),
        "same_image": other.version.images == job.version.images,
        "packages": [
            {"name": c.name, "change": c.kind, "before": c.before or None, "after": c.after or None}
            for c in requirement_changes(*frozen)
        ],
        "image_size": sizes[0],
        "image_size_change": sizes[1] - sizes[0],
    }


def _commits(before: str, after: str) -> str | None:
    """What `git log` takes; code and image jobs have no commits."""
    return f"{before}..{after}" if before and after else None


def _target(alias: str) -> tuple[str, Tag]:
    """Repository and alias that are asked for; the repository is empty for the job's own."""
    if "/" not in alias:
        return "", _visible(Tag(alias))
    named = Reference.parse(alias)
    if named.digest or not named.tag or registry_reference(alias) is None:
        raise InputError(
            f"not an alias of a repository: {alias!r}",
            hint="write v1 for the job's own repository, ghcr.io/acme/prod:v1 for another",
        )
    return str(named.repository), _visible(named.tag)


def _visible(tag: Tag) -> Tag:
    if hidden(tag):
        raise InputError(
            f"not an alias: {str(tag)!r}", hint="tags of this form are the store's own"
        )
    return tag


def _promoted(job: StoredJob, repository: str, tags: tuple[Tag, ...], place: Workplace) -> Content:
    """Move the aliases in one repository, to which the version is taken over where it lacks it."""
    if not repository:
        JobStore(job.content).point(job.version, tags)
        return job.content
    content, _ = open_store(f"{repository}:{tags[0]}", place, writable=True, new=True)
    store = JobStore(content)
    if not place.inputs.allow_rename:
        store.check_name(job.version.job_name)
    with place.reporter.phase("copy"):
        copy_version(job.version, job.content, content)
    store.point(job.version, tags)
    return content
