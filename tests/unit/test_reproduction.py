"""The command that reproduces a leg: the real parser takes it, and it says what the inputs said."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from launch_action.commands.arguments import parser
from launch_action.core.input_values import read_inputs
from launch_action.core.inputs import Inputs
from launch_action.core.outputs import Outcome
from launch_action.core.reproduction import reproduction

JOB = "ghcr.io/acme/train@sha256:" + "a" * 64
COMMIT = "c" * 40
PUSHED = {**Outcome().values, "job": JOB, "pushed": True, "run_id": "x"}
LOCAL = {
    **Outcome().values,
    "job": "train@sha256:1",
    "pushed": False,
    "metadata": {"remote": "https://github.com/acme/mono", "commit": COMMIT},
}


def parsed(command: str) -> Any:
    program, name, *rest = shlex.split(command.replace("\\\n", " "))
    assert program == "launch-action"
    return parser(name).parse_args([name, *rest])


def test_a_version_in_a_registry_is_run_as_it_was() -> None:
    inputs = Inputs(
        entry_point="python train.py",
        image="ghcr.io/acme/train",
        set=("lr=0.1", "note=it's | $HOME `x`", "-x=1"),
        env=("TOKEN=secret-4711", "HOME"),
        args=("--fast", "a b"),
        timeout=90.0,
        resource="local-process",
        registry_password="pass-4711",
        fail_if=("accuracy < 0.9",),
    )
    command = reproduction(PUSHED, inputs)
    chosen = parsed(command)
    args = chosen.args[0] if isinstance(chosen.args, list) else chosen.args

    assert (chosen.command, chosen.job) == ("run", JOB)
    assert chosen.set == list(inputs.set)
    assert chosen.env == ["TOKEN", "HOME"]
    assert shlex.split(args) == ["--fast", "a b"]
    assert (chosen.timeout, chosen.resource) == ("1m30s", "local-process")
    assert getattr(chosen, "fail-if") == ["accuracy < 0.9"]
    assert "4711" not in command


def test_what_is_not_pushed_is_built_from_its_commit() -> None:
    inputs = Inputs(
        entry_point="python train.py",
        image="ghcr.io/acme/train",
        push=False,
        python="3.11",
        build_arg=("A=1",),
        compile=False,
        install_project=True,
        platform=("linux/amd64", "linux/arm64"),
        alias=("x",),
        wandb_api_key="k" * 40,
    )
    chosen = parsed(reproduction(LOCAL, inputs))

    assert chosen.command == "build"
    assert (chosen.uri, getattr(chosen, "git-hash")) == ("https://github.com/acme/mono", COMMIT)
    assert getattr(chosen, "entry-point") == "python train.py"
    assert (chosen.python, chosen.platform) == ("3.11", ["linux/amd64", "linux/arm64"])
    assert (chosen.compile, getattr(chosen, "install-project")) == ("false", "true")
    assert (chosen.image, chosen.push, chosen.alias) == (None, None, None)


def test_a_run_of_what_is_not_pushed_is_launched() -> None:
    assert parsed(reproduction({**LOCAL, "run_id": "x"}, Inputs())).command == "launch"


@pytest.mark.parametrize("metadata", [None, {}, {"remote": "x"}, {"commit": COMMIT}])
def test_where_nothing_is_known_there_is_no_command(metadata: Any) -> None:
    assert reproduction({**LOCAL, "metadata": metadata}, Inputs()) == ""


def test_every_option_that_can_be_in_it_is_read_as_it_was_given() -> None:
    given = {"python": "3.12", "requirements": "-r.txt", "target": "a b", "label": "a=b\nc=d"}
    inputs = read_inputs(given, {})
    chosen = vars(parsed(reproduction(LOCAL, inputs)))

    again = read_inputs({name: chosen[name] for name in given}, {})
    assert again == inputs
