"""The page of W&B's options: all of the SDK's are on it, and the tests that it names exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from wandb.cli.cli import cli

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs" / "wandb-options.md").read_text("utf-8")
_TEST = re.compile(r"`((?:unit|contract|e2e)/[\w/]+\.py)::(\w+)`")


def section(title: str) -> str:
    """The first column of the tables under a heading that begins so."""
    (found,) = [part for part in PAGE.split("\n## ") if part.startswith(title)]
    return "\n".join(line.split("|")[1] for line in found.splitlines() if line.startswith("| `"))


def spellings(*path: str) -> Iterator[str]:
    """Every spelling of every option, and the arguments, of one of W&B's commands."""
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield from parameter.opts
        else:
            yield str(parameter.name).upper()


COMMANDS = {
    ("launch",): "`wandb launch`",
    ("job", "create"): "`wandb job create`",
    ("job", "list"): "`wandb job list`",
    ("job", "describe"): "`wandb job list`",
    ("launch-agent",): "`wandb launch-agent`",
}


@pytest.mark.parametrize(
    ("title", "spelling"),
    [(title, one) for path, title in COMMANDS.items() for one in spellings(*path)],
)
def test_every_option_of_the_sdk_is_on_the_page(title: str, spelling: str) -> None:
    assert f"`{spelling}`" in section(title)


def test_no_command_of_jobs_is_forgotten() -> None:
    group = cli.commands["job"]
    assert isinstance(group, click.Group)

    assert {("job", name) for name in group.commands} <= set(COMMANDS)


@pytest.mark.parametrize(("path", "name"), sorted(set(_TEST.findall(PAGE))))
def test_a_test_that_is_named_exists(path: str, name: str) -> None:
    assert f"\ndef {name}(" in (TESTS / path).read_text("utf-8")


def test_every_row_names_a_test() -> None:
    heads = ("| option ", "| | ", "| W&B 0.31 | test |", "| --- ")
    rows = [line for line in PAGE.splitlines() if line.startswith("| ")]

    assert [row for row in rows if not (row.startswith(heads) or _TEST.search(row))] == []
