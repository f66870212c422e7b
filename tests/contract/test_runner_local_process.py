"""Jobs as processes of this machine: where they find things, what is shared, what is left."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.jobs import GREETER, MACHINE, MINOR, SITE, eventually, gone, job_image, shared_with
from support.runners import ProcessBench

from launch_action.core.errors import RunError, StoreError
from launch_action.core.image import Descriptor, Platform

# A job that leaves processes behind: one in its session, one in a session of its own, both deaf.
BREEDER = b"""\
import os, signal, sys, time
for own_session in (False, True):
    ready = os.pipe()
    if os.fork() == 0:
        if own_session:
            os.setsid()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        os.write(ready[1], b".")
        time.sleep(600)
    os.read(ready[0], 1)
    os.close(ready[0])
os.system("ps -o pid= --ppid %d > $LAUNCH_OUTPUT_DIR/pids" % os.getpid())
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("bred", flush=True)
time.sleep(float(sys.argv[1]))
"""
GREET = b"import greeter\ngreeter.main()\n"


@pytest.fixture
def bench(tmp_path: Path) -> ProcessBench:
    return ProcessBench(tmp_path)


def output(bench: ProcessBench) -> str:
    return b"".join(bench.log).decode()


def bred(tmp_path: Path) -> list[int]:
    found = (tmp_path / "launch-output/run1/pids").read_text().split()
    assert len(found) >= 2
    return [int(pid) for pid in found]


# ---- what a job finds ---------------------------------------------------------------------------


def test_python_is_that_of_the_job_s_environment(bench: ProcessBench, tmp_path: Path) -> None:
    result = bench.run({"train.py": GREET}, "python", "train.py")

    assert result.status == "succeeded", output(bench)
    assert output(bench).startswith(f"hello from {tmp_path}/runs/launch-run1-")


@pytest.mark.parametrize("word", ["python3", f"python{MINOR}", "/opt/venv/bin/python"])
def test_every_name_of_python_is_that_one(bench: ProcessBench, word: str) -> None:
    assert bench.run({"train.py": GREET}, word, "train.py").status == "succeeded"


def test_a_console_script_of_the_environment_starts(bench: ProcessBench) -> None:
    assert bench.run({}, "greet").status == "succeeded"
    assert "hello from" in output(bench)


def test_a_console_script_starts_below_a_path_with_a_space(tmp_path: Path) -> None:
    bench = ProcessBench(tmp_path / "a folder's $HOME")
    bench.directory.mkdir()

    assert bench.run({}, "greet").status == "succeeded", output(bench)


def test_a_console_script_starts_below_a_path_longer_than_a_first_line(tmp_path: Path) -> None:
    bench = ProcessBench(tmp_path / ("long" * 40))
    bench.directory.mkdir()

    assert bench.run({}, "greet").status == "succeeded", output(bench)


def test_code_in_src_is_importable_and_paths_of_the_image_are_found(bench: ProcessBench) -> None:
    code = {"src/mine.py": b"word = 'found'", "jobs/train.py": b"import mine; print(mine.word)"}

    assert bench.run(code, "python", "/app/jobs/train.py").status == "succeeded"
    assert output(bench) == "found\n"


def test_the_work_directory_is_the_code_and_home_is_writable(bench: ProcessBench) -> None:
    code = {"train.py": b"import pathlib; print(open('data.txt').read()); "
            b"pathlib.Path.home().joinpath('x').touch()", "data.txt": b"data"}  # fmt: skip

    assert bench.run(code, "python", "train.py").status == "succeeded"
    assert output(bench) == "data\n"


def test_packages_of_this_machine_are_not_seen(bench: ProcessBench) -> None:
    job = b"import sys, importlib.util\nprint(importlib.util.find_spec('pytest'), sys.prefix)"

    bench.run({"train.py": job}, "python", "train.py")
    assert output(bench).startswith("None ")


def test_a_job_without_dependencies_has_an_environment_of_its_own(bench: ProcessBench) -> None:
    image = job_image(bench.blobs, {"t.py": b"import sys; print(sys.prefix)"}, "python", "t.py")
    bench.run_image(replace(image, layers=image.of_role("code")))

    assert output(bench).rstrip().endswith("root/opt/venv")


def test_the_log_says_that_nothing_is_isolated(bench: ProcessBench) -> None:
    bench.run({}, "true")

    assert any("isolates nothing" in warning for warning in bench.told.warnings)


# ---- what cannot be started ---------------------------------------------------------------------


def test_an_event_of_outsiders_is_refused(bench: ProcessBench) -> None:
    with pytest.raises(RunError, match="outsiders"):
        bench.run({}, "true", untrusted=True)


def test_a_python_that_is_not_here_is_named_with_the_one_that_is(bench: ProcessBench) -> None:
    image = job_image(bench.blobs, {}, "python", python="3.99")
    with pytest.raises(RunError, match=r"needs Python 3\.99.* this machine has 3\.") as caught:
        bench.run_image(image)

    assert caught.value.exit_code == 7


def test_wheels_for_another_libc_are_refused(bench: ProcessBench) -> None:
    image = replace(job_image(bench.blobs, {}, "python"), libc="musl")
    with pytest.raises(RunError, match=r"for musl, this machine has .*glibc"):
        bench.run_image(image)


@pytest.mark.parametrize("platform", ["linux/s390x", "windows/amd64"])
def test_an_image_for_another_machine_is_refused(bench: ProcessBench, platform: str) -> None:
    image = replace(job_image(bench.blobs, {}, "true"), platform=Platform.parse(platform))
    with pytest.raises(RunError, match=f"is for {platform}, this machine is {MACHINE}"):
        bench.run_image(image)


def test_a_script_that_is_not_executable_is_told_from_one_that_is_not_there(
    bench: ProcessBench,
) -> None:
    with pytest.raises(RunError, match="not a program that can be run") as caught:
        bench.run({"train.py": b""}, "train.py")
    assert "python train.py" in caught.value.hint

    with pytest.raises(RunError, match="no program of the job"):
        bench.run({"train.py": b""}, "tran.py")


def test_a_script_without_an_interpreter_cannot_be_started(bench: ProcessBench) -> None:
    with pytest.raises(RunError, match="cannot be started"):
        bench.run({"bin/train": b"echo x\n"}, "./bin/train")
    assert not bench.left()
    assert not Path(bench.outputs_seen).exists()


def test_a_layer_that_is_damaged_leaves_nothing(bench: ProcessBench, tmp_path: Path) -> None:
    image = job_image(bench.blobs, {}, "true")
    whole = bench.blobs.open_blob

    @contextmanager
    def damaged(descriptor: Descriptor) -> Iterator[Iterator[bytes]]:
        def chunks() -> Iterator[bytes]:
            with whole(descriptor) as found:
                yield from found
            raise StoreError("not the digest", hint="none")

        yield chunks()

    bench.blobs.open_blob = damaged  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        bench.run_image(image)
    assert not bench.left()

    bench.blobs.open_blob = whole  # type: ignore[method-assign]
    assert bench.run_image(image).status == "succeeded"


# ---- what is left -------------------------------------------------------------------------------


def test_the_run_directory_is_private_and_removed(bench: ProcessBench) -> None:
    job = b"import os; print(oct(os.stat(os.path.join(os.getcwd(), '../..')).st_mode))"
    bench.run({"train.py": job}, "python", "train.py")

    assert output(bench) == "0o40700\n"
    assert not bench.left()


def test_what_a_job_made_read_only_is_removed_too(bench: ProcessBench) -> None:
    bench.run({"job.sh": b"mkdir -p a/b; touch a/b/c; chmod 500 a a/b"}, "sh", "job.sh")

    assert not bench.left()


def test_a_run_directory_is_kept_when_asked(bench: ProcessBench) -> None:
    bench.keep = True
    bench.run({"job.sh": b"touch made"}, "sh", "job.sh")

    [kept] = bench.left()
    assert (kept / "root/app/made").exists()
    assert any(str(kept) in info for info in bench.told.infos)


def test_everything_a_job_started_is_gone_after_its_end(
    bench: ProcessBench, tmp_path: Path
) -> None:
    result = bench.run({"job.py": BREEDER}, "python", "job.py", "0")

    assert (result.status, output(bench)) == ("succeeded", "bred\n")
    assert all(gone(pid) for pid in bred(tmp_path))


def test_everything_a_job_started_is_gone_after_its_time(
    bench: ProcessBench, tmp_path: Path
) -> None:
    result = bench.run({"job.py": BREEDER}, "python", "job.py", "600", timeout=2)

    assert (result.status, result.exit_code) == ("timeout", 137)
    assert all(gone(pid) for pid in bred(tmp_path))


def test_everything_a_job_started_is_gone_after_an_interrupt(
    bench: ProcessBench, tmp_path: Path
) -> None:
    def interrupt() -> None:
        assert eventually(lambda: bench.log == [b"bred\n"])
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = bench.run({"job.py": BREEDER}, "python", "job.py", "600")
    thread.join()

    assert (result.status, result.exit_code) == ("cancelled", 137)
    assert all(gone(pid) for pid in bred(tmp_path))


def test_a_listener_that_fails_ends_the_job(bench: ProcessBench, tmp_path: Path) -> None:
    def broken(line: bytes) -> None:
        raise BrokenPipeError(line)

    bench.take = broken
    with pytest.raises(BrokenPipeError):
        bench.run({"job.py": BREEDER}, "python", "job.py", "600")
    assert all(gone(pid) for pid in bred(tmp_path))
    assert not bench.left()


@pytest.mark.parametrize(
    "make", ["mkfifo {}", "ln -s /etc/passwd {}", "mkdir {}", "yes 1 | head -c 2000000 > {}"]
)
def test_metrics_that_are_no_small_file_are_not_read(bench: ProcessBench, make: str) -> None:
    script = make.format("$LAUNCH_OUTPUT_DIR/metrics.json").encode()
    result = bench.run({"job.sh": script}, "sh", "job.sh", timeout=30)

    assert (result.status, dict(result.metrics)) == ("succeeded", {})


# ---- what is shared -----------------------------------------------------------------------------


def dependency(bench: ProcessBench) -> Path:
    """The cached file of the greeter."""
    [found] = (bench.directory / "cache/environments").glob(f"*/tree/{SITE}/greeter.py")
    return found


def test_dependencies_are_read_once_and_code_each_time(bench: ProcessBench) -> None:
    assert bench.run({"a.py": GREET}, "python", "a.py").status == "succeeded"
    assert len(bench.blobs.opened) == 2

    assert bench.again().run({"b.py": GREET}, "python", "b.py").status == "succeeded"
    assert len(bench.blobs.opened) == 1


def test_files_of_dependencies_are_linked_not_copied(bench: ProcessBench) -> None:
    bench.keep = True
    bench.run({"a.py": GREET}, "python", "a.py")

    assert shared_with(dependency(bench)) == 2


def test_a_cache_on_another_file_system_serves(bench: ProcessBench, tmp_path: Path) -> None:
    elsewhere = Path("/dev/shm")
    if elsewhere.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("the machine has one file system")
    bench.cache = elsewhere / f"launch-action-test-{os.getpid()}"
    try:
        for _ in range(2):
            assert bench.again().run({"a.py": GREET}, "python", "a.py").status == "succeeded"
        assert len(bench.blobs.opened) == 1
    finally:
        import shutil

        shutil.rmtree(bench.cache)


def test_an_entry_that_lost_a_file_is_unpacked_again(bench: ProcessBench) -> None:
    bench.run({"a.py": GREET}, "python", "a.py")
    dependency(bench).unlink()

    assert bench.again().run({"a.py": GREET}, "python", "a.py").status == "succeeded"
    assert len(bench.blobs.opened) == 2
    assert dependency(bench).exists()


def test_what_a_job_changes_in_its_environment_is_not_seen_by_the_next(
    bench: ProcessBench,
) -> None:
    change = b"import greeter\nwith open(greeter.__file__, 'a') as f: f.write('print(1)')\n"
    bench.run({"a.py": change}, "python", "a.py")

    bench.again().run({"a.py": GREET}, "python", "a.py")
    assert "hello from" in output(bench)
    assert "1\n" not in output(bench)


def test_bytecode_is_kept_for_the_next_run(bench: ProcessBench) -> None:
    job = b"import greeter, os\nprint(os.path.exists(greeter.__cached__))\n"
    seen = (
        b"import os, sys, importlib.util as u\nprint(os.path.exists(u.find_spec('greeter').cached))"
    )
    bench.run({"a.py": job}, "python", "a.py")

    bench.again().run({"a.py": seen}, "python", "a.py")
    assert output(bench) == "True\n"


def test_bytecode_of_a_source_that_a_job_replaced_is_not_kept(bench: ProcessBench) -> None:
    replace_it = (
        b"import pathlib, importlib.util as u\np = pathlib.Path(u.find_spec('greeter').origin)\n"
        b"p.unlink(); p.write_text('def main(): print(666)')\nimport greeter\n"
    )
    assert bench.run({"a.py": replace_it}, "python", "a.py").status == "succeeded"
    assert not (dependency(bench).parent / "__pycache__").exists()

    bench.again().run({"a.py": GREET}, "python", "a.py")
    assert "hello from" in output(bench)


def test_runs_at_the_same_time_share_one_entry(tmp_path: Path) -> None:
    def one(number: int) -> str:
        bench = ProcessBench(tmp_path / str(number), cache=tmp_path / "cache")
        bench.directory.mkdir()
        return bench.run({"a.py": GREET}, "python", "a.py").status

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(one, range(12))) == {"succeeded"}
    assert len(list((tmp_path / "cache/environments").iterdir())) == 1


def test_the_interpreter_of_the_cache_is_not_the_run_s(bench: ProcessBench) -> None:
    bench.run({"a.py": GREET}, "python", "a.py")

    kept = dependency(bench).parents[3] / "bin/python"
    assert str(kept.readlink()) == GREETER["opt/venv/bin/python"]
    script = kept.with_name("greet")
    assert script.read_bytes() == GREETER["opt/venv/bin/greet"]
    # Read-only, as it is for the image's user: a job does not write through its link.
    assert stat.S_IMODE(script.stat().st_mode) == 0o555


def test_the_python_that_runs_the_tests_serves(bench: ProcessBench) -> None:
    bench.run({}, "python", "-c", "import sys; print(sys.version)")

    assert output(bench).split()[0] == sys.version.split()[0]
