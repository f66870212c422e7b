"""The standard streams: closed, in another encoding, and what is on them when a run is ended."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from dataclasses import replace

import pytest
from support.program import PROGRAM, Machine, failed, succeeded
from support.repositories import Work

pytest_plugins = ["support.program_fixtures"]

LAUNCH = ("launch", "-r", "local-process", "--json")
METRIC = """\
import os, pathlib
place = pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json")
place.write_text('{"größe": "ø"}', encoding="utf-8")
"""


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_ends_nothing_and_is_no_file_of_ours(
    machine: Machine, work: Work, options: tuple[str, ...], closed: str
) -> None:
    command = shlex.join([str(PROGRAM), *LAUNCH, *options])

    done = subprocess.run(
        ["bash", "-c", f"{command} {closed}"],
        cwd=work.path,
        env=machine.environment(),
        capture_output=True,
        check=False,
        timeout=120,
    )

    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr
    assert (b"metrics" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))


def test_what_an_encoding_lacks_is_spelled_out(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"train.py": METRIC})
    ascii_only = replace(machine, also={"PYTHONIOENCODING": "ascii"})

    ended = ascii_only.run("launch", "-r", "local-process", *options, cwd=work.path)

    assert "gr\\xf6\\xdfe = \\xf8" in succeeded(ended).out


def test_a_run_that_is_ended_leaves_its_document(machine: Machine, work: Work) -> None:
    options = ("-E", "python train.py", "--base-image", "127.0.0.1:9/never/there", "--json")
    with machine.started("build", *options, cwd=work.path) as child:
        assert child.stderr
        os.read(child.stderr.fileno(), 1)  # it has begun
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=60)

    assert child.returncode in (143, 5), err
    assert json.loads(out)["error"]["exit"] == child.returncode
    assert b"\nhint: " in err


def test_a_machine_that_refuses_is_no_defect(machine: Machine, work: Work) -> None:
    blocked = machine.root / "blocked"
    machine.environment()
    blocked.touch()
    on_file = replace(machine, cache=blocked)

    failed(on_file.run("build", "-E", "x", "--base-image", "deb:bookworm", cwd=work.path), 4)


def test_what_a_build_back_end_said_is_no_workflow_command(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    said = 'import sys\nsys.exit("  ::set-output name=job::x\\n##[add-mask]evidence")\n'
    work.commit(
        {
            "requirements.txt": "./package\n",
            "package/pyproject.toml": project,
            "package/backend.py": said,
        }
    )
    in_actions = replace(machine, also={"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push"})

    ended = failed(in_actions.run("build", *options, cwd=work.path), 4)

    assert "evidence" in ended.err
    assert "##[" not in ended.err
    assert not [line for line in ended.err.splitlines() if line.lstrip().startswith("::")]
