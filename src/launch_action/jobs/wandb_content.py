"""The artifacts that W&B is given of a job version, as files: what is uploaded, or looked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from launch_action.core.errors import ServiceError
from launch_action.core.launch import image_digest
from launch_action.core.registration import Register, Registration, WandbArtifact, artifacts
from launch_action.core.store import JobStore
from launch_action.core.version import JobFiles
from launch_action.planning.workplace import StoredJob, Workplace
from launch_action.scratch import scratch_directory


@contextmanager
def made_artifacts(
    job: StoredJob, what: Register, place: Workplace
) -> Iterator[tuple[tuple[WandbArtifact, ...], Path]]:
    """The artifacts, and a directory with their content, in directories by their roles.

    It is gone after the block. Raises StoreError and ServiceError.
    """
    files = JobStore(job.content).files(job.version)
    asked = artifacts(_registration(job, files, place), what)
    with scratch_directory("launch-action-wandb-") as name:
        _write(asked, job, files, Path(name), place)
        yield asked, Path(name)


def _registration(job: StoredJob, files: JobFiles, place: Workplace) -> Registration:
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
