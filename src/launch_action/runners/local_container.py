"""Run a job as a container of a Docker engine, which may be another machine's, through its API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from launch_action.core.dataclass import dataclass, field, replace
from launch_action.core.errors import InputError, RunError
from launch_action.core.image import OCI_LAYER_ZSTD
from launch_action.core.ports import Reporter
from launch_action.core.run import (
    JobImage,
    RunPlan,
    RunResult,
    job_environment,
    missing_names,
    speaks_to_this_machine,
)
from launch_action.engine import ZSTD_SINCE, EngineFacts, connected, engine_facts
from launch_action.runners.container import OUTPUTS, JobContainer, create, created, remove, start
from launch_action.runners.container_outputs import Collection
from launch_action.runners.engine_image import Load, Login, provide_image
from launch_action.runners.engine_leftovers import sweep
from launch_action.runners.log import LogFile, follow
from launch_action.runners.outputs import LOG, collect_metrics, output_directory
from launch_action.runners.supervise import GRACE, Ended, Interruption, interruption, supervise

if TYPE_CHECKING:
    from docker import DockerClient


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalContainer:
    """The runner `local-container`.

    The image is pulled by digest (`JobImage.reference`), with what `login` gives; without a
    reference, or where the engine cannot pull it, it is loaded from `load`, which yields an archive
    that `docker load` reads. `log` gets the job's output, line by line. `environment` is the
    caller's, for `--env NAME`. `grace` seconds pass between asking a job to end and killing it.
    """

    log: Callable[[bytes], None]
    environment: Mapping[str, str] = field(repr=False)
    load: Load | None = None
    login: Login = dict
    grace: float = GRACE

    def run(self, plan: RunPlan, image: JobImage, reporter: Reporter) -> RunResult:
        """See `Runner.run`."""
        with connected() as engine:
            name = self._prepare(engine, plan, image, reporter)
            with output_directory(plan.output_directory) as outputs:
                environment = self._environment(plan, image)
                with (
                    interruption() as noted,
                    created(engine, plan, name, environment, reporter) as job,
                ):
                    ended = self._run(plan, job, noted, outputs, reporter)
                    with reporter.phase("outputs"):
                        ended, error = Collection(job, outputs, noted, reporter).collect(ended)
        metrics = collect_metrics(outputs, plan.run_id, reporter)
        return replace(ended.result(plan, metrics, outputs), error=error)

    def detach(self, plan: RunPlan, image: JobImage, reporter: Reporter) -> None:
        """Start the job and leave it to itself, in a container that has the run's id as a label.

        Raises InputError for a plan with a timeout, RunError where the engine does not start it.
        """
        if plan.timeout is not None:
            raise InputError(
                f"nobody is there to end a detached run after {plan.timeout:g} s",
                hint="leave --timeout or --async away, or let the job end itself",
            )
        with connected() as engine:
            name = self._prepare(engine, plan, image, reporter)
            container = create(engine, plan, name, self._environment(plan, image), detached=True)
            try:
                start(container)
            except BaseException:
                remove(engine, container, plan.run_id, reporter)
                raise
            named = container.name
        reporter.info(f"its log:     docker logs -f {named}")
        reporter.info(f"its output:  docker cp {named}:{OUTPUTS} {plan.output_directory}")
        reporter.info(f"to end it:   docker rm -f -v {named}")

    def _prepare(
        self, engine: DockerClient, plan: RunPlan, image: JobImage, reporter: Reporter
    ) -> str:
        """Sweep what others left, and see that the engine has the image; its name there."""
        for name in missing_names(plan, self.environment):
            reporter.warning(f"--env {name}: no such variable here, the job does not get it")
        facts = engine_facts(engine)
        _check(plan, image, facts, reporter)
        self._tell_network(plan, image, facts, reporter)
        sweep(engine, reporter)
        with reporter.phase("pull"):
            return provide_image(engine, image, self.load, self.login, reporter)

    def _tell_network(
        self, plan: RunPlan, image: JobImage, engine: EngineFacts, reporter: Reporter
    ) -> None:
        environment = self._environment(plan, image)
        if not speaks_to_this_machine(environment):
            return
        url = environment["WANDB_BASE_URL"]
        if engine.remote:
            reporter.warning(
                f"W&B at {url} is meant by this machine's name of itself, and the job's container "
                f"runs on another, {engine.address}: set WANDB_BASE_URL to an address both reach"
            )
        else:
            reporter.info(f"the container has this machine's network, to reach W&B at {url}")

    def _environment(self, plan: RunPlan, image: JobImage) -> dict[str, str]:
        return job_environment(
            plan,
            caller=self.environment,
            image={},
            outputs=OUTPUTS,
            kept=plan.output_directory,
            docker=image.reference,
        )

    def _run(
        self,
        plan: RunPlan,
        job: JobContainer,
        noted: Interruption,
        outputs: Path,
        reporter: Reporter,
    ) -> Ended:
        with reporter.phase("run"):
            job.start()
            log = partial(follow, log=self.log, file=LogFile(outputs / LOG, reporter))
            return supervise(job, noted, follow=log, timeout=plan.timeout, grace=self.grace)


def _check(plan: RunPlan, image: JobImage, engine: EngineFacts, reporter: Reporter) -> None:
    """Refuse what this engine cannot run, or this event must not. Raises RunError."""
    if engine.platform.os != image.platform.os:
        raise RunError(
            f"the job's image is for {image.platform}, the engine runs {engine.platform}",
            hint=f"build with --platform {engine.platform}",
        )
    if not engine.platform.accepts(image.platform):
        reporter.warning(
            f"the job's image is for {image.platform}, the engine runs {engine.platform}: "
            "it starts where the engine can emulate that"
        )
    check_layers(image, engine)
    volumes = ", ".join(volume.source for volume in plan.resources.volumes)
    if volumes and plan.untrusted:
        raise RunError(
            f"volumes are refused for an event that outsiders can cause: {volumes}",
            hint="leave them out of --resource-args",
        )
    if volumes and engine.remote:
        reporter.warning(f"volumes are those of the engine's machine, {engine.address}: {volumes}")


def check_layers(image: JobImage, engine: EngineFacts) -> None:
    """Raise RunError for layers that an engine would find out it cannot unpack after a pull."""
    zstd = any(layer.descriptor.media_type == OCI_LAYER_ZSTD for layer in image.layers)
    if zstd and not engine.takes_zstd:
        raise RunError(
            f"the job's image has zstd layers, which Docker {engine.version} does not unpack",
            hint=f"use Docker {ZSTD_SINCE} or later, --resource local-process, "
            "or build with --compression gzip",
        )
