"""What the documents say is what the program does."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch_action.cli import _parsed
from launch_action.commands.arguments import parser
from launch_action.core.input_table import INPUTS
from launch_action.core.inputs_page import action_table, page
from launch_action.core.outputs import OUTPUTS

ROOT = Path(__file__).parents[2]


def test_the_page_of_inputs_is_current() -> None:
    assert (ROOT / "docs" / "inputs.md").read_text("utf-8") == page()


def test_the_readme_has_the_inputs_of_the_action() -> None:
    assert action_table() in (ROOT / "README.md").read_text("utf-8")


def test_every_option_in_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    commands = re.findall(r"launch-action (?:launch|build|run)\b[^\n`]*(?:\\\n[^\n`]*)*", text)
    bare = [re.sub(r"\"[^\"]*\"", "", line) for line in commands]
    options = {word for line in bare for word in re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", line)}
    known = {flag for row in INPUTS for flag in (f"--{row.name}", *row.flags)}

    assert len(commands) > 3
    assert options <= known | {"--json", "--dry-run", "--no-push", "--help"}


def commands(path: Path) -> Iterator[list[str]]:
    """The words of each command of ours in the blocks of a page, as a shell parts them."""
    for block in re.findall(r"```(?:sh|bash|)\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            typed = re.match(r"\s*(?:[A-Z_]+=\S+ )*launch-action (?!is\b)(.*)", line)
            if typed and "..." not in typed[1]:
                words = shlex.split(typed[1], comments=True)
                end = (i for i, word in enumerate(words) if word in ("|", ">", ">>", "&&", ";"))
                yield words[: next(end, len(words))]


PAGES = [p for p in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")) if any(commands(p))]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_commands_of_a_page_can_be_typed(path: Path) -> None:
    for words in commands(path):
        assert _parsed(words).command, words


def test_the_readme_names_only_inputs_and_outputs_of_the_action() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"uses: org/launch-action@v1\n  with:\n((?:    .*\n)*)", text)
    given = {name for block in blocks for name in re.findall(r"^    ([a-z-]+):", block, re.M)}
    outputs = set(re.findall(r"steps\.launch\.outputs\.([a-z-]+)", text))

    assert given
    assert given <= {row.name for row in INPUTS if "action" in row.commands}
    assert outputs <= {output.action_name for output in OUTPUTS}


def test_links_between_documents_lead_somewhere() -> None:
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), (path.name, target)


def test_every_trap_names_tests_that_exist() -> None:
    text = (ROOT / "docs" / "action.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text)

    assert len(named) > 40
    for path, test in named:
        assert f"def {test}(" in (ROOT / path).read_text("utf-8"), (path, test)


def test_the_action_s_page_names_only_inputs_and_outputs_that_exist() -> None:
    text = (ROOT / "docs" / "action.md").read_text("utf-8")
    by_mode = text[text.index("## Inputs by mode") : text.index("## Outputs")]
    outputs = text[text.index("## Outputs") : text.index("## Permissions")]
    first = "\n".join(line.split("|")[1] for line in by_mode.splitlines() if line.startswith("| `"))
    told = "\n".join(line.split("|")[2] for line in outputs.splitlines() if line.startswith("| "))

    assert set(re.findall(r"`([a-z-]+)`", first)) <= {row.name for row in INPUTS}
    assert set(re.findall(r"`([a-z-]+)`", told)) == {output.action_name for output in OUTPUTS}


def test_every_command_has_help() -> None:
    assert "{launch,build,run" not in parser("").format_help()
    for command in ("launch", "build", "run", "action", "doctor"):
        assert command in parser("").format_help()
