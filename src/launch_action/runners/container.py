"""A job's container: made with its limits and labels, watched, and removed."""

from __future__ import annotations

import io
import os
import signal
import tarfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import RunError
from launch_action.core.ports import Reporter
from launch_action.core.resources import ContainerResources, Gpus, Volume
from launch_action.core.run import RunPlan, speaks_to_this_machine
from launch_action.engine import engine_errors, explanation
from launch_action.runners.container_log import ContainerLog, asked
from launch_action.runners.owner import this_process

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container
    from docker.types import Mount

# Where the output directory is in the container: a volume of its own.
OUTPUTS = "/launch-output"
RUN_ID = "dev.launch-action.run-id"
OWNER = "dev.launch-action.owner"
# On containers that nobody waits for: their owner is who started them, and comes back for them.
DETACHED = "dev.launch-action.detached"
# Seconds for the end of the log of a container that was killed.
_END = 10.0
# Seconds for an engine to pass a signal on: whoever sends one waits for us to end.
_SIGNAL = 10


@dataclass(slots=True)
class JobContainer:
    """A container of ours; its log is attached before it starts, so that nothing is missed."""

    container: Container
    log: ContainerLog
    # It and its volume stay when the block that made it is left: they hold what is nowhere else.
    keep: bool = field(default=False)

    @property
    def name(self) -> str:
        return str(self.container.name)

    def is_gone(self) -> bool:
        """Whether the engine has removed it, or is about to."""
        from docker.errors import DockerException, NotFound
        from requests.exceptions import RequestException

        try:
            self.container.reload()
        except NotFound:
            return True
        except (DockerException, RequestException):
            return False
        return self.container.status in ("removing", "dead")

    def start(self) -> None:
        """See `start`."""
        start(self.container)

    def output(self) -> Generator[bytes, None, None]:
        """Whole lines: the engine keeps the order within standard output, and within error."""
        return self.log.lines()

    def wait(self) -> int:
        return self.log.exit_code()

    def ended(self) -> bool:
        # Its log ends with it, whoever else holds it open; unless the connection is dead.
        self.log.poll()
        return False

    def signal(self, number: int) -> None:
        _signal(self.container, number)

    def kill(self) -> None:
        try:
            _signal(self.container, signal.SIGKILL)
            self.log.settle(_END)
        except RunError:
            # An engine that does not answer: the log must not be waited for either, nor anything
            # else for long.
            self.log.abandon()
            self.container.client.api.timeout = _SIGNAL  # type: ignore[union-attr]


@contextmanager
def created(
    engine: DockerClient,
    plan: RunPlan,
    image: str,
    environment: Mapping[str, str],
    reporter: Reporter,
) -> Iterator[JobContainer]:
    """A container that is not started yet; removed when the block is left, running or not."""
    container = create(engine, plan, image, environment)
    job: JobContainer | None = None
    try:
        job = JobContainer(container, ContainerLog.attached(container, reporter))
        yield job
    finally:
        if job is None or not job.keep:
            remove(engine, container, plan.run_id, reporter)


def create(
    engine: DockerClient,
    plan: RunPlan,
    image: str,
    environment: Mapping[str, str],
    *,
    detached: bool = False,
) -> Container:
    """Make the container, not started, with an output directory that any user may write to."""
    labels = {RUN_ID: plan.run_id, OWNER: str(this_process())}
    if detached:
        labels[DETACHED] = "true"
    given: dict[str, Any] = {"entrypoint": list(plan.entrypoint)} if plan.entrypoint else {}
    if speaks_to_this_machine(environment):
        # As W&B Launch does it: in a network of its own `localhost` would be the container.
        given["network_mode"] = "host"
    with engine_errors("the engine cannot make the job's container", hint="check --resource-args"):
        container = engine.containers.create(
            image,
            command=list(plan.args) or None,
            environment=dict(environment),
            labels=labels,
            mounts=[_outputs(labels), *(_bind(engine, one) for one in plan.resources.volumes)],
            # No init in front of the job, as in a pod: it would hide that a job cannot be started.
            # The price: a first process without a handler for SIGTERM ends only when killed.
            # Docker's own configuration would add proxies, with their passwords.
            use_config_proxy=False,
            **{"name": f"launch-{plan.run_id}", **limits(plan.resources)},
            **given,
        )
        try:
            container.put_archive("/", _prepared(plan, environment))
        except BaseException:
            container.remove(force=True, v=True)
            raise
    return container


