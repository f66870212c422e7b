"""Jobs as containers: where the image comes from, what the container is given, what is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.jobs import MACHINE, eventually
from support.runners import (
    GRACE,
    ContainerBench,
    Told,
    container_image,
    running_containers,
)
from support.services import LocalRegistry

from launch_action.core.errors import RunError
from launch_action.core.image import Platform
from launch_action.core.resources import ContainerResources, Volume, read_resources
from launch_action.core.run import JobImage
from launch_action.engine import EngineFacts, engine_available
from launch_action.runners.local_container import LocalContainer

pytestmark = pytest.mark.engine


@pytest.fixture
def bench(tmp_path: Path) -> ContainerBench:
    return ContainerBench(tmp_path)


def runner(bench: ContainerBench) -> LocalContainer:
    return LocalContainer(log=bench.log.append, environment={}, grace=GRACE)


def docker(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(["docker", *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode().strip()


@pytest.fixture
def pushed(registry: LocalRegistry) -> Iterator[JobImage]:
    """A job's image that only a registry has."""
    image, archive = container_image({"job.sh": b"echo pulled"}, "sh", "job.sh")
    name = f"{registry.address}/runner/job:v1"
    docker("load", stdin=archive)
    docker("tag", image.image_id, name)
    docker("push", name)
    [reference] = json.loads(docker("inspect", "--format", "{{json .RepoDigests}}", name))
    docker("image", "rm", "-f", image.image_id)
    yield replace(image, reference=reference)
    subprocess.run(["docker", "image", "rm", "-f", image.image_id], capture_output=True)


def test_the_engine_says_what_it_is() -> None:
    found = engine_available()

    assert isinstance(found, EngineFacts)
    assert found.platform == MACHINE
    assert found.version[0].isdigit()
    assert not found.remote


def test_why_there_is_no_engine_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    found = engine_available()

    assert isinstance(found, str)
    assert found.startswith("no Docker engine: ")
    assert "\n" not in found


def test_an_engine_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/s")

        assert isinstance(engine_available(), str)


def test_an_image_is_pulled_by_its_digest(bench: ContainerBench, pushed: JobImage) -> None:
    plan = bench.plan()
    result = runner(bench).run(plan, replace(pushed, image_id=""), bench.told)

    assert (result.status, bench.log) == ("succeeded", [b"pulled\n"])


def test_an_image_that_the_engine_has_is_not_pulled_again(
    bench: ContainerBench, pushed: JobImage
) -> None:
    docker("pull", pushed.reference)
    gone = replace(pushed, reference=f"127.0.0.1:1/gone@sha256:{'0' * 64}")
    plan = bench.plan()

    assert runner(bench).run(plan, gone, bench.told).status == "succeeded"


def test_what_the_engine_cannot_pull_goes_through_this_machine(bench: ContainerBench) -> None:
    image, archive = container_image({"job.sh": b"echo loaded $WANDB_DOCKER"}, "sh", "job.sh")
    far = replace(image, reference=f"127.0.0.1:1/gone@sha256:{'0' * 64}")
    assert bench.run_image(far, archive).status == "succeeded"

    assert bench.log == [f"loaded {far.reference}\n".encode()]
    assert any("goes through this machine" in text for text in bench.told.infos)


def test_limits_are_the_container_s(bench: ContainerBench) -> None:
    limits = read_resources(
        {
            "cpus": 0.5,
            "memory": "64m",
            "memory-swap": "128m",
            "shm-size": "32m",
            "pids-limit": 50,
            "ulimit": ["nofile=99:100"],
            "workdir": "/tmp",
            "cpu-shares": 512,
        },
        "-R",
    )
    seen: list[str] = []
    shown = "{{json .HostConfig}}"
    bench.log = Listening(lambda: seen.append(docker("inspect", "-f", shown, bench.name)))
    bench.run({"job.sh": b"cd /tmp; ulimit -n"}, "sh", "/app/job.sh", resources=limits)

    found = json.loads(seen[0])
    assert bench.log == [b"99\n"]
    assert found["NanoCpus"] == 500_000_000
    assert (found["Memory"], found["MemorySwap"]) == (64 << 20, 128 << 20)
    assert (found["ShmSize"], found["PidsLimit"], found["CpuShares"]) == (32 << 20, 50, 512)
    assert found["Privileged"] is False


