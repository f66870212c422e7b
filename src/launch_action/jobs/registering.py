"""Registers recorded jobs in W&B: whether, what of them, and what is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import InputError, ServiceError
from launch_action.core.store import JobStore
from launch_action.jobs.admission import Admission
from launch_action.planning.workplace import StoredJob, Workplace

# Every run passes here, and most register nothing: the rest is imported where it is used.
if TYPE_CHECKING:
    from launch_action.core.launch import Announce
    from launch_action.core.registration import Register, Registration, WandbArtifact
    from launch_action.core.version import JobFiles
    from launch_action.wandb.account import Account
    from launch_action.wandb.recorded import FirstAnswer, Found
    from launch_action.wandb.recording import RecordedArtifact

_OFFLINE = ("offline", "disabled", "dryrun")


def to_register(place: Workplace, *, pushed: bool | None = None) -> Register:
    """What W&B gets of the jobs of this run. Raises InputError for what cannot be.

    There is something only with a key and a project, and never for an event that outsiders can
    cause. To be asked before anything is built; `pushed` says of a job that is there already
    whether it is in a registry.
    """
    inputs = place.inputs
    if place.untrusted or inputs.wandb_register == "off":
        return "off"
    account = place.wandb
    if not account.key or not account.project:
        if _is_asked(place):
            raise _incomplete(place, "key" if not account.key else "project")
        return "off"
    if _is_offline(place):
        return "off"
    _check_account(account)
    what = _what(place)
    if what in ("image", "both") and not inputs.docker_image:
        _check_pushed(place, what, pushed)
    return what if _has_sdk(place) else "off"


def _check_account(account: Account) -> None:
    """Raise InputError for an address, a project or an entity that cannot be one."""
    from launch_action.core.wandb_reference import check_owner

    account.server().close()
    check_owner("project", account.project)
    if account.entity:
        check_owner("entity", account.entity)


def _is_asked(place: Workplace) -> bool:
    """Whether somebody has asked for it, so that it is an error where it cannot be."""
    return bool(place.inputs.wandb_register or place.inputs.queue)


def _what(place: Workplace) -> Register:
    match place.inputs.wandb_register:
        case "blueprint" | "image" | "both" | "off" as asked:
            return asked
        case _:
            return "both" if place.inputs.queue else "blueprint"


def _because(place: Workplace, what: str = "") -> str:
    said = f" is {what!r}" if what else " is given"
    return f"wandb-register{said}" if place.inputs.wandb_register else "a queue is named"


def _incomplete(place: Workplace, lacking: str) -> InputError:
    hint = {
        "key": "set WANDB_API_KEY, or `wandb login`",
        "project": "give --project, or set WANDB_PROJECT",
    }
    return InputError(f"{_because(place)}, and no W&B {lacking} is known", hint=hint[lacking])


def _is_offline(place: Workplace) -> bool:
    mode = place.environment.get("WANDB_MODE", "").lower()
    if mode not in _OFFLINE:
        return False
    if _is_asked(place):
        raise InputError(
            f"{_because(place)}, and WANDB_MODE is {mode!r}",
            hint="unset WANDB_MODE, or say --wandb-register off",
        )
    place.reporter.info(f"the job is not registered in W&B: WANDB_MODE is {mode}")
    return True


def _has_sdk(place: Workplace) -> bool:
    """Whether the SDK can be used. Raises InputError where not and somebody counts on it.

    Nobody does where the machine is logged in or a settings file has a project, and no more.
    """
    from launch_action.wandb.recording import EXTRA, sdk_fault

    fault = sdk_fault()
    if not fault:
        return True
    inputs, variables = place.inputs, place.environment
    key = inputs.wandb_api_key or variables.get("WANDB_API_KEY")
    project = inputs.project or variables.get("WANDB_PROJECT")
    if _is_asked(place) or (key and project):
        raise InputError(
            f"the job is to be registered in W&B, and its SDK {fault}",
            hint=f"pip install {EXTRA}, or say --wandb-register off",
        )
    place.reporter.warning(
        f"the job is not registered in W&B, where this machine is logged in: the SDK of {EXTRA} "
        f"{fault} (--wandb-register off says that it shall not be)"
    )
    return False


def _check_pushed(place: Workplace, what: Register, pushed: bool | None) -> None:
    inputs = place.inputs
    if pushed if pushed is not None else inputs.image and inputs.push is not False:
        return
    raise InputError(
        f"{_because(place, what)}, and the image is not pushed anywhere that an agent could pull "
        "it from",
        hint="name its repository with --image, or say --wandb-register blueprint",
    )


def registered(
    job: StoredJob, admission: Admission, place: Workplace, announce: Announce
) -> StoredJob:
    """Record a job version in W&B; the job with its names there.

    Raises ServiceError, which says what is there and what is not. What is there is not made again:
    the same command completes it.
    """
    if admission.what == "off":
        return job
    import tempfile

    from launch_action.core.registration import artifacts

    files = JobStore(job.content).files(job.version)
    asked = artifacts(_registration(job, files, place), admission.what)
    with (
        place.reporter.phase("register"),
        tempfile.TemporaryDirectory(prefix="launch-action-wandb-") as name,
    ):
        folder = Path(name)
        _write(asked, job, files, folder, place)
        found = _recorded(job, asked, folder, place, _Told(announce, admission.answer()))
    blueprint, image = found.get("blueprint"), found.get("image")
    any_of = blueprint or image
    return replace(
        job,
        wandb_job=any_of.name if any_of else "",
        wandb_image=image.name if image else "",
    )


def _registration(job: StoredJob, files: JobFiles, place: Workplace) -> Registration:
    from launch_action.core.launch import image_digest
    from launch_action.core.registration import Registration

    version, name = job.version, job.content.name
    pushed = job.registry and version.images
    return Registration(
        job_name=version.job_name,
        commit=version.commit,
        build_key=version.build_key,
        files=files,
        aliases=job.aliases,
        job=f"{name}@{version.digest}" if job.registry else "",
        image=f"{name}@{image_digest(version)}" if pushed else "",
        description=place.inputs.description,
    )


def _write(
    asked: Sequence[WandbArtifact], job: StoredJob, files: JobFiles, folder: Path, place: Workplace
) -> None:
    """The content of the artifacts, in directories by their roles."""
    for one in asked:
        target = folder / one.role
        target.mkdir()
        for path, data in one.files:
            (target / path).write_bytes(data)
        if one.role == "code":
            _unpack(job, files, target, place)


def _unpack(job: StoredJob, files: JobFiles, target: Path, place: Workplace) -> None:
    """The code of a directory, as it was recorded; W&B keeps no links and no modes."""
    from io import BufferedReader

    from launch_action.builders.layers.unpack import extract
    from launch_action.runners.stream import ChunkStream

    if files.code is None:
        raise ServiceError(
            f"the code of job version {job.version.digest} is not in its store",
            hint="record it from its directory: `launch-action job create code DIR`",
        )
    with job.content.open_blob(files.code) as chunks:
        extract(BufferedReader(ChunkStream(chunks)), target)
    _check_names(target)
    links = sorted(path for path in target.rglob("*") if path.is_symlink())
    for link in links:
        name = link.relative_to(target).as_posix()
        to = link.resolve()
        data = to.read_bytes() if to.is_relative_to(target.resolve()) and to.is_file() else None
        link.unlink()
        if data is None:
            place.reporter.warning(f"W&B keeps no links: {name!r} is not in its code artifact")
        else:
            link.write_bytes(data)


def _check_names(target: Path) -> None:
    for path in target.rglob("*"):
        try:
            path.name.encode()
        except UnicodeEncodeError as error:
            name = path.relative_to(target).as_posix()
            raise ServiceError(
                f"W&B takes no file whose name is not UTF-8: {name!r}",
                hint="rename it, or leave it out with .launchignore",
            ) from error


@dataclass(frozen=True, slots=True)
class _Told:
    """Who is told of what is at W&B, and what W&B has told before."""

    announce: Announce
    first: FirstAnswer | None


def _recorded(
    job: StoredJob, asked: Sequence[WandbArtifact], folder: Path, place: Workplace, told: _Told
) -> Mapping[str, RecordedArtifact]:
    """Record the artifacts; those that are there, by their roles."""
    from launch_action.wandb.recorded import recorded_before

    before = recorded_before(place.wandb, asked, folder, told.first)
    if not before or any(one.lacking for one in before):
        asked = _still_named(job, asked)
    found: dict[str, RecordedArtifact] = {}
    try:
        for one in _recordings(before, asked, folder, place.wandb):
            if isinstance(one, str):
                place.reporter.warning(one)
                continue
            found[one.role] = one
            place.reporter.info(f"W&B has {one.name}{', as it is' if before else ''}")
            told.announce({**_to_launch(found), "metadata": {"wandb": _document(found)}})
    except ServiceError as error:
        raise _incompletely(job, asked, found, error) from error
    return found


def _recordings(
    before: Sequence[Found], asked: Sequence[WandbArtifact], folder: Path, account: Account
) -> Iterator[RecordedArtifact | str]:
    """What is there gets the aliases that it lacks; else the artifacts are recorded."""
    if not before:
        from launch_action.wandb.recording import record_artifacts

        yield from record_artifacts(account, asked, folder)
        return
    from launch_action.wandb.aliases import complete_aliases

    for known, one in zip(before, asked, strict=True):
        complete_aliases(account, replace(known, asked=one))
        yield known.recorded


def _still_named(job: StoredJob, asked: Sequence[WandbArtifact]) -> list[WandbArtifact]:
    """The artifacts with the aliases that name the version still: who has moved one moves it there.

    A build takes its time, and meanwhile a newer commit may be recorded, or a preview closed.
    """
    from launch_action.core.aliases import wandb_aliases
    from launch_action.core.concurrency import concurrently

    pairs = zip(job.aliases, concurrently(job.content.get_manifest, job.aliases), strict=True)
    digest = job.version.digest
    still = [alias for alias, found in pairs if found and found.descriptor.digest == digest]
    return [replace(one, aliases=wandb_aliases(still)) for one in asked]


def _to_launch(found: Mapping[str, RecordedArtifact]) -> dict[str, str]:
    """The outputs that name the job to launch: an image needs neither a builder nor a login."""
    one = found.get("image") or found.get("blueprint")
    return {"wandb_job": one.name, "wandb_job_url": one.url} if one else {}


def wandb_outputs(job: str, place: Workplace) -> dict[str, str]:
    """The outputs that name a job at W&B by its reference."""
    from launch_action.core.wandb_reference import parse_job_reference
    from launch_action.wandb.recording import artifact_page

    page = artifact_page(place.wandb, parse_job_reference(job), "job")
    return {"wandb_job": job, "wandb_job_url": page}


def _document(found: Mapping[str, RecordedArtifact]) -> dict[str, str | None]:
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
    found: Mapping[str, RecordedArtifact],
    error: ServiceError,
) -> ServiceError:
    there = ", ".join(one.name for one in found.values()) or "nothing"
    lacking = ", ".join(repr(one.name) for one in asked if one.role not in found)
    return ServiceError(
        f"{error.message}; the version is stored as {job.content.name}@{job.version.digest}, W&B "
        f"has {there} of it and lacks {lacking}",
        hint=f"{error.hint}; the same command then completes it, and makes nothing again",
        context=error.context,
    )
