"""Console scripts of a job's environment, made to work in a run directory."""

from __future__ import annotations

import pytest

from launch_action.runners.relocate import relocated

BODY = b"\nimport sys\nprint(sys.argv)\n"
SHORT = "/tmp/launch-x/root/opt/venv"


@pytest.mark.parametrize("python", [b"python", b"python3", b"python3.11"])
def test_the_first_line_names_the_run_s_python(python: bytes) -> None:
    script = b"#!/opt/venv/bin/" + python + BODY

    assert (
        relocated(script, "/opt/venv", SHORT) == b"#!" + SHORT.encode() + b"/bin/" + python + BODY
    )


def test_an_option_of_the_first_line_is_kept() -> None:
    found = relocated(b"#! /opt/venv/bin/python  -E" + BODY, "/opt/venv", SHORT)

    assert found == b"#!" + SHORT.encode() + b"/bin/python -E" + BODY


@pytest.mark.parametrize(
    "script",
    [
        b"#!/usr/bin/env python" + BODY,
        b"#!/bin/sh\n# /opt/venv/bin/python\n",
        b"#!/opt/venv2/bin/python" + BODY,
        b"\x7fELF#!/opt/venv/bin/python",
        b"import os\n#!/opt/venv/bin/python\n",
        b"",
    ],
)
def test_other_programs_stay_as_they_are(script: bytes) -> None:
    assert relocated(script, "/opt/venv", SHORT) == script


@pytest.mark.filterwarnings("ignore:invalid escape sequence")
@pytest.mark.parametrize("venv", ["/a b", "/" + "x" * 127, '/a"b `c` $d \\e'])
def test_a_path_that_no_first_line_holds_is_reached_through_a_shell(venv: str) -> None:
    found = relocated(b"#!/opt/venv/bin/python -E" + BODY, "/opt/venv", venv)

    lines = found.split(b"\n")
    assert lines[0] == b"#!/bin/sh"
    assert lines[1].startswith(b"'''exec' \"")
    # What the shell reads as a command, Python reads as a string.
    namespace: dict[str, object] = {"__name__": "script"}
    exec(compile(found.replace(b"print(sys.argv)", b"ran = True"), "script", "exec"), namespace)
    assert namespace["ran"] is True