def test_a_job_that_takes_more_memory_than_it_may_is_told(bench: ContainerBench) -> None:
    limits = ContainerResources(memory=16 << 20, memory_swap=16 << 20)
    script = b"x=a; while :; do x=$x$x; done"
    result = bench.run({"job.sh": script}, "sh", "job.sh", resources=limits, timeout=60)

    assert (result.status, result.exit_code) == ("failed", 137)
    assert any("want of memory" in warning for warning in bench.told.warnings)


def test_a_volume_is_seen_and_read_only_when_asked(bench: ContainerBench, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o777)
    (tmp_path / "data/in").write_text("of this machine\n")
    script = b"exec 2>&1; cat /in/in; touch /in/new || echo refused"
    limits = ContainerResources(volumes=(Volume(f"{tmp_path}/data", "/in", True),))
    bench.run({"job.sh": script}, "sh", "job.sh", resources=limits)

    assert bench.log[0] == b"of this machine\n"
    assert bench.log[-1] == b"refused\n"


def test_a_volume_that_is_not_there_is_refused(bench: ContainerBench, tmp_path: Path) -> None:
    limits = ContainerResources(volumes=(Volume(f"{tmp_path}/none", "/in", False),))
    with pytest.raises(RunError, match="/none"):
        bench.run({"job.sh": b""}, "sh", "job.sh", resources=limits)
    assert not (tmp_path / "none").exists()


def test_an_outsider_s_event_gets_no_volume(bench: ContainerBench, tmp_path: Path) -> None:
    limits = ContainerResources(volumes=(Volume(str(tmp_path), "/in", True),))
    with pytest.raises(RunError, match="volumes are refused"):
        bench.run({"job.sh": b""}, "sh", "job.sh", resources=limits, untrusted=True)


def test_a_detached_job_is_left_with_its_output(bench: ContainerBench, tmp_path: Path) -> None:
    script = b"echo out; sleep 1; echo x > $LAUNCH_OUTPUT_DIR/x; exit 3"
    image, archive = container_image({"job.sh": script}, "sh", "job.sh")
    detaching = replace(runner(bench), load=lambda: iter([archive]))
    run_id = bench.name.removeprefix("launch-")
    try:
        detaching.detach(bench.plan(run_id=run_id), image, bench.told)
        assert docker("wait", bench.name) == "3"
        assert docker("logs", bench.name) == "out"
        docker("cp", f"{bench.name}:/launch-output", f"{tmp_path}/copied")
        assert (tmp_path / "copied/x").read_text() == "x\n"
        assert len(running_containers(run_id)) == 1
        assert any(f"docker logs -f {bench.name}" in text for text in bench.told.infos)
    finally:
        docker("rm", "-f", "-v", bench.name)
        docker("image", "rm", "-f", image.image_id)


def test_a_detached_job_that_cannot_be_started_leaves_nothing(bench: ContainerBench) -> None:
    image, archive = container_image({}, "no-such-program")
    run_id = bench.name.removeprefix("launch-")
    with pytest.raises(RunError, match="no-such-program"):
        replace(runner(bench), load=lambda: iter([archive])).detach(
            bench.plan(run_id=run_id), image, bench.told
        )
    docker("image", "rm", "-f", image.image_id)
    assert running_containers(run_id) == []


