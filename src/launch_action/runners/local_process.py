"""Run a job as a process of this machine: its own dependencies and code, and no isolation."""

from __future__ import annotations

import os
import select
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from launch_action.cache import Cache
from launch_action.core.dataclass import dataclass, field
from launch_action.core.errors import RunError
from launch_action.core.image import Platform
from launch_action.core.ports import Reporter
from launch_action.core.run import JobImage, RunPlan, RunResult, job_environment, missing_names
from launch_action.runners.command import RunDirectory
from launch_action.runners.interpreter import find_interpreter
from launch_action.runners.leftovers import end_all
from launch_action.runners.log import LogFile, follow
from launch_action.runners.outputs import LOG, collect_metrics, output_directory
from launch_action.runners.relocate import relocate
from launch_action.runners.supervise import GRACE, interruption, supervise
from launch_action.runners.unpack import Extract, OpenBlob, Unpacking

_READ = 64 * 1024
_TICK_MS = 100
# What a pipe can hold at most, by default limits: more than that after the end is not the job's.
_PIPE = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalProcess:
    """The runner `local-process`.

    `open_blob` opens a layer of the job's store; `extract(chunks, directory)` unpacks one. `log`
    gets the job's output, line by line. `environment` is the caller's, for `--env NAME`.
    `directory` is where run directories are made (default: the temporary directory); with `keep`
    they stay. `download` allows uv to fetch a Python. `grace` seconds pass between asking a job to
    end and killing it.
    """

    open_blob: OpenBlob
    extract: Extract
    log: Callable[[bytes], None]
    environment: Mapping[str, str] = field(repr=False)
    cache: Cache | None = None
    directory: Path | None = None
    download: bool = True
    keep: bool = False
    grace: float = GRACE

    def run(self, plan: RunPlan, image: JobImage, reporter: Reporter) -> RunResult:
        """See `Runner.run`."""
        _check(plan, image)
        reporter.warning(
            "local-process isolates nothing: the job may do on this machine all that you may do"
        )
        for name in missing_names(plan, self.environment):
            reporter.warning(f"--env {name}: no such variable here, the job does not get it")
        with self._run_directory(plan, image, reporter) as place:
            unpacking = self._prepare(place, reporter)
            with output_directory(plan.output_directory) as outputs:
                result = self._run(plan, place, outputs, reporter)
            unpacking.keep(image, place.root)
            return result

    def _prepare(self, place: RunDirectory, reporter: Reporter) -> Unpacking:
        downloads = self.cache if self.download else None
        image = place.image
        python = find_interpreter(image.python, libc=image.libc, downloads=downloads)
        reporter.info(f"Python {python.version} ({python.executable})")
        unpacking = Unpacking(open_blob=self.open_blob, extract=self.extract, cache=self.cache)
        with reporter.phase("unpack"), _no_space(place.path):
            unpacking.unpack(image, place.root)
            relocate(place.venv, image.venv, python)
            for needed in (place.workdir, place.home, place.temporary):
                needed.mkdir(parents=True, exist_ok=True)
        return unpacking

    def _run(
        self, plan: RunPlan, place: RunDirectory, outputs: Path, reporter: Reporter
    ) -> RunResult:
        environment = place.variables() | job_environment(
            plan, caller=self.environment, image=place.image_variables(), outputs=str(outputs)
        )
        command = place.command(plan, environment)
        with (
            reporter.phase("run"),
            interruption() as noted,
            _started(command, place.workdir, environment) as job,
        ):
            log = partial(follow, log=self.log, file=LogFile(outputs / LOG, reporter))
            ended = supervise(job, noted, follow=log, timeout=plan.timeout, grace=self.grace)
        metrics = collect_metrics(outputs, plan.run_id, reporter)
        return ended.result(plan, metrics, outputs)

    @contextmanager
    def _run_directory(
        self, plan: RunPlan, image: JobImage, reporter: Reporter
    ) -> Iterator[RunDirectory]:
        # mkdtemp makes it for this user alone (0700).
        with _no_space(self.directory or Path(tempfile.gettempdir())):
            path = Path(tempfile.mkdtemp(prefix=f"launch-{plan.run_id}-", dir=self.directory))
        try:
            yield RunDirectory(path.resolve(), image)
        finally:
            if self.keep:
                reporter.info(f"the run directory is kept: {path}")
            else:
                _remove(path, reporter)


@dataclass(slots=True)
class _Process:
    """A job that is the leader of a session of its own."""

    child: subprocess.Popen[bytes]
    mark: bytes
    _stopped: bool = False

    def output(self) -> Generator[bytes, None, None]:
        assert self.child.stdout  # noqa: S101 - it is a pipe, see _start
        handle = self.child.stdout.fileno()
        # Not select.select: it knows no descriptor above 1023.
        ready = select.poll()
        ready.register(handle, select.POLLIN)
        left = _PIPE
        while left > 0:
            if ready.poll(_TICK_MS):
                data = os.read(handle, _READ)
                if not data:
                    return
                left -= len(data) if self._stopped else 0
                yield data
            elif self._stopped:
                return

    def wait(self) -> int:
        # Not reaped before everything of its session is ended, so that its id stays its own.
        found = os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOWAIT)
        assert found  # noqa: S101 - None is for WNOHANG
        return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status

    def ended(self) -> bool:
        options = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self.child.pid, options) is not None

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.child.pid, number)

    def kill(self) -> None:
        end_all(self.child.pid, self.mark)
        self._stopped = True


@contextmanager
def _started(
    command: list[str], directory: Path, environment: Mapping[str, str]
) -> Iterator[_Process]:
    """Start a job in a session of its own, without input; it is reaped when the block is left.

    The block must have ended it.
    """
    try:
        child = subprocess.Popen(
            command,
            cwd=directory,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise RunError(
            f"the entry point {command[0]!r} cannot be started: {error}",
            hint="a script needs a first line that names its interpreter, or 'python' before it",
        ) from error
    mark = f"LAUNCH_OUTPUT_DIR={environment['LAUNCH_OUTPUT_DIR']}"
    try:
        yield _Process(child, mark.encode("utf-8", "surrogateescape"))
    finally:
        child.wait()
        if child.stdout:
            child.stdout.close()


def _check(plan: RunPlan, image: JobImage) -> None:
    """Refuse what cannot be run as a process here. Raises RunError."""
    if plan.untrusted:
        raise RunError(
            "local-process is refused for an event that outsiders can cause",
            hint="it isolates nothing; use --resource local-container",
        )
    found = os.uname()
    machine = Platform.parse(f"{found.sysname}/{found.machine}")
    if not machine.accepts(image.platform):
        raise RunError(
            f"the job's image is for {image.platform}, this machine is {machine}",
            hint=f"build with --platform {machine}, or run it where that image runs",
        )
    if not image.python:
        raise RunError(
            "the job's image is not one that this program made",
            hint="local-process needs its layers; use --resource local-container",
        )


@contextmanager
def _no_space(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RunError(
            f"cannot unpack the job into {str(place)!r}: {error}",
            hint="make room there, or set TMPDIR to a directory with room",
        ) from error


def _remove(path: Path, reporter: Reporter) -> None:
    """Remove a run directory, also what the job has made read-only."""
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        for folder, _, _ in os.walk(path):
            with suppress(OSError):
                Path(folder).chmod(stat.S_IRWXU)
        shutil.rmtree(path, ignore_errors=True)
    if path.exists():
        reporter.warning(f"the run directory cannot be removed: {path}")
