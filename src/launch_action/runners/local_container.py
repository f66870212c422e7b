"""Run a job as a container of the machine's Docker engine, through its API."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import RunError
from launch_action.core.image import Platform
from launch_action.core.ports import Reporter
from launch_action.core.run import JobImage, RunPlan, RunResult, job_environment, missing_names
from launch_action.runners.log import Lines, LogFile, follow
from launch_action.runners.outputs import LOG, collect_metrics, output_directory
from launch_action.runners.supervise import GRACE, interruption, supervise

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

# Where the output directory is mounted in the container.
OUTPUTS = "/launch-output"
LABEL = "dev.launch-action.run-id"
# Seconds for an answer of the engine; what lasts (a pull, a load, the log) is streamed.
_ANSWER = 60
_PROBE = 5


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """A Docker engine: its address and version, and the platform its containers run on.

    `remote` engines do not see this machine's directories.
    """

    address: str
    version: str
    platform: Platform
    remote: bool


def engine_available() -> EngineFacts | str:
    """The engine that $DOCKER_HOST names, else the machine's; or why there is none."""
    try:
        with _client(_PROBE) as engine:
            return _facts(engine)
    except RunError as error:
        return error.message


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalContainer:
    """The runner `local-container`.

    The image is pulled by digest (`JobImage.reference`), with `credentials` (user, password) or
    those of Docker's own configuration; without a reference it is loaded from `load`, which yields
    an archive that `docker load` reads, unless the engine has it by `image_id`. `log` gets the
    job's output, line by line. `environment` is the caller's, for `--env NAME`. `grace` seconds
    pass between asking a job to end and killing it.
    """

    log: Callable[[bytes], None]
    environment: Mapping[str, str] = field(repr=False)
    load: Callable[[], Iterator[bytes]] | None = None
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    grace: float = GRACE

    def run(self, plan: RunPlan, image: JobImage, reporter: Reporter) -> RunResult:
        """See `Runner.run`."""
        for name in missing_names(plan, self.environment):
            reporter.warning(f"--env {name}: no such variable here, the job does not get it")
        with _client(_ANSWER) as engine:
            facts = _facts(engine)
            _check(image, facts, reporter)
            with reporter.phase("pull"):
                name = self._image(engine, image)
            with output_directory(plan.output_directory) as outputs, _writable(outputs):
                return self._run(plan, engine, name, outputs, reporter)

    def _image(self, engine: DockerClient, image: JobImage) -> str:
        """The image's name in the engine, where it is put first if it is missing."""
        for name in filter(None, (image.image_id, image.reference)):
            if _has(engine, name):
                return name
        if image.reference:
            return self._pull(engine, image)
        if not self.load or not image.image_id:
            raise RunError(
                "the job's image is in no registry and cannot be loaded",
                hint="build it again with --image REPOSITORY",
            )
        with _engine_errors("the engine cannot load the job's image"):
            named = _load(engine, self.load())
        # An image's id is the digest of its config, which names its layers by digest: found by
        # that, what was loaded is what was meant. An engine with containerd's store has other ids.
        return image.image_id if _has(engine, image.image_id) else named

    def _pull(self, engine: DockerClient, image: JobImage) -> str:
        credentials = self.credentials
        login = {"username": credentials[0], "password": credentials[1]} if credentials else None
        with _engine_errors(f"the engine cannot pull {image.reference}"):
            engine.images.pull(image.reference, platform=str(image.platform), auth_config=login)
        return image.reference

    def _run(
        self, plan: RunPlan, engine: DockerClient, image: str, outputs: Path, reporter: Reporter
    ) -> RunResult:
        environment = job_environment(plan, caller=self.environment, image={}, outputs=OUTPUTS)
        with (
            reporter.phase("run"),
            interruption() as noted,
            _created(engine, plan, image, environment, outputs) as job,
        ):
            job.start()
            log = partial(follow, log=self.log, file=LogFile(outputs / LOG, reporter))
            ended = supervise(job, noted, follow=log, timeout=plan.timeout, grace=self.grace)
        metrics = collect_metrics(outputs, plan.run_id, reporter)
        return ended.result(plan, metrics, outputs)


