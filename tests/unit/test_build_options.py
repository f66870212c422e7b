"""The options of a Dockerfile build: how they are written, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from launch_action.core.build_options import BuildOptions, Secret, read_build_options
from launch_action.core.errors import InputError
from launch_action.core.input_values import read_inputs
from launch_action.core.inputs import Inputs


def read(environment: dict[str, str] | None = None, **inputs: object) -> BuildOptions:
    return read_build_options(Inputs(**inputs), environment or {})  # type: ignore[arg-type]


def test_a_build_argument_alone_is_taken_from_the_environment() -> None:
    found = read({"A": "1", "B": "2"}, build_arg=("A", "C", "B=3=4", "D="))

    assert found.build_args == (("A", "1"), ("B", "3=4"), ("D", ""))


@pytest.mark.parametrize(
    ("line", "secret"),
    [
        ("id=npm,src=/run/x", Secret("npm", "file", "/run/x")),
        ("id=npm,source=x", Secret("npm", "file", "x")),
        ("id=npm,env=NPM", Secret("npm", "env", "NPM")),
        ("id=NPM", Secret("NPM", "env", "NPM")),
        ("type=env,id=npm,src=NPM", Secret("npm", "env", "NPM")),
        ("npm=a=b,c", Secret("npm", "value", "a=b,c")),
    ],
)
def test_a_secret_is_a_value_a_file_or_a_variable(line: str, secret: Secret) -> None:
    assert read({"NPM": "x"}, secret=(line,)).secrets == (secret,)


def test_no_text_shows_a_secret() -> None:
    inputs = Inputs(secret=("npm=hunter2",))

    assert "hunter2" not in repr(inputs) + repr(read_build_options(inputs, {}))


@pytest.mark.parametrize(
    "inputs",
    [
        {"secret": ("=x",)},
        {"secret": ("a b=hunter2",)},
        {"secret": ("a=hunter2", "a=hunter2")},
        {"secret": ("id=a,env=UNSET",)},
        {"secret": ("id=a,what=hunter2",)},
        {"build_arg": ("=x",)},
        {"label": ("x",)},
        {"annotation": ("=x",)},
        {"add_host": ("x",)},
        {"shm_size": "much"},
        {"ulimit": ("nofile",)},
    ],
)
def test_what_cannot_be_is_told_without_a_secret(inputs: dict[str, object]) -> None:
    with pytest.raises(InputError) as told:
        read({}, **inputs)

    assert next(iter(inputs)).replace("_", "-") in told.value.message or "secret" in str(told.value)
    assert "hunter2" not in told.value.message + told.value.hint


def test_the_inputs_keep_commas_where_they_mean_something() -> None:
    found = read_inputs({"cache-from": "type=registry,ref=a\ntype=gha", "add-host": "a:1,b:2"}, {})

    assert found.cache_from == ("type=registry,ref=a", "type=gha")
    assert found.add_host == ("a:1", "b:2")


@pytest.mark.parametrize(
    "given",
    [
        {"build_arg": ("WANDB_API_KEY",)},
        {"build_arg": ("KEY=a-" + "k" * 40,)},
        {"label": ("key=" + "k" * 40,)},
        {"annotation": ("key=" + "t" * 40,), "git_token": "t" * 40},
        {"build_arg": ("TOKEN=" + "t" * 40,), "wandb_api_key": "t" * 40},
    ],
)
def test_a_key_is_no_part_of_an_image(given: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="has a key or token as") as caught:
        read({"WANDB_API_KEY": "k" * 40 + "\n"}, **given)

    assert "kkkk" not in caught.value.message
    assert "tttt" not in caught.value.message
    assert "--secret id=" in caught.value.hint


def test_other_words_are_none() -> None:
    assert read({"WANDB_API_KEY": "key"}, build_arg=("A=key of b",)).build_args
    assert read({"WANDB_API_KEY": ""}, build_arg=("A=",)).build_args
    # A key that is named by its file.
    assert read({}, build_arg=("A=/etc/keys/deploy",), ssh_key="/etc/keys/deploy").build_args
    with pytest.raises(InputError, match="has a key or token as"):
        read({}, build_arg=("A=-----BEGIN KEY",), ssh_key="-----BEGIN KEY\n")
