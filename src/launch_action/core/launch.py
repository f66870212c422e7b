"""`execute`: the effects of a plan, in order. It decides nothing; what it needs comes as ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from launch_action.core.base import BaseRecord
from launch_action.core.concurrency import BackgroundCall
from launch_action.core.dataclass import dataclass
from launch_action.core.errors import StoreError
from launch_action.core.image import Descriptor, Manifest
from launch_action.core.job import (
    CodeSource,
    GitSource,
    JobDocument,
    at_digest,
    input_types,
    read_job,
)
from launch_action.core.plan import LaunchPlan
from launch_action.core.ports import Content, Reporter, read_blob
from launch_action.core.reference import Tag
from launch_action.core.store import JobStore
from launch_action.core.version import JobFiles, JobVersion, VersionSpec, built_of

# What a launch tells as soon as it is known: names are those of the action's outputs, with `_`.
Announce = Callable[[Mapping[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Built:
    """What a builder left in the store: an image manifest per platform, and what it installed.

    Each image is named as the version's index will name it, with the list of its wheels if any.
    `runtime` is the Python `X.Y` of the images, where only the built image tells.
    """

    images: tuple[Descriptor, ...]
    frozen: bytes | Descriptor  # the requirements as exact lines, or the blob that has them
    runtime: str = ""


class Prepared(Protocol):
    """A build whose bases are resolved, so that its build key is known."""

    @property
    def bases(self) -> tuple[BaseRecord, ...]: ...

    @property
    def choices(self) -> tuple[str, ...]:
        """What of this machine's decides the images, as a part of the build key."""
        ...

    def over(self, previous: tuple[Manifest, ...]) -> Prepared:
        """This build with the choices that make the most of earlier images."""
        ...

    def build(self, target: Content, previous: tuple[Manifest, ...]) -> Built:
        """Put the images into the target, without tags. Raises BuildError or RegistryError."""
        ...


# Resolves the bases of the plan that it was made for. Raises BuildError or RegistryError.
Prepare = Callable[[], Prepared]


@dataclass(frozen=True, slots=True)
class World:
    """The effects that a launch needs."""

    prepare: Prepare
    content: Content
    reporter: Reporter
    announce: Announce
    point: Callable[[JobStore, JobVersion, LaunchPlan], tuple[Tag, ...]]
    """Moves the plan's aliases, as far as they may move; those that name the version now."""
    check_source: Callable[[Callable[[], bool]], None] = lambda _: None
    """Raises SourceError when nobody else could get what is about to be recorded.

    It is given what tells it that nobody waits for it any more.
    """
    archive: Callable[[], Descriptor] | None = None
    """Puts the files of a directory into the content, as one archive."""
    admit: Callable[[], None] = lambda: None
    """Raises ServiceError when who is to be told of the version refuses it already."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A recorded job version with its aliases, and whether its image was there before."""

    version: JobVersion
    document: JobDocument
    cache_hit: bool
    aliases: tuple[Tag, ...]


def execute(plan: LaunchPlan, world: World) -> Launch:
    """Build, record, and only then move the aliases. Raises the error of the stage that failed."""
    store = JobStore(world.content)
    # Seldom in vain, and asked for in the time that resolving the base takes anyway.
    with BackgroundCall(lambda: store.meet(plan.previous)) as met:
        with world.reporter.phase("base"):
            prepared = world.prepare()
        met.result()
    key = _build_key(plan, prepared)
    with world.reporter.phase("look up"):
        found, earlier = _look_up(plan, store, key)
        if found is None:
            prepared = prepared.over(earlier)
            before, key = key, _build_key(plan, prepared)
            found = store.find_build(key) if key != before else None
    world.announce({"metadata": {"build_key": key, "base": [b.document() for b in prepared.bases]}})
    world.admit()
    known = not plan.commit or (found is not None and found.commit == plan.commit)
    with _beside(None if known else world.check_source):
        if found is None:
            with world.reporter.phase("build"):
                if not plan.allow_rename:
                    # Before anything is uploaded into another's place.
                    store.check_name(plan.job_name)
                built = prepared.build(world.content, earlier)
        else:
            world.reporter.info(
                f"build key {key[:16]} is in {world.content.name}: nothing is built"
            )
            built = _known(plan, store, found)
    world.announce({"metadata": {"built_from_source": list(built_of(built.images))}})
    with world.reporter.phase("record"):
        code = world.archive() if world.archive else None
        return _record(plan, world, store, _Made(key, prepared.bases, built, found, code))


