"""Registers recorded jobs in W&B: what of them is made there, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import LaunchError, RegistryError, ServiceError, StoreError
from launch_action.jobs.admission import Admission
from launch_action.planning.workplace import StoredJob, Workplace

# Every run passes here, and most register nothing: the rest is imported where it is used.
if TYPE_CHECKING:
    from launch_action.core.launch import Announce
    from launch_action.core.registration import WandbArtifact
    from launch_action.wandb.account import Account
    from launch_action.wandb.artifact_lookup import FirstAnswer, Found
    from launch_action.wandb.artifact_upload import UploadedArtifact


def registered(
    job: StoredJob, admission: Admission, place: Workplace, announce: Announce
) -> StoredJob:
    """Register a job version at W&B; the job with its names there.

    Raises ServiceError, or what the store raises, which say what is there and what is not. What is
    there is not made again: the same command completes it.
    """
    if admission.what == "off":
        return job
    # Imported where it is used: most runs register nothing.
    from launch_action.jobs.wandb_content import made_artifacts

    with (
        place.reporter.phase("register"),
        made_artifacts(job, admission.what, place) as (asked, folder),
        place.waiting_for_wandb(),
    ):
        found = _register(job, asked, folder, place, _Told(announce, admission.answer()))
    blueprint, image = found.get("blueprint"), found.get("image")
    any_of = blueprint or image
    return replace(
        job,
        wandb_job=any_of.name if any_of else "",
        wandb_image=image.name if image else "",
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """Who is told of what is at W&B, and what W&B has told before."""

    announce: Announce
    first: FirstAnswer | None


def _register(
    job: StoredJob, asked: Sequence[WandbArtifact], folder: Path, place: Workplace, told: _Told
) -> Mapping[str, UploadedArtifact]:
    """Have the artifacts at W&B; all of them, by their roles."""
    from launch_action.wandb.artifact_lookup import find_all_uploaded

    before = find_all_uploaded(place.wandb, asked, folder, told.first)
    found: dict[str, UploadedArtifact] = {}
    try:
        if not before or any(one.lacking for one in before):
            asked = _still_named(job, asked)
        for one in _uploads(before, asked, folder, place.wandb):
            if isinstance(one, str):
                place.reporter.warning(one)
                continue
            found[one.role] = one
            place.reporter.info(f"W&B has {one.name}{', as it is' if before else ''}")
            told.announce({**_to_launch(found), "metadata": {"wandb": _document(found)}})
    except (ServiceError, RegistryError, StoreError) as error:
        raise _incompletely(job, asked, found, error) from error
    if not before:  # which has taken its time again
        from launch_action.jobs.wandb_aliases import follow_store

        follow_store(job, [one.name for one in found.values()], place)
    return found


def _uploads(
    before: Sequence[Found], asked: Sequence[WandbArtifact], folder: Path, account: Account
) -> Iterator[UploadedArtifact | str]:
    """What is there gets the aliases that it lacks; else the artifacts are uploaded."""
    if not before:
        from launch_action.wandb.artifact_upload import upload_artifacts

        yield from upload_artifacts(account, asked, folder)
        return
    from launch_action.wandb.aliases import complete_aliases

    for known, one in zip(before, asked, strict=True):
        complete_aliases(account, replace(known, asked=one))
        yield known.uploaded


def _still_named(job: StoredJob, asked: Sequence[WandbArtifact]) -> list[WandbArtifact]:
    """The artifacts with the aliases that name the version still: who has moved one moves it there.

    A build takes its time, and meanwhile a newer commit may be recorded, or a preview closed.
    """
    from launch_action.core.aliases import wandb_aliases
    from launch_action.jobs.wandb_aliases import moved_on

    lost = moved_on(job)
    still = [alias for alias in job.aliases if alias not in lost]
    return [replace(one, aliases=wandb_aliases(still)) for one in asked]


def _to_launch(found: Mapping[str, UploadedArtifact]) -> dict[str, str]:
    """The outputs that name the job to launch: an image needs neither a builder nor a login."""
    one = found.get("image") or found.get("blueprint")
    return {"wandb_job": one.name, "wandb_job_url": one.url} if one else {}


def wandb_outputs(job: str, place: Workplace) -> dict[str, str]:
    """The outputs that name a job at W&B by its reference."""
    from launch_action.core.wandb_reference import parse_job_reference
    from launch_action.wandb.artifact_upload import artifact_page

    page = artifact_page(place.wandb, parse_job_reference(job), "job")
    return {"wandb_job": job, "wandb_job_url": page}


def _document(found: Mapping[str, UploadedArtifact]) -> dict[str, str | None]:
    """What `metadata` says of it: all keys are there, whatever is known."""
    blueprint, image, code = (found.get(role) for role in ("blueprint", "image", "code"))
    return {
        "job": blueprint.name if blueprint else None,
        "url": blueprint.url if blueprint else None,
        "image_job": image.name if image else None,
        "image_url": image.url if image else None,
        "code": code.name if code else None,
    }


def _incompletely(
    job: StoredJob,
    asked: Sequence[WandbArtifact],
    found: Mapping[str, UploadedArtifact],
    error: ServiceError | RegistryError | StoreError,
) -> LaunchError:
    there = ", ".join(one.name for one in found.values()) or "nothing"
    lacking = ", ".join(repr(one.name) for one in asked if one.role not in found)
    return type(error)(
        f"{error.message}; the version is stored as {job.content.name}@{job.version.digest}, W&B "
        f"has {there} of it and lacks {lacking}",
        hint=f"{error.hint}; the same command then completes it, and makes nothing again",
        context=error.context,
    )
