"""The adapter over the real actions-toolkit, read by the runner's own rules."""

from __future__ import annotations

import ast
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runner_commands import Log, key_values, read_log

from launch_action.core.errors import InputError
from launch_action.github.commands import (
    SUMMARY_LIMIT,
    WorkflowCommands,
    inert,
    prepare_output,
)

COMMANDS = WorkflowCommands()
PACKAGE = Path(__file__).parents[2] / "src" / "launch_action"
IMAGE = "ghcr.io/acme/train@sha256:" + "a" * 64


@pytest.fixture(autouse=True)
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("OUTPUT", "STEP_SUMMARY", "ARTIFACTS"):
        path = tmp_path / name
        path.write_bytes(b"")
        monkeypatch.setenv(f"GITHUB_{name}", str(path))
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str]) -> Log:
    return read_log(capsys.readouterr().out)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plain",
        "two\nlines",
        "ends with\n",
        "\n",
        "a=b<<c",
        "✓ é",
        "ghadelimiter_x",
        "\r",
        "EOF",
    ],
)
def test_an_output_arrives_as_it_was_set(files: Path, value: str) -> None:
    COMMANDS.set_output("job-name", value)
    COMMANDS.set_output("image", "after")

    read = dict(key_values((files / "OUTPUT").read_bytes().decode()))
    assert read == {"job-name": value, "image": "after"}


def test_an_output_is_there_at_once(files: Path) -> None:
    COMMANDS.set_output("job", "a")

    assert (files / "OUTPUT").stat().st_size > 0


def test_a_missing_command_file_is_an_error_that_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", "/nonexistent/output")

    with pytest.raises(InputError, match=r"GITHUB_OUTPUT names no file .*: '/nonexistent/output'"):
        COMMANDS.set_output("job", "a")


def test_every_line_of_a_secret_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    COMMANDS.mask("-----BEGIN\n  100% key\r\n\n}\n-----END")
    COMMANDS.line("100% key, -----END")

    log = printed(capsys)
    assert log.text.strip() == "***, ***"
    assert {"100% key", "-----BEGIN", "-----END"} <= set(log.of("add-mask"))


@pytest.mark.parametrize("secret", ["", "\n", "  ", "ab", "a\nb"])
def test_nothing_that_would_blank_the_log_is_masked(
    capsys: pytest.CaptureFixture[str], secret: str
) -> None:
    COMMANDS.mask(secret)

    assert [part for part in printed(capsys).of("add-mask") if len(part) < 3] == []


@pytest.mark.parametrize("level", ["notice", "warning", "error"])
def test_an_annotation_keeps_its_text_and_place(
    capsys: pytest.CaptureFixture[str], level: str
) -> None:
    text = "100%: a,b::c\nhint: d\r"
    getattr(COMMANDS, level)(text, file="a,b:c.py", line=3, title="x: y, 5%")

    (command,) = printed(capsys).commands
    assert (command.name, command.data) == (level, text)
    assert command.properties == {"file": "a,b:c.py", "line": "3", "title": "x: y, 5%"}


def test_an_annotation_without_a_place_has_our_title_alone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    COMMANDS.warning("text")

    assert capsys.readouterr().out == "::warning title=launch-action::text\n"


