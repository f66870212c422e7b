"""Runs a stored job version: its image is read back from the store and given to a runner."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from launch_action.builders.layers.image import LIBC, VENV, read_layer
from launch_action.builders.layers.unpack import extract
from launch_action.core.errors import InputError, RunError
from launch_action.core.image import Descriptor, Manifest, Platform, parse_object
from launch_action.core.inputs import Inputs
from launch_action.core.job import JobDocument, read_job
from launch_action.core.job_inputs import (
    LaunchConfig,
    merged,
    parse_config,
    parse_settings,
    split_environment,
)
from launch_action.core.ports import Reporter, read_blob
from launch_action.core.reference import Digest
from launch_action.core.run import (
    JobImage,
    LayerRef,
    LayerRole,
    Resource,
    Runner,
    RunPlan,
    RunResult,
    new_run_id,
)
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.wiring import Running, StoredJob, Workplace

OUTPUT_DIRECTORY = "launch-output"


def run_job(job: StoredJob, place: Workplace, running: Running) -> RunResult:
    """Run a job version to its end. Raises RunError when it cannot be started."""
    image = job_image(job)
    resource = _resource(place.inputs, place.reporter)
    plan = run_plan(place, resource, running)
    announce = running.announce
    announce({"run_id": plan.run_id, "run_status": "running"})
    result = _runner(job, place, resource, image, running.log).run(plan, image, place.reporter)
    announce(
        {
            "run_status": result.status,
            "run_exit_code": result.exit_code,
            "metrics": dict(result.metrics),
        }
    )
    return result


def check_run(place: Workplace) -> None:
    """Raise InputError for what is asked of a run and cannot be, before anything is built."""
    run_plan(place, "local-process", Running(lambda _: None, lambda _: None))


def run_plan(place: Workplace, resource: Resource, running: Running) -> RunPlan:
    """What the inputs ask of a run; `--set` wins over the launch config."""
    inputs = place.inputs
    config = read_config(inputs.config)
    given, names = split_environment(inputs.env)
    run_id = new_run_id(secrets.choice)
    return RunPlan(
        run_id=run_id,
        resource=resource,
        output_directory=str(Path(OUTPUT_DIRECTORY, run_id).absolute()),
        entrypoint=running.entrypoint or config.entrypoint,
        args=config.args,
        name=inputs.name or config.name,
        project=inputs.project or config.project,
        entity=inputs.entity or config.entity,
        environment=given,
        env_names=names,
        timeout=inputs.timeout,
        config=merged(config.run_config, parse_settings(inputs.set)),
        untrusted=place.untrusted,
    )


@cache
def read_config(text: str) -> LaunchConfig:
    """`--config`: JSON text, or the name of a file. Raises InputError.

    Read once: the file may be a pipe, and what was checked is what is used.
    """
    if not text:
        return LaunchConfig()
    if text.lstrip().startswith("{"):
        return parse_config(text, "--config")
    try:
        return parse_config(Path(text).read_text("utf-8"), repr(text))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"input 'config' cannot be read: {text!r}: {error}",
            hint="name a .json or .yaml file, or give the JSON text itself",
        ) from error


def job_image(job: StoredJob) -> JobImage:
    """What a runner must know of the image for this machine. Raises RunError when there is none."""
    document = _document(job)
    descriptor = _for_machine(job.version)
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
    )


def _for_machine(version: JobVersion) -> Descriptor:
    import platform as machine

    here = Platform.parse(f"linux/{machine.machine()}")
    for image in version.images:
        if image.platform and image.platform.accepts(here):
            return image
    there = ", ".join(str(image.platform) for image in version.images) or "none"
    raise RunError(
        f"the job version has no image for {here}, this machine's platform, only for: {there}",
        hint=f"build it with --platform {here}",
    )


def _document(job: StoredJob) -> JobDocument:
    data, _ = JobStore(job.content).job_files(job.version)
    return read_job(data, f"{job.content.name}@{job.version.digest}")


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


def _resource(inputs: Inputs, reporter: Reporter) -> Resource:
    """Where to run: as asked; else in a container when an engine answers."""
    if inputs.resource == "local-process":
        return "local-process"
    if inputs.resource == "local-container":
        return "local-container"
    from launch_action.runners.local_container import engine_available

    engine = engine_available()
    if isinstance(engine, str):
        reporter.info(f"runs as a process of this machine: {engine}")
        return "local-process"
    reporter.info(f"runs in a container: Docker engine {engine.version} answers")
    return "local-container"


def _runner(
    job: StoredJob,
    place: Workplace,
    resource: Resource,
    image: JobImage,
    log: Callable[[bytes], None],
) -> Runner:
    # Each is imported where it is used: the docker SDK alone costs more than a small run.
    if resource == "local-process":
        from launch_action.runners.local_process import LocalProcess

        return LocalProcess(
            open_blob=job.content.open_blob,
            extract=extract,
            log=log,
            environment=place.environment,
            cache=place.cache,
        )
    from launch_action.runners.local_container import LocalContainer

    return LocalContainer(
        log=log,
        environment=place.environment,
        load=None if image.reference else lambda: _archive(job),
        credentials=_credentials(place.inputs),
    )


def _archive(job: StoredJob) -> Iterator[bytes]:
    from launch_action.oci.archive import docker_archive

    manifest = job.content.get_manifest(_for_machine(job.version).digest)
    return docker_archive(job.content, manifest) if manifest else iter(())


def _credentials(inputs: Inputs) -> tuple[str, str] | None:
    if not inputs.registry_password:
        return None
    return inputs.registry_username, inputs.registry_password
