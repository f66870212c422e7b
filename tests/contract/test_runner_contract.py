"""What every runner does, whatever it runs a job in."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from support.runners import Bench, ContainerBench, ProcessBench

from launch_action.core.errors import RunError

BENCHES = [
    pytest.param(ProcessBench, id="local-process"),
    pytest.param(ContainerBench, id="local-container", marks=pytest.mark.engine),
]
ENDLESS = b"echo started\nwhile :; do sleep 0.05; done\n"


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    made: Bench = request.param(tmp_path, environment={"TOKEN": "of the caller", "OTHER": "x"})
    return made


def test_a_job_that_exits_with_0_succeeded(bench: Bench, tmp_path: Path) -> None:
    result = bench.run({"job.sh": b"echo hello"}, "sh", "job.sh")

    assert (result.run_id, result.status, result.exit_code) == ("run1", "succeeded", 0)
    assert result.output_directory == str(tmp_path / "launch-output/run1")
    assert 0 < result.seconds < 60
    assert bench.log == [b"hello\n"]


def test_a_job_that_fails_is_a_result_with_its_code(bench: Bench) -> None:
    result = bench.run({"job.sh": b"exit 42"}, "sh", "job.sh")

    assert (result.status, result.exit_code) == ("failed", 42)


def test_a_job_that_a_signal_ends_has_128_and_the_signal(bench: Bench) -> None:
    result = bench.run({"job.sh": b"sh -c 'kill -9 $$'; exit $?"}, "sh", "job.sh")

    assert (result.status, result.exit_code) == ("failed", 137)


def test_the_entry_point_of_the_plan_replaces_the_image_s_and_arguments_follow(
    bench: Bench,
) -> None:
    code = {"job.sh": b'echo job "$@"', "other.sh": b'echo other "$@"'}
    bench.run(code, "sh", "job.sh", entrypoint=("sh", "other.sh"), args=("--lr", "a b"))

    assert bench.log == [b"other --lr a b\n"]


def test_arguments_follow_the_image_s_entry_point(bench: Bench) -> None:
    bench.run({"job.sh": b'echo job "$@"'}, "sh", "job.sh", args=("$HOME", "*"))

    assert bench.log == [b"job $HOME *\n"]


def test_standard_output_and_error_come_in_the_order_they_were_written(bench: Bench) -> None:
    script = b"for i in 0 1 2 3 4; do echo out $i; echo err $i >&2; done; printf end"
    bench.run({"job.sh": script}, "sh", "job.sh")

    lines = b"".join(bench.log).splitlines()
    assert [line for line in lines if line.startswith(b"out")] == [b"out %d" % i for i in range(5)]
    assert [line for line in lines if line.startswith(b"err")] == [b"err %d" % i for i in range(5)]
    assert bench.log[-1] == b"end"
    assert len(bench.log) == 11


def test_the_log_is_kept_to_the_byte(bench: Bench, tmp_path: Path) -> None:
    script = b"printf 'caf\\303\\251 \\377\\000 ::error::x\\r\\n'; yes | head -c 300000"
    bench.run({"job.sh": script}, "sh", "job.sh")

    kept = (tmp_path / "launch-output/run1/log.txt").read_bytes()
    assert kept == b"caf\303\251 \377\000 ::error::x\r\n" + b"y\n" * 150000
    assert b"".join(bench.log) == kept


def test_the_log_is_live(bench: Bench) -> None:
    script = b"echo first; while ! cat $LAUNCH_OUTPUT_DIR/go 2>/dev/null; do sleep 0.05; done"
    seen: list[bool] = []

    def answer() -> None:
        until = time.monotonic() + 30
        while not bench.log and time.monotonic() < until:
            time.sleep(0.02)
        seen.append(bench.log == [b"first\n"])
        bench.put("go", b"second\n")

    thread = threading.Thread(target=answer)
    thread.start()
    bench.run({"job.sh": script}, "sh", "job.sh", timeout=40)
    thread.join()
    assert seen == [True]
    assert bench.log == [b"first\n", b"second\n"]


def test_a_job_sees_what_it_is_given_and_nothing_of_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret of ours")
    result = bench.run(
        {},
        "env",
        config={"lr": 0.1},
        project="Demo",
        name="first",
        job_name="job-x",
        environment=(("GIVEN", "a=b c"),),
        env_names=("TOKEN", "ABSENT"),
    )

    seen = dict(line.decode().rstrip("\n").split("=", 1) for line in bench.log)
    assert {name: seen[name] for name in seen if name not in bench.own_variables} == {
        "GIVEN": "a=b c",
        "TOKEN": "of the caller",
        "LAUNCH_OUTPUT_DIR": bench.outputs_seen,
        "PYTHONUNBUFFERED": "1",
        # By the path that it has when the job has ended.
        "WANDB_DATA_DIR": f"{result.output_directory}/wandb-data",
        "WANDB_SYMLINK": "false",
        "WANDB_CONFIG": '{"lr": 0.1}',
        "WANDB_DIR": bench.outputs_seen,
        "WANDB_JOB_NAME": "job-x",
        "WANDB_LAUNCH": "True",
        "WANDB_MODE": "offline",
        "WANDB_NAME": "first",
        "WANDB_PROJECT": "demo",
        "WANDB_RUN_ID": "run1",
    }
    assert bench.own_variables <= set(seen)
    assert any("ABSENT" in warning for warning in bench.told.warnings)


def test_metrics_json_becomes_metrics(bench: Bench) -> None:
    found = {"loss": 0.25, "by": {"class": {"a": 1}}, "name": "é", "ok": True, "none": None}
    script = b"printf '%s' '" + json.dumps(found).encode() + b"' > $LAUNCH_OUTPUT_DIR/metrics.json"
    result = bench.run({"job.sh": script}, "sh", "job.sh")

    assert result.metrics == found


def test_metrics_that_do_not_read_are_a_warning(bench: Bench) -> None:
    script = b"echo 'loss: 1' > $LAUNCH_OUTPUT_DIR/metrics.json"
    result = bench.run({"job.sh": script}, "sh", "job.sh")

    assert (result.status, result.metrics) == ("succeeded", {})
    assert any("metrics.json is not JSON" in warning for warning in bench.told.warnings)


@pytest.mark.parametrize("made", ["mkdir -p", "ln -s mine.json"])
def test_metrics_that_are_no_file_are_a_warning(bench: Bench, made: str) -> None:
    script = f"cd $LAUNCH_OUTPUT_DIR && echo '{{}}' > mine.json && {made} metrics.json"
    result = bench.run({"job.sh": script.encode()}, "sh", "job.sh")

    assert (result.status, result.metrics) == ("succeeded", {})
    assert any("metrics.json is no regular file" in warning for warning in bench.told.warnings)


def test_standard_input_is_closed(bench: Bench) -> None:
    result = bench.run({"job.sh": b"cat; echo end"}, "sh", "job.sh", timeout=20)

    assert (result.status, bench.log) == ("succeeded", [b"end\n"])


def test_a_job_that_takes_too_long_is_asked_to_end(bench: Bench) -> None:
    script = b"trap 'echo asked; exit 3' TERM\n" + ENDLESS
    result = bench.run({"job.sh": script}, "sh", "job.sh", timeout=0.7)

    assert (result.status, result.exit_code) == ("timeout", 3)
    assert bench.log[-1] == b"asked\n"


def test_a_job_that_does_not_end_when_asked_is_killed(bench: Bench) -> None:
    result = bench.run({"job.sh": b"trap '' TERM\n" + ENDLESS}, "sh", "job.sh", timeout=0.5)

    assert (result.status, result.exit_code) == ("timeout", 137)
    assert 1.4 < result.seconds < 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_passed_on_and_waited_for(bench: Bench, number: int) -> None:
    name = signal.Signals(number).name.removeprefix("SIG").encode()
    script = b"trap 'echo told; exit 5' " + name + b"\n" + ENDLESS
    before = signal.getsignal(number)
    interrupt_when_started(bench, number)
    result = bench.run({"job.sh": script}, "sh", "job.sh", timeout=60)

    assert (result.status, result.exit_code, result.cancelled_by) == ("cancelled", 5, number)
    assert bench.log[-1] == b"told\n"
    assert signal.getsignal(number) is before


def test_what_outlives_its_job_does_not_hold_the_run(bench: Bench) -> None:
    script = b"(trap '' HUP TERM INT; setsid sleep 300) & echo end"
    result = bench.run({"job.sh": script}, "sh", "job.sh", timeout=60)

    assert (result.status, bench.log) == ("succeeded", [b"end\n"])
    assert result.seconds < 20


def test_a_program_that_is_not_there_cannot_be_started(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no-such-program") as caught:
        bench.run({}, "no-such-program")

    assert caught.value.exit_code == 7
    assert not (tmp_path / "launch-output/run1").exists()


def test_an_output_directory_with_something_in_it_is_refused(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "launch-output/run1").mkdir(parents=True)
    (tmp_path / "launch-output/run1/metrics.json").write_text('{"of": "another run"}')

    with pytest.raises(RunError, match="not empty"):
        bench.run({"job.sh": b""}, "sh", "job.sh")
    assert (tmp_path / "launch-output/run1/metrics.json").exists()


def interrupt_when_started(bench: Bench, number: int) -> None:
    """Send ourselves a signal once the job has written its first line."""

    def send() -> None:
        until = time.monotonic() + 30
        while not bench.log and time.monotonic() < until:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()