def _look_up(
    plan: LaunchPlan, store: JobStore, key: str
) -> tuple[JobVersion | None, tuple[Manifest, ...]]:
    """A version with this build key; the images of earlier ones, where there may be none."""
    if plan.build.fresh:
        return None, store.previous(plan.previous)
    commit = plan.commit
    if store.met_build(key, commit):
        return store.find_build(key, commit), ()
    with BackgroundCall(lambda: store.previous(plan.previous)) as previous:
        return store.find_build(key), previous.result()


def _known(plan: LaunchPlan, store: JobStore, found: JobVersion) -> Built:
    """What is built already; its document is read only where nothing else tells its Python."""
    if plan.build.builder == "layers":
        return Built(found.images, store.frozen(found))
    document, frozen = store.job_files(found)
    return Built(found.images, frozen, read_job(document, store.content.name).runtime)


@contextmanager
def _beside(work: Callable[[Callable[[], bool]], None] | None) -> Iterator[None]:
    """Do this while the block runs; what it raises is raised at the block's end.

    It is told to stop when the block fails or is interrupted, and has cleaned up then.
    """
    if work is None:
        yield
        return
    stopped: list[bool] = []
    with BackgroundCall(lambda: work(lambda: bool(stopped))) as done:
        try:
            yield
            done.result()
        except BaseException:
            stopped.append(True)
            raise


def _build_key(plan: LaunchPlan, prepared: Prepared) -> str:
    identities = tuple(base.identity for base in prepared.bases)
    return plan.build.build_key((*identities, *prepared.choices))


@dataclass(frozen=True, slots=True)
class _Made:
    key: str
    bases: tuple[BaseRecord, ...]
    built: Built
    found: JobVersion | None  # the version that the images were taken from
    code: Descriptor | None = None  # the archive of a directory's files

    @property
    def cache_hit(self) -> bool:
        return self.found is not None


def _record(plan: LaunchPlan, world: World, store: JobStore, made: _Made) -> Launch:
    document = job_document(plan, made)
    frozen = made.built.frozen
    lines, stored = (b"", frozen) if isinstance(frozen, Descriptor) else (frozen, None)
    version = store.record(
        VersionSpec(
            job_name=plan.job_name,
            remote=plan.remote,
            commit=plan.commit,
            created=_created(plan, made),
            build_key=made.key,
            images=made.built.images,
            files=_files(plan, document.render(), lines, made.code),
            frozen=stored,
            attestations=_attestations(plan, world, store, made),
        ),
        allow_rename=plan.allow_rename,
    ).version
    world.announce(_version_outputs(plan, world, version, cache_hit=made.cache_hit))
    aliases = world.point(store, version, plan)
    world.announce({"tags": list(aliases), "pushed": plan.store.kind == "registry"})
    return Launch(version, document, made.cache_hit, aliases)


def _files(plan: LaunchPlan, document: bytes, frozen: bytes, code: Descriptor | None) -> JobFiles:
    """The job's files; what a recorded version had besides, its build has too."""
    kept = plan.kept
    if kept is None:
        return JobFiles(document, frozen, plan.schema, code)
    return JobFiles(document, frozen, plan.schema or kept.schema, code, kept.patch)


