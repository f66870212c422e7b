"""The map of the code in docs/design.md is of the code that is there."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _mapped() -> dict[str, list[str]]:
    """The folders of the map in docs/design.md, each with the names of its modules."""
    page = (ROOT / "docs/design.md").read_text("utf-8")
    text = page.partition("## Where things are")[2].partition("```")[2].partition("```")[0]
    found: dict[str, list[str]] = {}
    folder = ""
    for line in text.splitlines():
        words = re.split(r" {3,}", line.strip())[0].split()
        if not line.startswith(" "):
            folder = words[0].rstrip("/") if words else ""
        elif line[2:3] != " ":
            found.setdefault(folder, []).extend(words)
    return found


@pytest.mark.parametrize("folder", sorted(_mapped()))
def test_the_map_of_the_code_names_every_module_and_no_other(folder: str) -> None:
    named = _mapped()[folder]
    files = (ROOT / "src/launch_action" / folder).glob("[!_]*.py")
    modules = {path.stem for path in files}

    assert not [one for one in modules if not any(fnmatch(one, name) for name in named)]
    assert not [name for name in named if not any(fnmatch(one, name) for one in modules)]