def start(container: Container) -> None:
    """Start a container. Raises RunError: most often the image has no such program."""
    with engine_errors(
        "the job cannot be started",
        hint="check --entry-point, whose first word is a program of the image, and --resource-args",
    ):
        container.start()


def limits(resources: ContainerResources) -> dict[str, Any]:
    """A container's limits as arguments of the docker SDK."""
    from docker.types import Ulimit

    named = {
        "nano_cpus": resources.nano_cpus,
        "cpu_shares": resources.cpu_shares,
        "cpu_period": resources.cpu_period,
        "cpu_quota": resources.cpu_quota,
        "cpuset_cpus": resources.cpuset_cpus,
        "cpuset_mems": resources.cpuset_mems,
        "mem_limit": resources.memory,
        "mem_reservation": resources.memory_reservation,
        "memswap_limit": resources.memory_swap,
        "shm_size": resources.shm_size,
        "pids_limit": resources.pids_limit,
        "name": resources.name,
        "platform": resources.platform,
        "working_dir": resources.workdir,
        "ulimits": [Ulimit(name=u.name, soft=u.soft, hard=u.hard) for u in resources.ulimits],
        "device_requests": [_gpus(resources.gpus)] if resources.gpus else [],
    }
    return {name: value for name, value in named.items() if value not in (None, "", [])}


def remove(engine: DockerClient, container: Container, run_id: str, reporter: Reporter) -> None:
    """Remove a container, running or not, with its output volume; a failure is a warning."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        if _removed(container):
            return
        # Somebody else removes it; the volume that it had may stay.
        for volume in engine.volumes.list(filters={"label": f"{RUN_ID}={run_id}"}):
            with suppress(APIError):
                volume.remove(force=True)
    except (DockerException, RequestException) as error:
        reporter.warning(
            f"the container {container.name} cannot be removed: {explanation(error)}; "
            f"do it with `docker rm -f -v {container.name}`"
        )


def _removed(container: Container) -> bool:
    """Remove a container; False when it is gone by itself, or by somebody else."""
    from docker.errors import APIError, NotFound

    try:
        container.remove(force=True, v=True)
    except NotFound:
        return False
    except APIError as error:
        if error.status_code != HTTPStatus.CONFLICT:
            raise
        # It is being removed just now.
        with suppress(NotFound):
            container.wait(condition="removed", timeout=_SIGNAL)
        return False
    return True


def _outputs(labels: Mapping[str, str]) -> Mount:
    """A nameless volume: it comes and goes with its container, whoever removes that."""
    from docker.types import Mount

    return Mount(OUTPUTS, None, type="volume", labels=dict(labels))


def _bind(engine: DockerClient, volume: Volume) -> Mount:
    from docker.types import Mount

    if "/" not in volume.source and not volume.source.startswith("."):
        return Mount(volume.target, volume.source, type="volume", read_only=volume.read_only)
    from launch_action.runners.host_paths import engine_path

    source = engine_path(engine, os.path.abspath(volume.source))  # noqa: PTH100  # resolves ".."
    return Mount(volume.target, source, type="bind", read_only=volume.read_only)


def _gpus(wanted: Gpus) -> Any:
    from docker.types import DeviceRequest

    return DeviceRequest(
        driver=wanted.driver,
        count=wanted.count,
        device_ids=list(wanted.devices),
        capabilities=[["gpu", *wanted.capabilities]],
    )


def _prepared(plan: RunPlan, environment: Mapping[str, str]) -> bytes:
    """An archive that lets anybody write to the output directory: the image's user may be anyone.

    Unpacked at the root, for an engine leaves the directory itself as it is that it unpacks into.
    Where W&B's SDK has to write paths down that are right when the job has ended, the directory is
    also found by the path that it will have then.
    """
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(OUTPUTS.strip("/"))
        entry.type, entry.mode = tarfile.DIRTYPE, 0o777
        archive.addfile(entry)
        later = plan.output_directory
        if environment.get("WANDB_DATA_DIR", "").startswith(f"{later}/") and later != OUTPUTS:
            link = tarfile.TarInfo(later.strip("/"))
            link.type, link.linkname = tarfile.SYMTYPE, OUTPUTS
            archive.addfile(link)
    return out.getvalue()


def _signal(container: Container, number: int) -> None:
    # Whatever the engine answers: what is gone or has ended by itself has no need of it.
    with engine_errors("the engine lost the job"):
        asked(container, "kill", post=True, params={"signal": number}, timeout=_SIGNAL)
