"""Scripts of wheels: entry points and first lines."""

from __future__ import annotations

import pytest

from launch_action.builders.layers.scripts import (
    Script,
    commands,
    read_scripts,
    rewrite,
    rewrite_installed,
)


def test_console_and_gui_scripts_are_read_sorted() -> None:
    text = "[gui_scripts]\nb = m.n:f.g\n[console_scripts]\na=m:f [extra]\n[else]\nc = nonsense\n"
    assert read_scripts(text) == (Script("a", "m", "f"), Script("b", "m.n", "f.g"))


def test_names_keep_their_case_and_percent_signs() -> None:
    assert read_scripts("[console_scripts]\nA%s = m:f\n") == (Script("A%s", "m", "f"),)


@pytest.mark.parametrize(
    "line",
    ["x = m", "x = m:", "x = m:f; import os", "../x = m:f", ".. = m:f", "x = m :f\n y", "x = 1m:f"],
)
def test_what_is_no_script_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a script"):
        read_scripts(f"[console_scripts]\n{line}\n")


def test_a_file_that_is_no_configuration_is_refused() -> None:
    with pytest.raises(ValueError, match="no section headers"):
        read_scripts("console_scripts\n")


def test_a_script_imports_and_exits_with_what_the_function_returns() -> None:
    content = Script("x", "string", "Formatter.format").content("/opt/venv/bin/python")
    assert content.startswith(b"#!/opt/venv/bin/python\n")
    compile(content, "x", "exec")
    assert b"from string import Formatter\n" in content
    assert b"sys.exit(Formatter.format())" in content


@pytest.mark.parametrize(
    ("script", "rewritten"),
    [
        (b"#!python\nx\n", b"#!/v/bin/python\nx\n"),
        (b"#!python -E\nx\n", b"#!/v/bin/python\nx\n"),
        (b"#!pythonw\r\nx\n", b"#!/v/bin/python\nx\n"),
        (b"#!/usr/bin/python\nx\n", b"#!/usr/bin/python\nx\n"),
        (b"#!/bin/sh\n#!python\n", b"#!/bin/sh\n#!python\n"),
        (b"\x7fELF", b"\x7fELF"),
        (b"", b""),
    ],
)
def test_only_the_placeholder_is_rewritten(script: bytes, rewritten: bytes) -> None:
    assert rewrite(script, "/v/bin/python") == rewritten


@pytest.mark.parametrize(
    ("script", "rewritten"),
    [
        (b"#!/tool/bin/python\nx\n", b"#!/v/bin/python\nx\n"),
        (b"#!/tool/bin/python3\nx\n", b"#!/tool/bin/python3\nx\n"),
        (
            b"#!/bin/sh\n'''exec' '/tool/bin/python' \"$0\" \"$@\"\n' '''\nx\n",
            b"#!/v/bin/python\nx\n",
        ),
        (b"#!/bin/sh\necho\n", b"#!/bin/sh\necho\n"),
    ],
)
def test_what_a_tool_wrote_is_rewritten(script: bytes, rewritten: bytes) -> None:
    assert rewrite_installed(script, "/tool/bin/python", "/v/bin/python") == rewritten


def test_pip_gets_the_command_of_its_python_and_no_other() -> None:
    found = commands(
        [Script("pip", "p", "m"), Script("pip3", "p", "m"), Script("pip3.9", "p", "m")],
        distribution="pip",
        python="3.12",
    )
    assert [script.name for script in found] == ["pip", "pip3", "pip3.12"]


def test_another_distribution_keeps_its_commands() -> None:
    scripts = (Script("pip", "p", "m"), Script("pip3.9", "p", "m"))
    assert commands(scripts, distribution="other", python="3.12") == scripts
