"""What a job in a container leaves: brought here whoever it was, wherever the engine is."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.engine_proxy import engine_proxy
from support.jobs import eventually
from support.runners import ContainerBench, running_containers

from launch_action.core.errors import RunError

pytestmark = pytest.mark.engine

HOSTILE = b"""\
cd $LAUNCH_OUTPUT_DIR
mkdir -p deep/er
echo kept > deep/er/file
ln -s /etc/passwd absolute
ln -s ../../../../etc up
ln -s deep/er inside
ln -s $LAUNCH_OUTPUT_DIR/deep/er/file seen
ln deep/er/file again
mkfifo pipe
echo '#!' > tool; chmod 6755 tool
echo s > closed; chmod 000 closed
mkdir shut; echo x > shut/x; chmod 555 shut
echo mine > log.txt
echo done
"""


@pytest.fixture
def bench(tmp_path: Path) -> ContainerBench:
    return ContainerBench(tmp_path)


def run_id_of(bench: ContainerBench) -> str:
    """A run's id of the bench's own, for tests that look for what is left in the engine."""
    return bench.name.removeprefix("launch-")


def volumes(run_id: str) -> list[str]:
    label = f"label=dev.launch-action.run-id={run_id}"
    command = ["docker", "volume", "ls", "-q", "--filter", label]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_what_a_job_leaves_is_the_caller_s_and_stays_in_its_place(bench: ContainerBench) -> None:
    result = bench.run({"job.sh": HOSTILE}, "sh", "job.sh")
    place = Path(result.output_directory)

    assert (result.status, result.exit_code) == ("succeeded", 0)
    assert {path.name for path in place.iterdir()} == {
        "deep", "inside", "seen", "again", "tool", "closed", "shut", "log.txt", "log.txt.job"
    }  # fmt: skip
    assert (place / "inside/file").read_text() == (place / "seen").read_text() == "kept\n"
    assert (place / "again").read_text() == "kept\n"
    assert (place / "log.txt").read_text() == "done\n"
    assert (place / "log.txt.job").read_text() == "mine\n"
    for path in place.rglob("*"):
        assert path.lstat().st_uid == os.getuid()
        assert not path.lstat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    assert (place / "closed").stat().st_mode & stat.S_IRUSR
    (warning,) = bench.told.warnings
    assert all(name in warning for name in ("absolute", "up", "pipe"))


@pytest.mark.parametrize("user", ["0:0", "12345:54321"])
def test_any_user_of_an_image_may_write_its_output(bench: ContainerBench, user: str) -> None:
    result = bench.run({"job.sh": b"echo x > $LAUNCH_OUTPUT_DIR/x"}, "sh", "job.sh", user=user)

    assert result.status == "succeeded"
    assert (Path(result.output_directory) / "x").stat().st_uid == os.getuid()


def test_the_output_of_a_job_that_is_ended_is_brought_too(bench: ContainerBench) -> None:
    script = b"echo partial > $LAUNCH_OUTPUT_DIR/x; echo started; while :; do sleep 0.05; done"
    result = bench.run({"job.sh": script}, "sh", "job.sh", timeout=1.0, run_id=run_id_of(bench))

    assert result.status == "timeout"
    assert (Path(result.output_directory) / "x").read_text() == "partial\n"
    assert running_containers(run_id_of(bench)) == volumes(run_id_of(bench)) == []


def test_the_output_of_a_cancelled_job_is_brought_too(bench: ContainerBench) -> None:
    def interrupt() -> None:
        assert eventually(lambda: bench.log == [b"started\n"], 30)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    script = b"echo partial > $LAUNCH_OUTPUT_DIR/x; echo started; while :; do sleep 0.05; done"
    result = bench.run({"job.sh": script}, "sh", "job.sh", timeout=60)
    thread.join()

    assert (result.status, result.cancelled_by) == ("cancelled", signal.SIGTERM)
    assert (Path(result.output_directory) / "x").read_text() == "partial\n"


def test_a_remote_engine_needs_none_of_this_machine_s_directories(
    bench: ContainerBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = b"echo '{\"loss\": 0.5}' > $LAUNCH_OUTPUT_DIR/metrics.json; echo hello"
    with engine_proxy() as proxy:
        monkeypatch.setenv("DOCKER_HOST", proxy.address)
        result = bench.run({"job.sh": script}, "sh", "job.sh")

    assert (result.status, result.metrics, bench.log) == ("succeeded", {"loss": 0.5}, [b"hello\n"])
    assert bench.told.warnings == []


@contextmanager
def files_at_most(size: int) -> Iterator[None]:
    """Writing beyond `size` bytes of a file fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_output_that_does_not_fit_here_stays_in_the_container_and_is_told(
    bench: ContainerBench,
) -> None:
    script = b"cd $LAUNCH_OUTPUT_DIR; echo small > a; yes | head -c 3000000 > big; exit 4"
    run_id = run_id_of(bench)
    with files_at_most(1_000_000):
        result = bench.run({"job.sh": script}, "sh", "job.sh", run_id=run_id)
    try:
        assert isinstance(result.error, RunError)
        assert (result.status, result.exit_code) == ("failed", 4)
        assert "exit code 4" in result.error.message
        assert f"docker cp {bench.name}:/launch-output" in result.error.hint
        assert not (Path(result.output_directory) / "big").exists()
        copied = subprocess.run(
            ["docker", "cp", f"{bench.name}:/launch-output/big", "-"], capture_output=True
        )
        assert len(copied.stdout) > 3_000_000
    finally:
        subprocess.run(["docker", "rm", "-f", "-v", bench.name], capture_output=True)
    assert volumes(run_id) == []


def test_a_large_log_and_output_go_through_whole(bench: ContainerBench) -> None:
    script = b"yes 0123456789012345678901234567890 | head -c 20000000 > $LAUNCH_OUTPUT_DIR/big\n"
    script += b"cat $LAUNCH_OUTPUT_DIR/big"
    result = bench.run({"job.sh": script}, "sh", "job.sh")
    place = Path(result.output_directory)

    assert (place / "log.txt").stat().st_size == (place / "big").stat().st_size == 20_000_000
    assert (place / "log.txt").read_bytes() == (place / "big").read_bytes()


def test_a_signal_while_the_output_is_copied_ends_the_copying(
    bench: ContainerBench, tmp_path: Path
) -> None:
    big = tmp_path / "launch-output/run1/a/big"

    def interrupt() -> None:
        assert eventually(big.exists, 60)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    script = b"cd $LAUNCH_OUTPUT_DIR; mkdir a; head -c 400000000 /dev/zero > a/big"
    result = bench.run({"job.sh": script}, "sh", "job.sh", run_id=run_id_of(bench))
    thread.join()

    assert (result.status, result.exit_code) == ("cancelled", 0)
    assert result.cancelled_by == signal.SIGINT
    assert not big.exists()
    assert any("not complete" in warning for warning in bench.told.warnings)
    assert running_containers(run_id_of(bench)) == volumes(run_id_of(bench)) == []
