"""Finds recorded jobs by reference: in a registry, or in the local store."""

from __future__ import annotations

from collections.abc import Iterator

from launch_action.core.dataclass import replace
from launch_action.core.errors import InputError, StoreError
from launch_action.core.ports import Content
from launch_action.core.reference import Reference, Tag, names_registry
from launch_action.core.spelling import nearest
from launch_action.core.store import JobStore
from launch_action.planning.workplace import StoredJob, Workplace


def find_job(reference: str, place: Workplace, *, writable: bool = False) -> StoredJob:
    """A job by reference: a registry's, else `name[:alias]` or `name@digest` of the local store."""
    content, selector = open_store(reference, place, writable=writable)
    version = JobStore(content).load(selector)
    return StoredJob(content, version, registry=registry_reference(reference) is not None)


def open_store(
    reference: str, place: Workplace, *, writable: bool = False, new: bool = False
) -> tuple[Content, str]:
    """The repository that a reference names, and the alias or digest in it (default `latest`).

    Raises InputError for what is no reference and, unless it may be `new`, StoreError for a job
    that the local store lacks; a registry is not asked.
    """
    named = registry_reference(reference)
    if named:
        return place.registries.open(named.repository, writable=writable), named.selector
    name, selector = _local_reference(reference)
    content = _local(place, name)
    if not new and not content.tags():
        raise _no_job(place, name)
    return content, selector


def local_stores(place: Workplace) -> Iterator[Content]:
    """The repositories of the local store, by name."""
    for name in _names(place):
        yield _local(place, name)


def is_at_wandb(reference: str, place: Workplace) -> bool:
    """Whether a reference means a job at W&B: `wandb:...`, or what the local store cannot have.

    A name alone is W&B's where the local store has nothing that matches, and a project is known
    and a key.
    """
    if reference.startswith("wandb:"):
        return True
    if registry_reference(reference) or "@" in reference:
        return False
    if "/" in reference:
        return True
    name, _, alias = reference.partition(":")
    if not name.strip(".") or JobStore(_local(place, name)).find(Tag(alias or "latest")):
        return False
    return bool(place.wandb.key and place.wandb.project)


def registry_reference(reference: str) -> Reference | None:
    """The reference, where its first part is a registry; None for a job of the local store.

    Raises InputError for a job at W&B, and for what is no reference.
    """
    if reference.startswith("wandb:"):
        raise InputError(
            f"this is done to a job of a store, not to one at W&B: {reference!r}",
            hint="name it in its registry, as ghcr.io/acme/train:v1, or in the local store",
        )
    first, slash, _ = reference.partition("/")
    return Reference.parse(reference) if slash and names_registry(first) else None


def for_registry(reference: str, place: Workplace) -> Workplace:
    """The workplace in which the registry password is for this reference's registry."""
    named = registry_reference(reference)
    return replace(place, login_host=named.repository.registry) if named else place


def _local(place: Workplace, name: str) -> Content:
    from launch_action.oci.layout import LayoutContent

    return LayoutContent(place.store_directory / name, name)


def _local_reference(reference: str) -> tuple[str, str]:
    name, at, digest = reference.partition("@")
    if at:
        return _job_directory(name, reference), digest
    name, _, alias = reference.partition(":")
    return _job_directory(name, reference), alias or "latest"


def _job_directory(name: str, reference: str) -> str:
    if not name or "/" in name or not name.strip("."):
        raise InputError(
            f"not a job reference: {reference!r}",
            hint="write ghcr.io/acme/train:v1, name:alias of the local store, or "
            "wandb:entity/project/name:alias",
        )
    return name


def _no_job(place: Workplace, name: str) -> StoreError:
    names = _names(place)
    near = nearest(name, names, count=5)
    known = f"nearest: {', '.join(near)}" if near else f"known: {', '.join(names[:20])}"
    return StoreError(
        f"no job {name!r} in {str(place.store_directory)!r}",
        hint=known if names else "build one with `launch-action build`",
    )


def _names(place: Workplace) -> list[str]:
    directory = place.store_directory
    # A stray file, such as a file manager leaves in a folder, is no job.
    found = directory.iterdir() if directory.is_dir() else ()
    return sorted(entry.name for entry in found if entry.is_dir())
