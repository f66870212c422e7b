"""The page that describes the inputs and outputs, made from their tables."""

from __future__ import annotations

from collections.abc import Iterator

from launch_action.core.input_table import INPUTS, NOT_IN_ACTION, Input
from launch_action.core.outputs import OUTPUTS

_HEAD = """# Inputs and outputs

Made from the table in `src/launch_action/core/input_table.py`; a test holds it current. An empty
value means the default. On the command line an input is the option `--name`. To write this page
anew: `python -m launch_action.core.inputs_page > docs/inputs.md`.

| input | also | default | in action.yml | commands | meaning |
| --- | --- | --- | --- | --- | --- |
"""
_OUTPUTS = """
## Outputs

Set as soon as each is known. `--json` has the same with `_` for `-`; what is unknown is `null`.

| output | meaning |
| --- | --- |
"""


def page() -> str:
    """The text of docs/inputs.md."""
    outputs = (f"| `{o.action_name}` | {o.help} |\n" for o in OUTPUTS)
    return _HEAD + "".join(map(_row, INPUTS)) + _OUTPUTS + "".join(outputs)


def action_table() -> str:
    """The inputs of action.yml, as README.md has them."""
    rows = (row for row in INPUTS if "action" in row.commands and row.name not in NOT_IN_ACTION)
    lines = (
        f"| `{row.name}` | {f'`{row.default}`' if row.default else ''} | {_cell(row.help)} |\n"
        for row in rows
    )
    return "| input | default | |\n| --- | --- | --- |\n" + "".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _row(known: Input) -> str:
    cells = (
        f"`{known.name}`",
        ", ".join(_spellings(known)),
        f"`{known.default}`" if known.default else "",
        "" if "action" not in known.commands or known.name in NOT_IN_ACTION else "yes",
        ", ".join(command for command in known.commands if command != "action"),
        _cell(known.help),
    )
    return f"| {' | '.join(cells)} |\n"


def _spellings(known: Input) -> Iterator[str]:
    yield from (f"`{flag}`" for flag in known.flags)
    if known.kind == "tristate":
        yield f"`--no-{known.name}`"


if __name__ == "__main__":
    print(page(), end="")  # noqa: T201
