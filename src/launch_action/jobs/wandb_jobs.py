"""Jobs at W&B as jobs of a store: read there, recorded here so that they can be built and run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_action.core.aliases import asked_alias
from launch_action.core.create_plan import CreatePlan, create
from launch_action.core.dataclass import dataclass, replace
from launch_action.core.errors import StoreError
from launch_action.core.input_table import INPUTS
from launch_action.core.inputs import Inputs
from launch_action.core.job import CodeSource, GitSource, ImageSource
from launch_action.core.layers_plan import timestamp
from launch_action.core.plan import StorePlan
from launch_action.core.reference import Reference, Tag
from launch_action.core.tags import alias_tag
from launch_action.core.wandb_reference import ArtifactReference, parse_job_reference
from launch_action.planning.workplace import StoredJob, Workplace
from launch_action.scratch import scratch_directory

if TYPE_CHECKING:
    from launch_action.core.image import Descriptor
    from launch_action.wandb.jobs import WandbJob
    from launch_action.wandb.server import Server

Archive = Callable[..., "Descriptor"]


@dataclass(frozen=True, slots=True)
class ReadJob:
    """A job that was read at W&B, and the server that it is of."""

    job: WandbJob
    server: Server

    @property
    def reference(self) -> ArtifactReference:
        """The job's reference by its version, such as `acme/demo/hello:v3`."""
        return self.job.version.reference

    @property
    def origin(self) -> dict[str, str]:
        """What a version made of it records of where it is from."""
        return {
            "job": str(self.reference),
            "digest": self.job.version.digest,
            "server": self.server.base_url,
        }


@contextmanager
def read_at_wandb(reference: str, place: Workplace) -> Iterator[ReadJob]:
    """The job at W&B that a reference names; what was mended of it is told.

    Raises InputError, StoreError and ServiceError.
    """
    from launch_action.wandb.jobs import read_job

    account = place.wandb
    needs_entity = reference.count("/") < 2
    entity = account.default_entity() if needs_entity else ""
    named = parse_job_reference(reference, entity, account.project)
    server = account.server()
    try:
        with place.reporter.phase("read"), place.waiting_for_wandb():
            job = read_job(server, named)
        place.reporter.info(f"job {job.version.reference} of W&B at {server.base_url}")
        for note in job.document.notes:
            place.reporter.warning(f"job {job.version.reference}: {note}")
        yield ReadJob(job, server)
    finally:
        server.close()


@contextmanager
def stored_here(found: ReadJob, place: Workplace, *, code: bool = True) -> Iterator[StoredJob]:
    """The job as a version of a store in a temporary directory, which is gone with the block.

    The `code` of a code job is fetched. Raises StoreError, SourceError and ServiceError.
    """
    from launch_action.oci.layout import LayoutContent

    with ExitStack() as stack:
        folder = stack.enter_context(scratch_directory("launch-action-wandb-"))
        name = found.reference.name
        content = LayoutContent(Path(folder, "store", name), name)
        plan = _plan(found, place, StorePlan("layout", name, str(Path(folder, "store", name))))
        archive = None
        if code and isinstance(plan.source, CodeSource):
            plan, fetch = _code(found, plan, place, Path(folder, "code"))
            archive = partial(fetch, content=content)
        version = create(plan, content, archive)
        yield StoredJob(content, version, registry=False, wandb_job=str(found.reference))


def store_image_job(found: ReadJob, place: Workplace) -> StoredJob:
    """Create an image job in the store that the inputs name, with the digest its image has now.

    Raises RegistryError where there is no such image, and StoreError.
    """
    from launch_action.jobs.image_jobs import plan_image_job

    source = found.job.document.job.source
    assert isinstance(source, ImageSource)  # noqa: S101  # the caller's condition
    named = Reference.parse(source.image)
    inputs = replace(
        place.inputs, docker_image=source.image, args=(), entry_point="",
        job_name=place.inputs.job_name or found.reference.name,
    )  # fmt: skip
    plan = plan_image_job(replace(place, inputs=inputs))
    assert isinstance(plan.source, ImageSource)  # noqa: S101  # an image's plan
    if not named.digest:
        place.reporter.warning(
            f"job {found.reference} names its image by a tag, which moves: {source.image!r} is "
            f"{plan.source.image} now"
        )
    mine = _plan(found, place, plan.store)
    plan = replace(
        mine,
        job_name=plan.job_name,
        source=replace(plan.source, args=source.args),
        created=plan.created,
        own={**plan.own, **mine.own},
    )
    content = place.content(plan.store)
    version = create(plan, content)
    registry = plan.store.kind == "registry"
    return StoredJob(content, version, registry, wandb_job=str(found.reference))


