"""The command line: what is the job's own after `--`, and options that exclude each other."""

from __future__ import annotations

import pytest

from launch_action.cli import _command, _parsed
from launch_action.core.errors import InputError
from launch_action.core.input_values import read_inputs
from launch_action.core.outputs import Outcome


def test_what_follows_two_dashes_is_the_job_s_whatever_it_looks_like() -> None:
    chosen = _parsed(["run", "job:v1", "--set", "a=1", "--", "--json", "-h", "a b", "--", "$x"])

    assert (chosen.command, chosen.job, chosen.json) == ("run", "job:v1", False)
    assert chosen.args == ["--json", "-h", "a b", "--", "$x"]
    assert read_inputs({"args": chosen.args}, {}).args == ("--json", "-h", "a b", "--", "$x")


def test_arguments_as_one_text_are_split_as_a_shell_does() -> None:
    assert read_inputs({"args": "--name 'a b' c"}, {}).args == ("--name", "a b", "c")
    with pytest.raises(InputError, match="split into words"):
        read_inputs({"args": "'a"}, {})


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run", "job:v1", "--args", "a", "--", "b"], "come twice"),
        (["build", "-E", "python x.py", "--", "b"], "could take arguments"),
        (["doctor", "--", "b"], "could take arguments"),
        (["launch", "-j", "job:v1", "--image", "ghcr.io/a/b"], "--image is for a build"),
        (["launch", "--job", "job:v1", "-b", "jobs"], "--build-context is for a build"),
        (["launch", "--job", "job:v1", "--dry-run"], "nothing to plan"),
    ],
)
def test_what_contradicts_itself_is_an_input_error(words: list[str], text: str) -> None:
    with pytest.raises(InputError, match=text):
        _command(words, Outcome())
