"""Runs a stored job version: its image is read back from the store and given to a runner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from launch_action.builders.layers.image import LIBC, VENV, read_layer
from launch_action.builders.layers.unpack import extract
from launch_action.core.dataclass import replace
from launch_action.core.errors import RunError, StoreError
from launch_action.core.image import Descriptor, Manifest, Platform, parse_object
from launch_action.core.job import ImageSource, JobDocument, read_job
from launch_action.core.launch import Announce
from launch_action.core.ports import Content, read_blob
from launch_action.core.reference import Digest, Reference, Repository
from launch_action.core.run import JobImage, LayerRef, LayerRole, Runner, RunPlan, RunResult
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.launches.wandb_running import caller, run_outputs, with_account
from launch_action.planning.run_plan import RunTarget, run_plan, run_target
from launch_action.planning.workplace import Running, StoredJob, Workplace

if TYPE_CHECKING:
    from launch_action.runners.local_container import LocalContainer


def run_job(job: StoredJob, place: Workplace, running: Running) -> RunResult | None:
    """Run a job version to its end; None when it was started and left to itself (`--async`).

    Raises RunError when it cannot be started, and when what it left cannot be brought here.
    """
    target = run_target(place)
    document, schema = _document(job)
    if isinstance(document.source, ImageSource):
        job = replace(job, content=_content_of(document.source, place), registry=True)
        image = existing_image(document, job.content, target)
    else:
        image = job_image(job, document, target)
    plan = run_plan(place, target.resource, running)
    plan = plan if schema is None else _by_schema(plan, schema, place)
    # An image that was built from a Dockerfile may start something else by itself.
    entrypoint = plan.entrypoint or tuple(document.entrypoint)
    args = plan.args or (document.source.args if isinstance(document.source, ImageSource) else ())
    plan = replace(plan, entrypoint=entrypoint, args=args, job_name=job.version.job_name)
    plan = with_account(plan, job, document, place)
    _warn_of_services(document, place)
    running.announce({"run_id": plan.run_id, "run_status": "running"})
    try:
        if place.inputs.detach:
            _container(job, place, image, running.log).detach(plan, image, place.reporter)
            return None
        runner = _runner(job, place, target, image, running.log)
        result = runner.run(plan, image, place.reporter)
    except Exception:
        running.announce({"run_status": "failed"})
        raise
    except BaseException:
        running.announce({"run_status": "cancelled"})
        raise
    running.announce(run_outputs(plan, result, place))
    _announce_result(result, running.announce)
    return result


def _warn_of_services(document: JobDocument, place: Workplace) -> None:
    """Of a job that came from W&B it was told when it was read."""
    wanted = [name for name, policy in document.services.items() if policy == "always"]
    if wanted and not document.own.get("wandb"):
        place.reporter.warning(
            f"the job's services are an agent's on Kubernetes, and not started here: "
            f"{', '.join(sorted(wanted))[:200]}"
        )


def _by_schema(plan: RunPlan, schema: bytes, place: Workplace) -> RunPlan:
    """The plan with inputs as the job's schema types them. Raises InputError and StoreError."""
    # Imported where it is used: most jobs have no schema.
    from launch_action.core.input_schema import stored_schema
    from launch_action.planning.job_schema import checked_config

    return replace(plan, config=checked_config(place, stored_schema(schema)))


def _announce_result(result: RunResult, announce: Announce) -> None:
    announce(
        {
            "run_status": result.status,
            "run_exit_code": result.exit_code,
            "metrics": dict(result.metrics),
            "metadata": {"run_seconds": round(result.seconds, 3)},
        }
    )
    if result.error:
        raise result.error


def job_image(job: StoredJob, document: JobDocument, target: RunTarget) -> JobImage:
    """What a runner must know of the image for its place.

    Raises StoreError when none was built, RunError when there is none for the place.
    """
    if not job.version.images:
        raise StoreError(
            f"job version {job.version.digest} was recorded and not built yet",
            hint=f"build it: launch-action build {job.content.name}@{job.version.digest}",
        )
    descriptor = image_for(job.version, target)
    manifest = job.content.get_manifest(descriptor.digest)
    if manifest is None:
        raise RunError(
            f"the store lacks image {descriptor.digest} of the job version",
            hint="build it again with `launch-action build`",
        )
    config = parse_object(read_blob(job.content, manifest.config()), "the image's config")
    inner = config.get("config") or {}
    pairs = (str(item).partition("=") for item in inner.get("Env") or ())
    return JobImage(
        platform=descriptor.platform or Platform("linux", str(config.get("architecture"))),
        python=document.runtime,
        entrypoint=tuple(document.entrypoint) or tuple(inner.get("Entrypoint") or ()),
        workdir=str(inner.get("WorkingDir") or "/app"),
        venv=f"/{VENV}",
        environment=tuple((name, value) for name, _, value in pairs),
        layers=_layers(manifest, config),
        libc=_libc(manifest),
        reference=f"{job.content.name}@{descriptor.digest}" if job.registry else "",
        image_id=str(manifest.config().digest),
        manifest=str(manifest.descriptor.digest),
    )