def built_before(found: ReadJob, place: Workplace) -> StoredJob | None:
    """The version of the local store that was built of this very job version, if there is one.

    None where something is asked of the build: that build is the one to run.
    """
    from launch_action.core.job import read_job
    from launch_action.core.store import JobStore
    from launch_action.oci.layout import LayoutContent

    if _asks_of_build(place.inputs):
        return None
    name = place.inputs.job_name or found.reference.name
    content = LayoutContent(place.store_directory / name, name)
    store = JobStore(content)
    version = store.find(alias_of(found.reference))
    if version is None or not version.images:
        return None
    document = read_job(store.job_files(version)[0], f"{name}@{version.digest}")
    if document.own.get("wandb") != found.origin:
        return None
    return StoredJob(content, version, registry=False, wandb_job=str(found.reference))


def _asks_of_build(inputs: Inputs) -> bool:
    default = Inputs()
    asked = (row.field for row in INPUTS if "build" in row.commands and "run" not in row.commands)
    return any(getattr(inputs, name) != getattr(default, name) for name in asked)


def alias_of(reference: ArtifactReference) -> Tag:
    """The alias of what is made of a job at W&B: `wandb-acme-demo-v3`."""
    return alias_tag(f"wandb-{reference.entity}-{reference.project}-{reference.alias}")


def with_base(found: ReadJob, place: Workplace) -> Workplace:
    """The workplace whose base image is the one that the job names, unless the user gave one.

    W&B mounts the code into that image; here it is built on it, with the job's dependencies.
    """
    base = found.job.document.base_image
    if not base or place.inputs.base_image:
        return place
    # Spelt out: what a document names is an image of a registry, and neither `oci:DIR` nor `deb:`.
    base = str(Reference.parse(base))
    place.reporter.warning(
        f"job {found.reference}: W&B mounts its code into {base!r}; here the image is built on that"
    )
    return replace(place, inputs=replace(place.inputs, base_image=base))


def _plan(found: ReadJob, place: Workplace, store: StorePlan) -> CreatePlan:
    job = found.job
    document = job.document.job
    given = place.inputs.alias
    return CreatePlan(
        job_name=found.reference.name,
        source=document.source,
        entrypoint=document.entrypoint,
        runtime=document.runtime,
        created=_created(job.version.created),
        store=store,
        aliases=(alias_of(found.reference), *map(asked_alias, given)),
        allow_rename=place.inputs.allow_rename,
        frozen=job.frozen,
        input_types=document.input_types,
        output_types=document.output_types,
        patch=job.patch if isinstance(document.source, GitSource) else b"",
        schema=_schema(found, place),
        own={"wandb": found.origin},
        services=document.services,
    )


def _code(
    found: ReadJob, plan: CreatePlan, place: Workplace, root: Path
) -> tuple[CreatePlan, Archive]:
    """The plan with the code's own name, and what puts its files into a store."""
    from launch_action.code.directory import plain_directory
    from launch_action.jobs.code_archive import store_archive
    from launch_action.wandb.jobs import fetch_code, find_code

    source = plan.source
    assert isinstance(source, CodeSource)  # noqa: S101  # the caller's condition
    code = find_code(found.server, source.artifact)
    root.mkdir()
    with place.reporter.phase("fetch"):
        fetch_code(
            found.server, code, root,
            allowed=place.inputs.allow_file, transfer=place.reporter.transfer,
        )  # fmt: skip
    named = replace(plan, source=replace(source, artifact=code.reference.name))
    return named, partial(store_archive, plain_directory(root), place=place)


def _schema(found: ReadJob, place: Workplace) -> bytes | None:
    """The schema of the job's inputs, which its maker may have got wrong: W&B only warns."""
    document: Any = found.job.schema
    if document is None:
        return None
    from launch_action.core.input_schema import stored_schema

    data = json.dumps(document).encode()
    try:
        stored_schema(data)
    except StoreError as error:
        place.reporter.warning(f"job {found.reference}: its schema is not used: {error.message}")
        return None
    return data


def _created(text: str) -> str:
    """The time in the store's form; what is none is 1970."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return timestamp(0)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return timestamp(max(int(aware.timestamp()), 0))
