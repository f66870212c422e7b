"""Builds a recorded job: its source is fetched or unpacked again, wherever this machine is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import assert_never

from launch_action.builders.layers.unpack import extract
from launch_action.core.dataclass import replace
from launch_action.core.errors import InputError, StoreError
from launch_action.core.git_address import parse_git_address
from launch_action.core.inputs import Inputs
from launch_action.core.job import (
    CodeSource,
    GitSource,
    ImageSource,
    JobDocument,
    artifact_name,
    read_job,
)
from launch_action.core.plan import Kept, LaunchPlan, StorePlan
from launch_action.core.reference import Reference, Tag
from launch_action.core.store import JobStore
from launch_action.planning.workplace import StoredJob, Workplace
from launch_action.runners.stream import ChunkStream
from launch_action.scratch import scratch_directory

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@contextmanager
def restored_source(job: StoredJob, place: Workplace) -> Iterator[Workplace]:
    """The workplace whose inputs name what was recorded: source, entry point, name and aliases.

    What the user gave wins. Raises InputError for an image job, StoreError for code that the store
    lacks.
    """
    store = JobStore(job.content)
    files = store.files(job.version)
    document = read_job(files.document, f"{job.content.name}@{job.version.digest}")
    source = document.source
    if isinstance(source, ImageSource):
        raise InputError(
            f"an image job has nothing to build: {source.image!r}",
            hint="run it with `launch-action run`",
        )
    inputs = _restored_inputs(place.inputs, source, document, job)
    match source:
        case GitSource():
            _check_source(source, job)
            inputs = replace(inputs, uri=source.remote, git_hash=source.commit)
            inputs = replace(inputs, git_token=_token(place))
            yield replace(place, inputs=inputs, recorded=files)
        case CodeSource():
            if files.code is None:
                raise StoreError(
                    f"the code of job version {job.version.digest} is not in its store: "
                    f"{source.artifact!r}",
                    hint="record it from its directory: `launch-action job create code DIR`",
                )
            with scratch_directory("launch-action-source-") as name:
                with place.reporter.phase("unpack"):
                    root = Path(name, "code")
                    root.mkdir()
                    with job.content.open_blob(files.code) as chunks:
                        extract(BufferedReader(ChunkStream(chunks)), root)
                artifact = artifact_name(source.artifact)
                inputs = replace(inputs, uri=str(root))
                yield replace(place, inputs=inputs, artifact=artifact, recorded=files)
        case _:
            assert_never(source)


def _token(place: Workplace) -> str:
    """The git token, unless it is only the environment's.

    A stored document chooses the host it would go to: that takes somebody who asks for it.
    """
    token = place.inputs.git_token
    if token and token == place.environment.get("GIT_TOKEN"):
        place.reporter.info(
            "$GIT_TOKEN is not sent to the host that a recorded job names: "
            "give the token with --git-token instead, without the variable"
        )
        return ""
    return token


def _check_source(source: GitSource, job: StoredJob) -> None:
    """Refuse a document that names a place of this machine, or a reference that moves.

    As inputs, `uri` may be a directory and `git-hash` a branch: from a store neither is taken.
    """
    parse_git_address(source.remote)
    if not _COMMIT.fullmatch(source.commit):
        raise StoreError(
            f"job version {job.version.digest} names no commit: {source.commit!r}",
            hint="record it again from its repository: `launch-action job create git URL`",
        )


def _restored_inputs(
    given: Inputs, source: GitSource | CodeSource, document: JobDocument, job: StoredJob
) -> Inputs:
    version = job.version
    aliases = JobStore(job.content).aliases(version)
    repository = job.content.name if job.registry else ""
    return replace(
        given,
        job_name=given.job_name or version.job_name,
        entry_point=given.entry_point or shlex.join(document.entrypoint),
        build_context=given.build_context or source.build_context,
        dockerfile=given.dockerfile or source.dockerfile,
        # Spelt out: what a document names is an image of a registry, and neither `oci:` nor `deb:`.
        base_image=given.base_image
        or (str(Reference.parse(source.base_image)) if source.base_image else ""),
        image=given.image or repository,
        python=given.python or document.runtime,
        alias=(*given.alias, *aliases),
    )


def moved_plan(plan: LaunchPlan, job: StoredJob, place: Workplace) -> LaunchPlan:
    """The plan with the old version's store and types, and its aliases for a new version's."""
    files = JobStore(job.content).files(job.version)
    own = {f"sha-{plan.commit}"} if plan.commit and files.patch is None else set()
    asked = {*place.inputs.alias, *JobStore(job.content).aliases(job.version), *own}
    store = plan.store
    if not (place.inputs.image or job.registry):
        name = job.content.name
        store = StorePlan("layout", name, str(place.store_directory / name))
    aliases = tuple(tag for tag in (*map(Tag, sorted(own)), *plan.aliases) if tag in asked)
    document = read_job(files.document, f"{job.content.name}@{job.version.digest}")
    origin = document.own.get("wandb")
    kept = Kept(
        input_types=document.input_types,
        output_types=document.output_types,
        schema=files.schema,
        patch=files.patch,
        run=str(document.own.get("run") or ""),
        wandb=origin if isinstance(origin, dict) else None,
        services=document.services,
    )
    return replace(plan, store=store, aliases=tuple(dict.fromkeys(aliases)), kept=kept)
