"""The plan of a job version without a build: a job as it was declared, or an image that exists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from launch_action.core.aliases import asked_alias
from launch_action.core.base import RegistryBase
from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.image import Descriptor
from launch_action.core.inputs import Inputs
from launch_action.core.job import (
    CodeSource,
    GitSource,
    ImageSource,
    JobDocument,
    Source,
    at_digest,
    input_types,
)
from launch_action.core.names import image_job_name
from launch_action.core.plan import LaunchPlan, StorePlan, chosen_job_name, plan_store
from launch_action.core.ports import Content
from launch_action.core.reference import Digest, Reference, Tag
from launch_action.core.services import parse_services
from launch_action.core.situation import Situation
from launch_action.core.store import JobStore
from launch_action.core.version import JobFiles, JobVersion, VersionSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatePlan:
    """A job version without an image of ours.

    `runtime` is `X.Y` or empty, `created` RFC 3339 in UTC. `frozen` are the lines of
    requirements.frozen.txt; `input_types` and `output_types` are W&B's types of them, empty
    for any; `schema` is the JSON Schema of the inputs, as bytes. `patch` is what was changed of the
    commit, empty for nothing. `own` are facts of ours for the job document.
    """

    job_name: str
    source: Source
    entrypoint: tuple[str, ...]
    runtime: str
    created: str
    store: StorePlan
    aliases: tuple[Tag, ...]
    allow_rename: bool = False
    frozen: bytes = b""
    input_types: Mapping[str, Any] = field(default_factory=dict)
    output_types: Mapping[str, Any] = field(default_factory=dict)
    patch: bytes = b""
    schema: bytes | None = None
    own: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    services: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FoundImage:
    """What a registry says of an image: its digest, and `created` of its config.

    `platform` is empty where the digest is an index's.
    """

    digest: Digest
    created: str
    platform: str = ""


def unbuilt(plan: LaunchPlan, frozen: bytes = b"") -> CreatePlan:
    """What a launch plan would build, to be recorded as it is declared."""
    return CreatePlan(
        job_name=plan.job_name,
        source=plan.source,
        entrypoint=plan.build.entrypoint,
        runtime=plan.build.python.version,
        created=plan.created,
        store=plan.store,
        aliases=plan.aliases,
        allow_rename=plan.allow_rename,
        frozen=frozen,
        input_types=input_types(plan.schema),
        schema=plan.schema,
        own={"script": plan.script, "dependencies": plan.build.dependencies.main},
        warnings=plan.warnings,
        services=plan.services,
    )


def with_base(plan: CreatePlan, base: RegistryBase) -> CreatePlan:
    """The plan of a job with files, with the image that they go into, as W&B records it."""
    assert not isinstance(plan.source, ImageSource)  # noqa: S101  # refused for an image
    return replace(plan, source=replace(plan.source, base_image=str(base)))


def with_schema(plan: CreatePlan, schema: bytes) -> CreatePlan:
    """The plan with a schema of the inputs, which tells their types."""
    return replace(plan, schema=schema, input_types=input_types(schema))


def plan_image(
    inputs: Inputs,
    reference: Reference,
    found: FoundImage,
    situation: Situation,
    entrypoint: tuple[str, ...],
) -> CreatePlan:
    """An image job: the image by its digest; its tag is an alias of the job."""
    name, warnings = chosen_job_name(inputs, image_job_name(reference))
    tags = [reference.tag or (Tag("latest") if not reference.digest else None)]
    if not situation.ci:
        tags.append(Tag("latest"))
    asked = [asked_alias(text) for text in inputs.alias]
    return CreatePlan(
        job_name=name,
        source=ImageSource(f"{reference.familiar}@{found.digest}", inputs.args),
        entrypoint=entrypoint,
        runtime="",
        created=found.created,
        store=plan_store(inputs, situation, name),
        aliases=tuple(dict.fromkeys((*(tag for tag in tags if tag), *asked))),
        allow_rename=inputs.allow_rename,
        own={"image": str(reference), "platform": found.platform or None},
        warnings=warnings,
        services=parse_services(inputs.service),
    )


def create(
    plan: CreatePlan, content: Content, archive: Callable[[], Descriptor] | None = None
) -> JobVersion:
    """Store the version and move its aliases; `archive` puts a directory's files there.

    Raises StoreError, and what the content raises.
    """
    store = JobStore(content)
    if not plan.allow_rename:
        store.check_name(plan.job_name)
    code = archive() if archive else None
    source = plan.source
    if code and not isinstance(source, ImageSource):
        source = at_digest(source, code.digest)
    stored = store.record(
        VersionSpec(
            job_name=plan.job_name,
            remote=source.remote if isinstance(source, GitSource) else "",
            commit=source.commit if isinstance(source, GitSource) else "",
            created=plan.created,
            build_key="",
            images=(),
            files=JobFiles(
                _document(plan, source), plan.frozen, plan.schema, code, plan.patch or None
            ),
        ),
        allow_rename=plan.allow_rename,
    )
    store.point(stored.version, plan.aliases)
    return stored.version


def _document(plan: CreatePlan, source: Source) -> bytes:
    document = JobDocument(
        source=source,
        entrypoint=plan.entrypoint,
        runtime=plan.runtime,
        own={"version": 1, "name": plan.job_name, **plan.own},
        services=plan.services,
    )
    if plan.input_types:
        document = replace(document, input_types=plan.input_types)
    if plan.output_types:
        document = replace(document, output_types=plan.output_types)
    return document.render()


def steps(plan: CreatePlan) -> list[dict[str, str]]:
    """The plan as a list of steps, as JSON objects."""
    match plan.source:
        case GitSource():
            origin = f"{plan.source.remote} at {plan.source.commit[:12]}"
        case CodeSource():
            origin = f"artifact {plan.source.artifact}"
        case ImageSource():
            origin = f"image {plan.source.image}"
    entry = f", entry point {' '.join(plan.entrypoint)}" if plan.entrypoint else ""
    found = (
        ("source", origin),
        ("job", f"{plan.job_name}{entry}"),
        ("push" if plan.store.kind == "registry" else "store", plan.store.name),
        ("alias", ", ".join(plan.aliases)),
    )
    return [{"step": name, "detail": detail} for name, detail in found]