def test_an_image_that_cannot_be_pulled_is_named(bench: ContainerBench) -> None:
    image = JobImage(platform=MACHINE, reference=f"127.0.0.1:1/gone@sha256:{'0' * 64}")
    plan = bench.plan()

    with pytest.raises(RunError, match=r"cannot pull 127\.0\.0\.1:1/gone@sha256:0000") as caught:
        runner(bench).run(plan, image, bench.told)
    assert "\n" not in caught.value.message


def test_an_archive_that_is_none_is_refused(bench: ContainerBench) -> None:
    image, _ = container_image({"job.sh": b"never"}, "sh", "job.sh")
    with pytest.raises(RunError, match="cannot load the job's image"):
        bench.run_image(image, b"not an archive" * 100)


def test_an_image_that_is_nowhere_is_refused(bench: ContainerBench) -> None:
    image, _ = container_image({"job.sh": b"never"}, "sh", "job.sh")
    plan = bench.plan()
    with pytest.raises(RunError, match="in no registry"):
        runner(bench).run(plan, image, bench.told)


def test_an_image_for_another_system_is_refused(bench: ContainerBench) -> None:
    image = JobImage(platform=Platform.parse("windows/amd64"), reference="x")
    with pytest.raises(RunError, match=f"is for windows/amd64, the engine runs {MACHINE}"):
        runner(bench).run(bench.plan(), image, bench.told)


def test_the_job_is_the_image_s_user_and_may_write_its_outputs(bench: ContainerBench) -> None:
    result = bench.run({"job.sh": b"touch $LAUNCH_OUTPUT_DIR/mine"}, "sh", "job.sh")

    assert result.status == "succeeded"
    outputs = Path(result.output_directory)
    assert (outputs / "mine").stat().st_uid == os.getuid()
    assert stat.S_IMODE(outputs.stat().st_mode) == 0o755


def test_docker_s_proxies_are_not_given_to_the_job(
    bench: ContainerBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxies = {"default": {"httpProxy": "http://user:secret@proxy:3128"}}
    (tmp_path / "config.json").write_text(json.dumps({"proxies": proxies}))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    bench.run({}, "env")

    assert b"secret" not in b"".join(bench.log)


def test_the_container_is_gone_after_the_run(bench: ContainerBench) -> None:
    seen: list[list[str]] = []
    listening = ContainerBench(bench.directory)
    listening.log = Listening(lambda: seen.append(running_containers("gone-after")))
    listening.run({"job.sh": b"echo x"}, "sh", "job.sh", run_id="gone-after")

    assert [len(found) for found in seen] == [1]
    assert running_containers("gone-after") == []


def test_the_container_is_gone_when_it_cannot_be_started(bench: ContainerBench) -> None:
    with pytest.raises(RunError):
        bench.run({}, "no-such-program", run_id="no-start")
    assert running_containers("no-start") == []


def test_the_container_is_gone_after_a_second_interrupt(bench: ContainerBench) -> None:
    def interrupt() -> None:
        assert eventually(lambda: bench.log == [b"deaf\n"])
        os.kill(os.getpid(), signal.SIGINT)
        assert eventually(lambda: bench.log[-1] == b"told\n")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    script = b"trap 'echo told' INT\necho deaf\nwhile :; do sleep 0.05; done"
    image, archive = container_image({"job.sh": script}, "sh", "job.sh")
    patient = replace(runner(bench), load=lambda: iter([archive]), grace=60)
    plan = bench.plan(run_id="twice", timeout=300)  # its end, should the thread above fail
    result = patient.run(plan, image, Told())
    thread.join()
    docker("image", "rm", "-f", image.image_id)

    assert (result.status, result.exit_code) == ("cancelled", 137)
    assert result.seconds < 30
    assert running_containers("twice") == []


class Listening(list[bytes]):
    """A log that calls when something is added."""

    def __init__(self, call: object) -> None:
        super().__init__()
        self._call = call

    def append(self, line: bytes, /) -> None:
        super().append(line)
        assert callable(self._call)
        self._call()
