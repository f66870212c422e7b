from __future__ import annotations

import ast
import importlib.util
import sys
import venv
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PATH = Path(__file__).parents[2] / "bootstrap.py"


@pytest.fixture(name="bootstrap")
def loaded() -> Any:
    spec = importlib.util.spec_from_file_location("bootstrap_under_test", PATH)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_has_the_syntax_of_python_3_8() -> None:
    ast.parse(PATH.read_text("utf-8"), feature_version=(3, 8))


def test_it_imports_the_standard_library_alone() -> None:
    tree = ast.parse(PATH.read_text("utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }

    assert imported <= sys.stdlib_module_names


def test_the_oldest_python_is_that_of_the_package(bootstrap: Any) -> None:
    project = (PATH.parent / "pyproject.toml").read_text("utf-8")

    assert 'requires-python = ">={}.{}"'.format(*bootstrap.OLDEST) in project
    assert "Python :: {}.{}".format(*bootstrap.NEWEST) in project


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "https_proxy", "NO_PROXY", "SSL_CERT_FILE", "PIP_CERT", "PIP_EXTRA_INDEX_URL",
     "UV_INDEX", "UV_INDEX_CORP_PASSWORD", "UV_CACHE_DIR"],
)  # fmt: skip
def test_an_installer_is_told_how_the_index_is_reached(
    bootstrap: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "x")

    assert bootstrap.tool_environment()[name] == "x"


@pytest.mark.parametrize(
    "name",
    ["PYTHONPATH", "PIP_TARGET", "PIP_USER", "PIP_CONSTRAINT", "PIP_PREFIX", "UV_CONFIG_FILE",
     "UV_CONSTRAINT", "UV_OVERRIDE", "UV_PRERELEASE", "VIRTUAL_ENV", "LAUNCH_INPUTS",
     "GITHUB_TOKEN", "LD_PRELOAD", "XPATH", "PATHS"],
)  # fmt: skip
def test_an_installer_is_told_nothing_else(
    bootstrap: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "x")

    assert name not in bootstrap.tool_environment()


@pytest.mark.parametrize("name", ["PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"])
def test_one_index_setting_serves_both_installers(
    bootstrap: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "https://mirror.example/simple")

    given = bootstrap.tool_environment()

    assert given["PIP_INDEX_URL"] == given["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"


@pytest.mark.parametrize(
    ("version", "implementation", "good"),
    [("3.11", "cpython", True), ("3.14", "cpython", True), ("3.10", "cpython", False),
     ("3.15", "cpython", False), ("2.7", "cpython", False), ("3.11", "pypy", False)],
)  # fmt: skip
def test_which_interpreters_suit(
    bootstrap: Any, version: str, implementation: str, good: bool
) -> None:
    assert bootstrap.suits({"version": version, "implementation": implementation}) is good


def test_the_newest_of_the_tool_cache_comes_first(
    bootstrap: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for version in ("3.9.18", "3.12.10", "3.12.9", "2.7.18"):
        binary = tmp_path / "Python" / version / "x64" / "bin" / "python3"
        binary.parent.mkdir(parents=True)
        binary.touch()
    monkeypatch.setenv("RUNNER_TOOL_CACHE", str(tmp_path))

    found = [Path(path).parts[-4] for path in bootstrap.in_tool_cache()]

    assert found == ["3.12.10", "3.12.9", "3.9.18"]


def test_a_mounted_tool_cache_has_environments_of_its_own(bootstrap: Any, tmp_path: Path) -> None:
    python = bootstrap.describe()
    places = set()
    for folder in ("a", "b"):
        for libc in ("glibc", "musl"):
            facts = {**python, "libc": libc}
            places.add(bootstrap.place_for(facts, tmp_path / folder, "key").name)

    assert len(places) == 4


def test_an_error_is_one_escaped_line(bootstrap: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bootstrap.complain(bootstrap.CannotStart("50%\nlost", "try\ragain"))

    told = capsys.readouterr().out
    assert told == "::error title=launch-action::50%25%0Alost%0Ahint: try%0Dagain\n"


def test_what_is_installed_again_is_replaced_and_starts_from_anywhere(
    bootstrap: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "tool")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--install-into", "tool"])

    bootstrap.main()
    stale = next(tmp_path.glob("tool/lib/*/site-packages/launch_action")) / "stale.py"
    stale.touch()
    bootstrap.main()

    assert not stale.exists()
    script = (tmp_path / "tool/bin/launch-action").read_text("utf-8")
    assert script.splitlines()[0] == f"#!{tmp_path}/tool/bin/python"
