"""A container whose engine, connection or owner goes away, and one that somebody else removes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.engine_proxy import EngineProxy, engine_proxy
from support.jobs import eventually
from support.runners import ContainerBench, Told, container_image, running_containers

from launch_action.core.errors import RunError
from launch_action.engine import connected
from launch_action.runners import container_log, engine_leftovers
from launch_action.runners.container import OWNER
from launch_action.runners.owner import this_process

pytestmark = pytest.mark.engine

COUNTS = b"""\
echo out 0; echo err 0 >&2
i=1; while [ $i -le 40 ]; do echo out $i; echo err $i >&2; i=$((i+1)); sleep 0.05; done
"""
WAITS = b"echo started; while :; do sleep 0.05; done"


@pytest.fixture
def bench(tmp_path: Path) -> ContainerBench:
    return ContainerBench(tmp_path)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[EngineProxy]:
    """The engine behind a proxy, for what the runner does; `docker` speaks to it directly."""
    with engine_proxy() as made:
        real = connected

        def through(timeout: int = 60) -> object:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("DOCKER_HOST", made.address)
                found = real(timeout)
                return _Entered(found, found.__enter__())

        monkeypatch.setattr("launch_action.runners.local_container.connected", through)
        yield made


class _Entered:
    """A context that was entered already: with the environment of that moment."""

    def __init__(self, context: object, value: object) -> None:
        self._context, self._value = context, value

    def __enter__(self) -> object:
        return self._value

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(None, None, None)  # type: ignore[attr-defined]


def when_started(bench: ContainerBench, call: Callable[[], object]) -> threading.Thread:
    """Do something as soon as the job has said its first word."""

    def wait() -> None:
        if eventually(lambda: bool(bench.log), 30):
            call()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def rows(bench: ContainerBench, word: bytes) -> list[int]:
    lines = b"".join(bench.log).splitlines()
    return [int(line.split()[1]) for line in lines if line.startswith(word)]


def volumes(run_id: str) -> list[str]:
    label = f"label=dev.launch-action.run-id={run_id}"
    command = ["docker", "volume", "ls", "-q", "--filter", label]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_a_connection_that_breaks_loses_nothing_of_the_log(
    bench: ContainerBench, proxy: EngineProxy
) -> None:
    when_started(bench, proxy.break_connections)
    result = bench.run({"job.sh": COUNTS}, "sh", "job.sh")

    assert (result.status, result.exit_code) == ("succeeded", 0)
    assert rows(bench, b"out") == rows(bench, b"err") == list(range(41))
    assert any("broke off" in warning for warning in bench.told.warnings)


def test_a_connection_that_dies_in_silence_does_not_hold_the_run(
    bench: ContainerBench, proxy: EngineProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_log, "_POLL", 0.3)
    monkeypatch.setattr(container_log, "_SOON", 0.5)
    monkeypatch.setattr(container_log, "_STATE", 0.5)

    def go_silent() -> None:
        # What is connected says nothing any more; what comes anew is served.
        dead = EngineProxy(proxy.listener, proxy.engine)
        proxy.silent = True
        threading.Thread(target=dead.serve, daemon=True).start()

    when_started(bench, go_silent)
    result = bench.run({"job.sh": COUNTS}, "sh", "job.sh", timeout=90)

    assert (result.status, result.exit_code) == ("succeeded", 0)
    assert rows(bench, b"out") == rows(bench, b"err") == list(range(41))


def test_a_job_that_closes_its_output_is_waited_for(bench: ContainerBench) -> None:
    script = b"echo last; exec >&- 2>&-; i=0; while [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done"
    result = bench.run({"job.sh": script + b"; exit 6"}, "sh", "job.sh")

    assert (result.exit_code, bench.log) == (6, [b"last\n"])
    assert result.seconds > 4


def test_an_engine_that_is_lost_is_told_and_not_waited_for(
    bench: ContainerBench, proxy: EngineProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_log, "_PATIENCE", 1.0)

    def die() -> None:
        proxy.refuses = True
        proxy.break_connections()

    when_started(bench, die)
    try:
        with pytest.raises(RunError, match="the engine lost the job") as caught:
            bench.run({"job.sh": WAITS}, "sh", "job.sh")
        assert caught.value.exit_code == 7
        assert any(bench.name in warning for warning in bench.told.warnings)
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", bench.name], capture_output=True, check=True)


def test_a_container_that_somebody_removes_is_told(bench: ContainerBench) -> None:
    remove = ["docker", "rm", "-f", bench.name]
    run_id = bench.name.removeprefix("launch-")
    when_started(bench, lambda: subprocess.run(remove, capture_output=True))
    try:
        # It ends before it is gone: which of the two is seen first is a matter of luck.
        error = bench.run({"job.sh": WAITS}, "sh", "job.sh", run_id=run_id).error
    except RunError as raised:
        error = raised

    assert error is not None
    assert "removed" in error.message + error.hint
    assert running_containers(run_id) == volumes(run_id) == []


def test_a_container_that_somebody_stops_has_failed(bench: ContainerBench) -> None:
    kill = ["docker", "kill", bench.name]
    when_started(bench, lambda: subprocess.run(kill, capture_output=True))
    result = bench.run({"job.sh": WAITS}, "sh", "job.sh")

    assert (result.status, result.exit_code) == ("failed", 137)


# ---- leftovers ----------------------------------------------------------------------------------


def left_behind(bench: ContainerBench, owner: str, *options: str) -> str:
    """A container as a killed launch-action leaves it; its name."""
    name = f"{bench.name}-left"
    label = ["--label", f"{OWNER}={owner}"]
    made = ["docker", *options, "--name", name, *label, "-v", "/launch-output", image_of(bench)]
    subprocess.run(made, check=True, capture_output=True)
    return name


def image_of(bench: ContainerBench) -> str:
    """The id of an image of the bench's own, which the engine has from now on."""
    script = f"exec sleep 300 # {bench.name}".encode()
    image, archive = container_image({"job.sh": script}, "sh", "job.sh")
    subprocess.run(["docker", "load"], input=archive, check=True, capture_output=True)
    return image.image_id


