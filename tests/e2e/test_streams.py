"""The standard streams: closed, in another encoding, and what is on them when a run is ended."""

from __future__ import annotations

import json
import os
import pty
import random
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from select import select

import pytest
from support.program import PROGRAM, Machine, failed, kill_group, succeeded
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


# ---- a terminal ----------------------------------------------------------------------------------


@dataclass
class Terminal:
    """The program as somebody has it before them; `shown` is all that the terminal was sent."""

    child: subprocess.Popen[bytes]
    handle: int
    shown: str = ""

    def until(self, text: str) -> None:
        """Wait until this was shown; empty: until the program has ended."""
        while not text or text not in self.shown:
            ready, _, _ = select([self.handle], [], [], 60)
            assert ready, self.shown
            try:
                data = os.read(self.handle, 65536)
            except OSError:  # as Linux tells that nobody has the other end any more
                data = b""
            if not data:
                assert not text, self.shown
                return
            self.shown += data.decode()


@contextmanager
def terminal(machine: Machine, cwd: Path, *arguments: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    environment = {**machine.environment(), "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [str(PROGRAM), *arguments], cwd=cwd, env=environment, start_new_session=True,
        stdin=theirs, stdout=theirs, stderr=theirs,
    ) as child:  # fmt: skip
        os.close(theirs)
        try:
            yield Terminal(child, ours)
        finally:
            kill_group(child.pid)
            os.close(ours)


HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def test_on_a_terminal_transfers_are_bars_and_the_result_is_plain(
    tmp_path: Path, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"[red]data[/red].bin": random.Random(1).randbytes(3_000_000)})

    with terminal(Machine(tmp_path / "fresh"), work.path, "build", *options) as screen:
        screen.until("")
        assert screen.child.wait(60) == 0, screen.shown

    assert "project code, 2 files" in screen.shown  # a bar with its size
    assert "MB/s" in screen.shown
    assert screen.shown.rindex(HIDE) < screen.shown.rindex(SHOW)
    assert "warning: " in screen.shown
    plain = screen.shown[screen.shown.rindex("\x1b") :]
    assert "\r\nversion  " in plain
    assert "\r\nbuilt    yes\r\n" in plain


def test_an_interrupted_program_leaves_the_terminal_as_it_was(machine: Machine, work: Work) -> None:
    options = ("-E", "python train.py", "--base-image", "127.0.0.1:9/never/there")

    with terminal(machine, work.path, "build", *options) as screen:
        screen.until(HIDE)
        os.killpg(screen.child.pid, signal.SIGINT)
        screen.until("")
        assert screen.child.wait(60) in (130, 5), screen.shown

    assert screen.shown.rindex(HIDE) < screen.shown.rindex(SHOW)
    assert "Traceback" not in screen.shown
    assert "\r\nhint: " in screen.shown


# ---- what others say -----------------------------------------------------------------------------


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
