"""The examples name inputs, options and commands that there are."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.github_runner import resolve_inputs

from launch_action.commands.arguments import parser
from launch_action.core.input_values import read_inputs, with_build_options

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / "examples" / "workflows").glob("*.yml"))
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
OTHERS = [ROOT / "examples" / "gitlab-ci.yml", *WORKFLOWS, *(ROOT / ".github").rglob("*.yml")]


def steps(path: Path) -> Iterator[dict[str, Any]]:
    document = yaml.safe_load(path.read_text("utf-8"))
    for job in (document.get("jobs") or {}).values():
        yield from job.get("steps", ())


def ours() -> list[Any]:
    paths = [*WORKFLOWS, *(ROOT / ".github" / "workflows").glob("*.yml")]
    return [
        pytest.param(step, id=f"{path.stem}: {step['name']}")
        for path in paths
        for step in steps(path)
        if step.get("uses", "").startswith(("org/launch-action@", "./"))
    ]


def texts(value: Any) -> str:
    """An input's value as the runner hands it over, expressions put out of the way."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return re.sub(r"\$\{\{.*?\}\}", "expression", text)


@pytest.mark.parametrize("step", ours())
def test_a_step_of_the_action_gives_inputs_that_can_be_read(step: dict[str, Any]) -> None:
    given = {name: texts(value) for name, value in (step.get("with") or {}).items()}
    values, unknown = resolve_inputs(ACTION, given, {"github": {"token": ""}})

    assert unknown == ()
    assert read_inputs(with_build_options(values), {})


def command_lines() -> list[Any]:
    found = []
    for path in OTHERS:
        text = path.read_text("utf-8").replace("\\\n", " ")
        for line in re.findall(
            r"launch-action((?: (?:build|launch|cleanup|run|discover))\b.*)", text
        ):
            found.append(pytest.param(line, id=f"{path.stem}:{line.strip()[:40]}"))
    return found


@pytest.mark.parametrize("line", command_lines())
def test_a_command_line_is_understood(line: str) -> None:
    words = shlex.split(re.split(r"\s(?:>>|\|)|[)`]", line)[0].strip())

    assert parser(words[0]).parse_args(words)