@dataclass(slots=True)
class _Job:
    """A container of ours; its log is attached before it starts, so that nothing is missed."""

    container: Container
    log: Iterator[tuple[bytes | None, bytes | None]]

    def start(self) -> None:
        with _engine_errors("the job cannot be started"):
            self.container.start()

    def output(self) -> Iterator[bytes]:
        """Whole lines: the engine keeps the order within standard output, and within error."""
        ready: list[bytes] = []
        streams = (Lines(ready.append), Lines(ready.append))
        for parts in self.log:
            for lines, part in zip(streams, parts, strict=True):
                lines.feed(part or b"")
            yield from ready
            ready.clear()
        for lines in streams:
            lines.close()
        yield from ready

    def wait(self) -> int:
        with _engine_errors("the engine lost the job"):
            return int(self.container.wait()["StatusCode"])

    def ended(self) -> bool:
        # The log ends with the container, whoever else holds it open.
        return False

    def signal(self, number: int) -> None:
        _signal(self.container, number)

    def kill(self) -> None:
        _signal(self.container, signal.SIGKILL)


@contextmanager
def _created(
    engine: DockerClient, plan: RunPlan, image: str, environment: Mapping[str, str], outputs: Path
) -> Iterator[_Job]:
    """A container that is not started yet; removed when the block is left, running or not."""
    from docker.types import Mount

    given: dict[str, Any] = {"entrypoint": list(plan.entrypoint)} if plan.entrypoint else {}
    with _engine_errors("the engine cannot make the job's container"):
        container = engine.containers.create(
            image,
            command=list(plan.args) or None,
            environment=dict(environment),
            labels={LABEL: plan.run_id},
            mounts=[Mount(OUTPUTS, str(outputs), type="bind")],
            # No init in front of the job, as in a pod: it would hide that a job cannot be started.
            # The price: a first process without a handler for SIGTERM ends only when killed.
            # Docker's own configuration would add proxies, with their passwords.
            use_config_proxy=False,
            **given,
        )
    try:
        with _engine_errors("the engine does not give the job's log"):
            log = container.attach(stdout=True, stderr=True, stream=True, demux=True)
        yield _Job(container, log)
    finally:
        with _engine_errors("the engine cannot remove the job's container"):
            _remove(container)


def _load(engine: DockerClient, archive: Iterator[bytes]) -> str:
    """Load an image; the name that the engine gives it. Raises RunError."""
    named = said = ""
    # Not quiet: without progress a long load would look like an engine that does not answer.
    for message in engine.api.load_image(archive, quiet=False):  # type: ignore[no-untyped-call]
        said = str(message.get("error") or said)
        if found := re.match(r"Loaded image(?: ID)?: (\S+)", str(message.get("stream") or "")):
            named = found[1]
    if not named:
        raise RunError(
            f"the engine cannot load the job's image: {said or 'no image in the archive'}",
            hint="build it again; docker 20.10 and later load what is built here",
        )
    return named


def _signal(container: Container, number: int) -> None:
    from docker.errors import APIError

    # 404 and 409: it is gone or has ended by itself.
    with _engine_errors("the engine lost the job"), suppress(APIError):
        container.kill(signal=number)


def _remove(container: Container) -> None:
    from docker.errors import NotFound

    with suppress(NotFound):
        container.remove(force=True, v=True)


def _has(engine: DockerClient, name: str) -> bool:
    from docker.errors import ImageNotFound

    with _engine_errors(f"the engine does not say whether it has {name}"), suppress(ImageNotFound):
        engine.images.get(name)
        return True
    return False


@contextmanager
def _client(timeout: int) -> Iterator[DockerClient]:
    import docker

    with _engine_errors("no Docker engine", hint="start one, or use --resource local-process"):
        engine = docker.from_env(timeout=timeout)
    try:
        yield engine
    finally:
        engine.close()


def _facts(engine: DockerClient) -> EngineFacts:
    with _engine_errors("no Docker engine", hint="start one, or use --resource local-process"):
        found = engine.version()
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    platform = Platform.parse(f"{found.get('Os', 'linux')}/{found.get('Arch', 'unknown')}")
    remote = not address.startswith(("unix:", "npipe:"))
    return EngineFacts(address, str(found.get("Version", "")), platform, remote)


def _check(image: JobImage, engine: EngineFacts, reporter: Reporter) -> None:
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
    if engine.remote:
        reporter.warning(
            f"the engine at {engine.address} does not see this machine's directories: "
            "what the job leaves stays there"
        )


@contextmanager
def _writable(outputs: Path) -> Iterator[None]:
    """Let the image's user, whoever that is, write there for as long as the job runs."""
    outputs.chmod(0o777)
    try:
        yield
    finally:
        with suppress(OSError):
            outputs.chmod(0o755)


@contextmanager
def _engine_errors(what: str, hint: str = "see the engine's own log") -> Iterator[None]:
    """Turn what the engine or the way to it says into a RunError."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    try:
        yield
    except (DockerException, RequestException) as error:
        said = error.explanation if isinstance(error, APIError) and error.explanation else error
        raise RunError(f"{what}: {' '.join(str(said).split())[:500]}", hint=hint) from error
