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
    plan = bench.plan(run_id="twice")
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