def existing_image(document: JobDocument, content: Content, target: RunTarget) -> JobImage:
    """What a runner must know of an image job's image. Raises RunError where it cannot run it."""
    assert isinstance(document.source, ImageSource)  # noqa: S101  # the caller's condition
    named = Reference.parse(document.source.image)
    if target.resource == "local-process":
        raise RunError(
            f"an image job runs in a container, not as a process: {str(named)!r}",
            hint="start a Docker engine, and leave --resource local-process away",
        )
    manifest = content.get_manifest(named.selector)
    if manifest and manifest.is_index:
        entries = [e for e in manifest.entries() if e.platform]
        fit = [e for e in entries if e.platform and target.platform.accepts(e.platform)]
        manifest = content.get_manifest((fit or entries)[0].digest) if entries else None
    if manifest is None:
        raise RunError(
            f"image {str(named)!r} of the job is not there any more",
            hint="push it again, or record the job of another image",
        )
    config = parse_object(read_blob(content, manifest.config()), "the image's config")
    inner = config.get("config") or {}
    return JobImage(
        platform=Platform("linux", str(config.get("architecture"))),
        entrypoint=document.entrypoint,
        workdir=str(inner.get("WorkingDir") or "/"),
        layers=(),
        reference=f"{named.repository}@{manifest.descriptor.digest}",
        image_id=str(manifest.config().digest),
        manifest=str(manifest.descriptor.digest),
    )


def _content_of(source: ImageSource, place: Workplace) -> Content:
    repository = Reference.parse(source.image).repository
    return place.registries.open(repository, mirrored=True)


def image_for(version: JobVersion, target: RunTarget) -> Descriptor:
    """The image for a platform; for an engine, which may emulate, else the only one there is.

    Raises RunError where there is none.
    """
    for image in version.images:
        if image.platform and target.platform.accepts(image.platform):
            return image
    if target.resource == "local-container" and len(version.images) == 1:
        return version.images[0]
    there = ", ".join(str(image.platform) for image in version.images) or "none"
    raise RunError(
        f"the job version has no image for {target.platform}, where it is to run, "
        f"only for: {there}",
        hint=f"build it with --platform {target.platform}",
    )


def _document(job: StoredJob) -> tuple[JobDocument, bytes | None]:
    """The job document, and the schema of the job's inputs where it has one."""
    files = JobStore(job.content).files(job.version)
    return read_job(files.document, f"{job.content.name}@{job.version.digest}"), files.schema


def _layers(manifest: Manifest, config: Mapping[str, object]) -> tuple[LayerRef, ...]:
    rootfs = config.get("rootfs")
    found = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    diff_ids = [Digest(str(d)) for d in found] if isinstance(found, list) else []
    layers = manifest.layers()
    if len(layers) != len(diff_ids):
        raise RunError(
            f"image {manifest.descriptor.digest}: {len(layers)} layers, {len(diff_ids)} diff ids",
            hint="build it again with `launch-action build`",
        )
    return tuple(
        LayerRef(_role(layer), layer, diff_id)
        for layer, diff_id in zip(layers, diff_ids, strict=True)
    )


def _role(layer: Descriptor) -> LayerRole:
    made = read_layer(layer)
    if made is None or made.role == "base":
        return "base"
    return "code" if made.role == "code" else "dependency"


def _libc(manifest: Manifest) -> Literal["glibc", "musl", ""]:
    match manifest.annotations().get(LIBC, "").partition(" ")[0]:
        case "glibc":
            return "glibc"
        case "musl":
            return "musl"
        case _:
            return ""


def _runner(
    job: StoredJob,
    place: Workplace,
    target: RunTarget,
    image: JobImage,
    log: Callable[[bytes], None],
) -> Runner:
    # Each is imported where it is used: the docker SDK alone costs more than a small run.
    if target.resource == "local-container":
        return _container(job, place, image, log)
    from launch_action.runners.local_process import LocalProcess

    return LocalProcess(
        open_blob=job.content.open_blob,
        extract=extract,
        log=log,
        environment=caller(place),
        cache=place.cache,
    )


def _container(
    job: StoredJob, place: Workplace, image: JobImage, log: Callable[[bytes], None]
) -> LocalContainer:
    from launch_action.runners.local_container import LocalContainer

    return LocalContainer(
        log=log,
        environment=caller(place),
        load=lambda: _archive(job, image),
        login=lambda: _login(job, place),
    )


def _archive(job: StoredJob, image: JobImage) -> Iterator[bytes]:
    from launch_action.oci.archive import docker_archive

    manifest = job.content.get_manifest(image.manifest)
    return docker_archive(job.content, manifest) if manifest else iter(())


def _login(job: StoredJob, place: Workplace) -> dict[str, str]:
    """This machine's login at the job's registry, as the docker SDK takes it; empty for none."""
    found = place.credentials.find(Repository.parse(job.content.name).registry)
    if found is None:
        return {}
    if found.identity_token:
        return {"identitytoken": found.identity_token}
    return {"username": found.username, "password": found.password}
