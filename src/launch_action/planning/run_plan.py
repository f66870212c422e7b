"""What the inputs ask of a run: where, with what limits, and the plan that a runner is given."""

from __future__ import annotations

import platform as machine
import secrets
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from launch_action.core.dataclass import dataclass
from launch_action.core.errors import InputError
from launch_action.core.image import Platform
from launch_action.core.inputs import Inputs
from launch_action.core.job_inputs import (
    LaunchConfig,
    merged,
    parse_config,
    parse_settings,
    read_object,
    split_environment,
)
from launch_action.core.resources import (
    ContainerResources,
    container_options,
    read_resources,
)
from launch_action.core.run import Resource, RunPlan, new_run_id
from launch_action.planning.workplace import Running, Workplace

OUTPUT_DIRECTORY = "launch-output"


@dataclass(frozen=True, slots=True)
class RunTarget:
    """Where a job runs, and the platform it runs on there."""

    resource: Resource
    platform: Platform


def check_run(place: Workplace) -> None:
    """Raise what is wrong with what is asked of a run before anything is built.

    InputError for what cannot be; RunError where an engine is asked for and there is none.
    """
    _refuse(place.inputs)
    config = read_config(place.inputs.config)
    run_plan(place, "local-container", Running(lambda _: None, lambda _: None))
    asked = _asked(place.inputs, config)
    if asked == "local-container" or place.inputs.detach:
        _engine_platform()


def run_plan(place: Workplace, resource: Resource, running: Running) -> RunPlan:
    """What the inputs ask of a run; options win over the launch config."""
    inputs = place.inputs
    config = read_config(inputs.config)
    given, names = split_environment(inputs.env)
    run_id = config.run_id or new_run_id(secrets.choice)
    return RunPlan(
        run_id=run_id,
        resource=resource,
        output_directory=str(Path(inputs.output or OUTPUT_DIRECTORY, run_id).absolute()),
        entrypoint=running.entrypoint or config.entrypoint,
        args=(*config.args, *inputs.args),
        name=inputs.name or config.name,
        project=inputs.project or config.project,
        entity=inputs.entity or config.entity,
        environment=given,
        env_names=names,
        timeout=inputs.timeout,
        config=merged(config.run_config, parse_settings(inputs.set)),
        files=config.files,
        artifacts=config.artifacts,
        resources=_resources(place, resource, config),
        untrusted=place.untrusted,
    )


def run_target(place: Workplace) -> RunTarget:
    """Where to run: as asked; else in a container when an engine answers. Raises RunError."""
    _refuse(place.inputs)
    config = read_config(place.inputs.config)
    asked = _asked(place.inputs, config)
    if asked == "local-process":
        return RunTarget(asked, machine_platform())
    if asked == "local-container" or place.inputs.detach:
        found = _engine_platform()
    else:
        from launch_action.engine import engine_available

        engine = engine_available()
        if isinstance(engine, str):
            place.reporter.info(f"runs as a process of this machine: {engine}")
            return RunTarget("local-process", machine_platform())
        place.reporter.info(f"runs in a container: Docker engine {engine.version} answers")
        found = engine.platform
    wanted = _container_resources(place.inputs, config).platform
    return RunTarget("local-container", Platform.parse(wanted) if wanted else found)


def machine_platform() -> Platform:
    """The platform of images that run on this machine."""
    return Platform.parse(f"linux/{machine.machine()}")


@cache
def read_config(text: str) -> LaunchConfig:
    """`--config`: JSON text, or the name of a file. Raises InputError.

    Read once: the file may be a pipe, and what was checked is what is used.
    """
    return (
        parse_config(_text_of(text, "config"), where_given(text, "--config"))
        if text
        else _NO_CONFIG
    )


def read_run_files(inputs: Inputs) -> None:
    """Read `--config` and `--resource-args` now, for all who ask later. Raises InputError."""
    read_config(inputs.config)
    read_resource_args(inputs.resource_args)


_NO_CONFIG = LaunchConfig()


@cache
def read_resource_args(text: str) -> Mapping[str, object]:
    """`--resource-args`: JSON text, or the name of a file. Raises InputError."""
    where = where_given(text, "--resource-args")
    return read_object(_text_of(text, "resource-args"), where) if text else {}


def where_given(text: str, option: str) -> str:
    """What an error calls an input that is JSON text, or the name of a file."""
    return option if text.lstrip().startswith("{") else repr(text)


def _text_of(text: str, name: str) -> str:
    """An input that is JSON text, or names a file. Raises InputError."""
    if text.lstrip().startswith("{"):
        return text
    try:
        return Path(text).read_text("utf-8")
    except (OSError, ValueError) as error:
        why = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise InputError(
            f"input {name!r} cannot be read: {text!r}: {why}",
            hint="name a .json or .yaml file, or give the JSON text itself",
        ) from error


def _resources(place: Workplace, resource: Resource, config: LaunchConfig) -> ContainerResources:
    found = _container_resources(place.inputs, config)
    if resource == "local-container" or found == ContainerResources():
        return found
    place.reporter.warning(
        "local-process has no limits: what is given for local-container is not used"
    )
    return ContainerResources()


def _container_resources(inputs: Inputs, config: LaunchConfig) -> ContainerResources:
    """Of the launch config, and above it of `--resource-args`, which alone may hold volumes."""
    where = where_given(inputs.config, "--config") + ", resource_args"
    options = container_options(config.resource_args, where)
    text = inputs.resource_args
    where = where_given(text, "--resource-args")
    options |= container_options(read_resource_args(text), where, volumes=True)
    return read_resources(options, where)


def _asked(inputs: Inputs, config: LaunchConfig) -> Resource | None:
    match inputs.resource or config.resource:
        case "":
            return None
        case "local-process" | "local-container" as known:
            return known
        case other:
            from launch_action.core.queue_plan import check_without_queue

            check_without_queue(other)
            raise InputError(
                f"a job does not run on {other!r} from here",
                hint="take --resource local-container or local-process",
            )


def _refuse(inputs: Inputs) -> None:
    """Raise InputError for what only a queue has, and for what contradicts itself."""
    if inputs.set_var:
        raise InputError(
            f"--set-var fills in template variables of a queue, and none is named: "
            f"{inputs.set_var[0]!r}",
            hint="give the job its inputs with --set KEY=VALUE",
        )
    if inputs.priority:
        raise InputError(
            f"--priority is for a queue, and none is named: {inputs.priority!r}",
            hint="name one with --queue, or leave --priority away",
        )
    if inputs.service:
        from launch_action.core.services import refuse_services

        refuse_services(inputs.service)
    refuse_detached(inputs)
    if inputs.detach and inputs.resource == "local-process":
        raise InputError(
            "a local process is not left to itself",
            hint="take --resource local-container with --async",
        )


def refuse_detached(inputs: Inputs) -> None:
    """Raise InputError for what nobody would be there to do after `--async`."""
    if inputs.detach and inputs.timeout is not None:
        raise InputError(
            f"nobody is there to end a detached run after {inputs.timeout:g} s",
            hint="leave --timeout or --async away",
        )


def _engine_platform() -> Platform:
    """The platform of the engine's containers. Raises RunError when none answers."""
    from launch_action.engine import connected, engine_facts

    with connected() as engine:
        return engine_facts(engine).platform