def _types(plan: LaunchPlan) -> dict[str, Any]:
    """W&B's types of inputs and outputs: of a new schema, else as they were recorded."""
    kept = plan.kept
    if kept is None or not kept.input_types:
        return {"input_types": input_types(plan.schema)}
    inputs = input_types(plan.schema) if plan.schema else kept.input_types
    return {"input_types": inputs, "output_types": kept.output_types}


def _source(plan: LaunchPlan, made: _Made) -> GitSource | CodeSource:
    return at_digest(plan.source, made.code.digest) if made.code else plan.source


def _created(plan: LaunchPlan, made: _Made) -> str:
    """A directory has no time of its own: recorded again on another day it is what it was."""
    return made.found.created if made.found and not plan.commit else plan.created


def _attestations(
    plan: LaunchPlan, world: World, store: JobStore, made: _Made
) -> tuple[Descriptor, ...]:
    """What attests the images: made where it is wanted, else what the same recording has."""
    earlier = made.found if made.found and _same(plan, made.found) else None
    if not plan.attest.wanted:
        return earlier.attestations if earlier and plan.attest.open else ()
    # Another commit may have the build key's tag by now.
    if plan.commit and made.found and not (earlier and earlier.attestations):
        named = store.find(Tag(f"sha-{plan.commit}"))
        if named and _same(plan, named) and named.build_key == made.key:
            earlier = named
    from launch_action.core.attesting import Attested, attestations

    frozen = made.built.frozen
    known = Attested(
        images=made.built.images,
        bases=made.bases,
        frozen=read_blob(world.content, frozen) if isinstance(frozen, Descriptor) else frozen,
        build_key=made.key,
        reused=made.cache_hit,
        source=_source(plan, made),
        created=_created(plan, made),
    )
    return attestations(plan, world.content, known, earlier)


def _same(plan: LaunchPlan, version: JobVersion) -> bool:
    """Whether a version is of the plan's job, source and commit."""
    mine = (plan.job_name, plan.remote, plan.commit)
    return mine == (version.job_name, version.remote, version.commit)


def _version_outputs(
    plan: LaunchPlan, world: World, version: JobVersion, *, cache_hit: bool
) -> dict[str, Any]:
    image = image_digest(version)
    return {
        "job": f"{world.content.name}@{version.digest}",
        "job_name": plan.job_name,
        "job_digest": str(version.digest),
        "image": f"{world.content.name}@{image}",
        "digest": str(image),
        "cache_hit": cache_hit,
    }


def image_digest(version: JobVersion) -> str:
    """The digest of the platform's manifest, or of the index where there are several platforms.

    Raises StoreError where nothing was built.
    """
    if not version.images:
        raise StoreError(
            f"job version {version.digest} has no image", hint="build it: launch-action build"
        )
    return str(version.images[0].digest if len(version.images) == 1 else version.digest)


def job_document(plan: LaunchPlan, made: _Made) -> JobDocument:
    """The job document of a plan whose images are known; images are named by digest."""
    build, built, key, bases = plan.build, made.built, made.key, made.bases
    return JobDocument(
        source=_source(plan, made),
        entrypoint=build.entrypoint,
        runtime=built.runtime or build.python.version,
        **_types(plan),
        services=plan.services or (plan.kept.services if plan.kept else {}),
        own={
            "version": 1,
            **({"run": plan.kept.run} if plan.kept and plan.kept.run else {}),
            **({"wandb": dict(plan.kept.wandb)} if plan.kept and plan.kept.wandb else {}),
            "name": plan.job_name,
            "script": plan.script,
            "build_key": key,
            "recipe": build.recipe,
            "builder": build.builder,
            "base": [base.document() for base in bases],
            "dependencies": build.dependencies.main,
            "cutoff": build.cutoff,
            # What another build of the same key may make otherwise.
            "built_from_source": list(built_of(built.images)),
            "images": [
                {"platform": str(image.platform), "digest": str(image.digest)}
                for image in built.images
            ],
        },
    )
