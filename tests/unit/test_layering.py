"""The dependency direction: an import goes strictly downwards, and core touches nothing."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "src"
PACKAGE = "launch_action"
COMMON = ("process", "cache", "scratch", "engine", "workers")
EDGES = ("git", "code", "oci", "builders", "runners", "github", "report", "wandb", "wandb_runs")
# From the ground up.
SHELL = ("planning", "jobs", "launches", "commands", "step", "cli", "__main__")
# What core may not import: each is a way to touch the world.
EFFECTS = {
    "os", "subprocess", "pathlib", "socket", "ssl", "http", "urllib.request", "urllib3", "requests",
    "tempfile", "shutil", "time", "random", "secrets", "threading", "sys", "docker", "github",
}  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports anywhere, inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names)


@functools.cache
def imported(name: str) -> frozenset[str]:
    """The other modules of the package that one imports."""
    return frozenset(i for i in imports(MODULES[name]) if i in MODULES and i != name)


def part(name: str) -> str:
    """The first name below the package: `core`, `oci`, `cli`."""
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("name", [n for n in MODULES if part(n) == "core"])
def test_core_imports_only_core_and_nothing_that_touches_the_world(name: str) -> None:
    found = set(imports(MODULES[name]))

    if name == f"{PACKAGE}.core.concurrency":  # waiting for several things touches none of them
        found.remove("threading")
    assert {part(i) for i in found & set(MODULES)} <= {"core", ""}
    assert not {i for i in found if i in EFFECTS or i.split(".")[0] in EFFECTS}


@pytest.mark.parametrize("name", [n for n in MODULES if part(n) in (*COMMON, *EDGES)])
def test_an_edge_package_imports_core_and_the_common_doors_and_no_sibling(name: str) -> None:
    allowed = {"core", part(name), ""} | (set() if part(name) in COMMON else set(COMMON))

    assert {part(i) for i in imported(name)} <= allowed


@pytest.mark.parametrize("name", [n for n in MODULES if part(n) in SHELL])
def test_a_part_of_the_shell_imports_no_part_above_it(name: str) -> None:
    above = SHELL[SHELL.index(part(name)) + 1 :]

    assert not {part(i) for i in imported(name)} & set(above)


def test_every_module_is_of_a_known_kind() -> None:
    known = {"", "core", *COMMON, *EDGES, *SHELL}

    assert {part(name) for name in MODULES} <= known


def test_there_is_no_cycle() -> None:
    ranks: dict[str, int] = {}

    def rank(name: str, above: tuple[str, ...]) -> int:
        assert name not in above, " -> ".join((*above, name))
        if name not in ranks:
            ranks[name] = 1 + max((rank(i, (*above, name)) for i in imported(name)), default=0)
        return ranks[name]

    for name in MODULES:
        rank(name, ())


def test_only_the_door_starts_programs() -> None:
    """`runners` starts the job itself, which needs a process group of its own."""
    starts = {"Popen", "run", "call", "check_call", "check_output"}
    starters = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {f"subprocess.{s}" for s in starts}
    }

    assert {part(name) for name in starters} == {"process", "runners"}