@pytest.mark.parametrize(
    "text", ["::add-mask::e", "a\n  ::error::x", "a\r::stop-commands::t", "seen ##[error]here"]
)
def test_no_line_of_ours_is_a_command_whatever_is_in_it(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    COMMANDS.line(text)

    assert printed(capsys).commands == ()


def test_a_group_in_a_group_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    commands = WorkflowCommands()
    with commands.group("build"), commands.group("resolve"):
        commands.line("inside")
    with commands.group("record"):
        pass

    log = printed(capsys)
    names = [(one.name, one.data) for one in log.commands]
    assert names == [("group", "build"), ("endgroup", ""), ("group", "record"), ("endgroup", "")]
    assert "resolve\ninside" in log.text


def test_a_group_ends_even_when_the_work_fails(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), COMMANDS.group("build\n::error::x"):
        raise ZeroDivisionError

    assert [c.name for c in printed(capsys).commands] == ["group", "endgroup"]


@pytest.mark.parametrize("last", ["", "\n", "no line end", "::error::x"])
def test_what_another_program_prints_is_no_command_and_ours_are_again_afterwards(
    capsys: pytest.CaptureFixture[str], last: str
) -> None:
    with COMMANDS.stop_commands():
        sys.stdout.write("::add-mask::e\n##[error]x\n::endgroup::\n" + last)
    COMMANDS.notice("ours")

    log = printed(capsys)
    assert [c.name for c in log.commands] == ["stop-commands", "notice"]
    assert "::add-mask::e" in log.text


def test_commands_of_ours_wait_until_the_other_program_has_ended(
    capsys: pytest.CaptureFixture[str], files: Path
) -> None:
    commands = WorkflowCommands()
    with commands.stop_commands():
        commands.warning("held", "train.py", 3)
        commands.set_output("run-id", "r1")
        assert dict(key_values((files / "OUTPUT").read_text())) == {"run-id": "r1"}
        print("of the job")
    commands.notice("later")

    log = printed(capsys)
    assert [(one.name, one.data) for one in log.commands if one.data][1:] == [
        ("warning", "held"),
        ("notice", "later"),
    ]
    assert log.text.index("of the job") < log.text.index("held")


def test_the_token_that_starts_commands_again_cannot_be_guessed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(2):
        with COMMANDS.stop_commands():
            pass

    first, second = printed(capsys).of("stop-commands")
    assert first != second
    assert len(first) >= 32


@given(
    st.text(st.sampled_from(":# \t\r\n[]aeror-msk\u00a0\u2028"), max_size=20),
    st.sampled_from(["", "\r", "\n ", "\u00a0", "\x0b"]),
)
def test_no_outside_text_is_taken_for_a_command(text: str, before: str) -> None:
    for command in ("::error::x", "##[error]x", "::stop-commands::x"):
        assert read_log(inert(text + before + command + text)).commands == ()


def test_a_text_without_commands_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    COMMANDS.line("std::vector, #1 [x]: ✓")

    assert capsys.readouterr().out == "std::vector, #1 [x]: ✓\n"


def test_the_summary_is_appended(files: Path) -> None:
    (files / "STEP_SUMMARY").write_text("before\n")

    assert COMMANDS.add_summary("### ✓")
    assert (files / "STEP_SUMMARY").read_text("utf-8") == "before\n### ✓\n"


@pytest.mark.parametrize("there", [0, 1000, SUMMARY_LIMIT - 10, SUMMARY_LIMIT])
def test_the_summary_stays_within_the_limit_of_a_step(files: Path, there: int) -> None:
    (files / "STEP_SUMMARY").write_bytes(b"x" * there)

    COMMANDS.add_summary("é line\n" * 200_000)

    written = (files / "STEP_SUMMARY").read_bytes()
    assert len(written) <= SUMMARY_LIMIT
    assert len(written) == there or there > 1000 or b"left out" in written[-100:]
    if there <= 1000:
        written.decode("utf-8")


def test_without_a_summary_file_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")

    assert not COMMANDS.add_summary("x")


def test_an_image_is_told_by_digest(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert COMMANDS.add_artifact(IMAGE)
    assert (files / "ARTIFACTS").read_text() == IMAGE + "\n"

    monkeypatch.delenv("GITHUB_ARTIFACTS")
    assert not COMMANDS.add_artifact(IMAGE)


@pytest.mark.parametrize(
    "subject", ["ghcr.io/acme/train:v1", "a=b@sha256:" + "a" * 64, IMAGE + "\nx"]
)
def test_anything_but_a_digest_is_no_artifact(subject: str) -> None:
    with pytest.raises(InputError):
        COMMANDS.add_artifact(subject)


def test_output_is_utf_8_whatever_the_locale() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")

    prepare_output(stream)
    stream.write("✓ \ud800\n")

    assert raw.getvalue() == "✓ ?\n".encode()


def test_lines_of_ours_and_of_a_child_come_in_the_order_of_their_making() -> None:
    program = (
        "import subprocess, sys\n"
        "from launch_action.github.commands import WorkflowCommands, prepare_output\n"
        "prepare_output()\n"
        "with WorkflowCommands().group('g'):\n"
        "    subprocess.run(['echo', 'child'])\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "::group::g\nchild\n::endgroup::\n"


USED = {
    "command": {"issue_command"},
    "file_command": {"issue_file_command", "prepare_key_value_message"},
}


def test_of_actions_toolkit_these_functions_are_used_and_by_the_adapter_alone() -> None:
    """Each has tests above: commands and their escaping, files, and delimiters."""
    found: dict[str, dict[str, set[str]]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            names = {alias.name for alias in node.names}
            module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
            assert not [name for name in names if name.startswith("actions_toolkit")], path
            if isinstance(node, ast.ImportFrom) and module.startswith("actions_toolkit"):
                part = module.removeprefix("actions_toolkit").lstrip(".")
                found.setdefault(path.name, {}).setdefault(part, set()).update(names)

    assert found == {"commands.py": USED}


@pytest.mark.parametrize("text", ["50% :: of, a: b", "%0A", "a\r\nb", "ends,with:%"])
def test_data_and_properties_are_escaped_as_the_runner_reads_them(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    COMMANDS.warning(text, "a,b:c%.py", 3, title="x,y:z")

    (command,) = printed(capsys).commands
    assert command.data == text
    assert command.properties == {"title": "x,y:z", "file": "a,b:c%.py", "line": "3"}


def test_every_output_has_a_delimiter_of_its_own_that_no_value_can_end(files: Path) -> None:
    for _ in range(2):
        COMMANDS.set_output("image", "x\nghadelimiter_\ny")

    written = (files / "OUTPUT").read_text()
    delimiters = [line.partition("<<")[2] for line in written.splitlines() if "<<" in line]
    assert len(set(delimiters)) == 2
    assert dict(key_values(written)) == {"image": "x\nghadelimiter_\ny"}


def test_the_adapter_does_not_import_a_http_client() -> None:
    program = "import sys, launch_action.github.commands; print('requests' in sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    )

    assert done.stdout.strip() == "False"
