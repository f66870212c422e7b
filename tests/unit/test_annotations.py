from __future__ import annotations

from pathlib import Path

import pytest
from support.runner_commands import Command, read_log

from launch_action.core.errors import BuildError, Interrupted
from launch_action.core.inputs import Inputs
from launch_action.core.legs import Leg
from launch_action.core.outputs import Outcome
from launch_action.github.commands import WorkflowCommands
from launch_action.step.annotations import Annotations, annotate


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("requirements.txt", "Dockerfile", "jobs/requirements.txt", "a b: c.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x\n")
    (tmp_path / ".git").mkdir()
    return tmp_path


def told(
    capsys: pytest.CaptureFixture[str],
    checkout: Path,
    message: str,
    *,
    context: str = "",
    key: str = "",
) -> Command:
    """The annotation of an error with this message."""
    leg = Leg(key, Inputs(build_context=context))
    listener = Annotations(WorkflowCommands(), checkout)
    listener.end(leg, Outcome().values, BuildError(message, hint="correct it"))
    (command,) = read_log(capsys.readouterr().out).commands
    return command


@pytest.mark.parametrize(
    ("message", "context", "file", "line"),
    [
        ("requirements.txt:3: no such package", "", "requirements.txt", "3"),
        ("requirements.txt:3: no such package", "jobs", "jobs/requirements.txt", "3"),
        ("Dockerfile:12: no such image", "jobs", "Dockerfile", "12"),
        ("requirements.txt: not text", "", "requirements.txt", None),
    ],
)
def test_an_error_stands_at_the_file_and_line_it_begins_with(
    capsys: pytest.CaptureFixture[str],
    checkout: Path,
    message: str,
    context: str,
    file: str,
    line: str | None,
) -> None:
    command = told(capsys, checkout, message, context=context)

    assert command.name == "error"
    assert command.properties.get("file") == file
    assert command.properties.get("line") == line
    assert command.properties["title"] == "launch-action: build"
    assert command.data == f"{message}\nhint: correct it"


@pytest.mark.parametrize(
    "message",
    [
        "127.0.0.1:5000: connection refused",
        "/etc/passwd:1: root",
        "../outside:1: x",
        "missing.txt:1: x",
        "input 'push' cannot be 'x'",
        "jobs:1: a directory",
    ],
)
def test_what_is_no_file_of_the_checkout_is_no_place(
    capsys: pytest.CaptureFixture[str], checkout: Path, message: str
) -> None:
    (checkout.parent / "outside").write_text("")

    assert "file" not in told(capsys, checkout, message).properties


def test_the_title_names_the_job_of_several(
    capsys: pytest.CaptureFixture[str], checkout: Path
) -> None:
    assert told(capsys, checkout, "x", key="train").properties["title"].endswith("build (train)")


def test_below_the_root_the_place_counts_from_the_root(
    capsys: pytest.CaptureFixture[str], checkout: Path
) -> None:
    command = told(capsys, checkout / "jobs", "jobs/requirements.txt:2: x")

    assert command.properties["file"] == "jobs/requirements.txt"


def test_a_run_that_failed_is_an_annotation(
    capsys: pytest.CaptureFixture[str], checkout: Path
) -> None:
    outcome = Outcome()
    outcome.announce({"run_status": "failed", "run_exit_code": 3, "job_name": "job-a"})

    Annotations(WorkflowCommands(), checkout).end(Leg("", Inputs()), outcome.values, None)

    (command,) = read_log(capsys.readouterr().out).commands
    assert command.data.startswith("the run of job-a ended: failed, exit code 3")


@pytest.mark.parametrize("status", ["succeeded", "skipped", "running", None])
def test_what_went_well_is_none(
    capsys: pytest.CaptureFixture[str], checkout: Path, status: str | None
) -> None:
    outcome = Outcome()
    outcome.announce({"run_status": status})

    Annotations(WorkflowCommands(), checkout).end(Leg("", Inputs()), outcome.values, None)

    assert not capsys.readouterr().out


def test_an_interruption_is_none(capsys: pytest.CaptureFixture[str], checkout: Path) -> None:
    leg = Leg("", Inputs())

    Annotations(WorkflowCommands(), checkout).end(leg, Outcome().values, Interrupted())

    assert not capsys.readouterr().out


def test_what_was_annotated_is_not_annotated_again(
    capsys: pytest.CaptureFixture[str], checkout: Path
) -> None:
    error = BuildError("no", hint="yes", context="::error::of a tool\nline two")
    Annotations(WorkflowCommands(), checkout).end(Leg("", Inputs()), Outcome().values, error)

    annotate(WorkflowCommands(), error)

    log = read_log(capsys.readouterr().out)
    (command,) = log.commands
    assert command.data == "no\nhint: yes"
    assert command.properties == {"title": "launch-action: build"}
    assert log.text.startswith("  | ::error::of a tool\n  line two\n")