@pytest.fixture
def left(bench: ContainerBench) -> Iterator[Callable[..., str]]:
    yield lambda owner, *options: left_behind(bench, owner, *options)
    subprocess.run(["docker", "rm", "-f", "-v", f"{bench.name}-left"], capture_output=True)
    subprocess.run(["docker", "image", "rm", "-f", image_of(bench)], capture_output=True)


def dead_owner() -> str:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    mine = this_process()
    return f"{mine.scope} {child.pid} {mine.started}"


def state(name: str) -> str:
    command = ["docker", "inspect", "--format", "{{.State.Status}}", name]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip()


def sweep() -> Told:
    told = Told()
    with connected() as engine:
        engine_leftovers.sweep(engine, told)
    return told


def test_what_a_killed_run_left_is_stopped_and_kept_for_its_output(
    left: Callable[..., str],
) -> None:
    name = left(dead_owner(), "run", "-d")
    told = sweep()
    assert state(name) == "exited"
    # A test beside this one may have swept it first, and told of it.
    for text in told.infos:
        assert "docker cp" in text

    sweep()
    assert state(name) == "exited"


def test_what_was_never_started_is_removed(left: Callable[..., str]) -> None:
    name = left(dead_owner(), "create")
    sweep()
    assert state(name) == ""


@pytest.mark.parametrize("scope", ["", "elsewhere/1"])
def test_what_has_a_living_or_unknown_owner_is_left_alone(
    left: Callable[..., str], scope: str
) -> None:
    mine = this_process()
    name = left(f"{scope or mine.scope} {mine.pid} {mine.started}", "run", "-d")
    sweep()
    assert state(name) == "running"


def test_a_detached_one_is_left_alone(left: Callable[..., str]) -> None:
    name = left(dead_owner(), "run", "-d", "--label", "dev.launch-action.detached=true")
    sweep()
    assert state(name) == "running"
