from __future__ import annotations

from collections.abc import Mapping

import pytest

from launch_action.core.errors import InputError
from launch_action.core.python_version import DEFAULT_PYTHON, RELEASED, Reader, choose_python


def folder(path: str, **files: str) -> tuple[str, Reader]:
    names = {"version": ".python-version", "runtime": "runtime.txt", "project": "pyproject.toml"}
    content: Mapping[str, bytes] = {names[key]: text.encode() for key, text in files.items()}
    return path, content.get


def requires(specifier: str) -> str:
    return f'[project]\nname = "a"\nrequires-python = "{specifier}"\n'


@pytest.mark.parametrize(
    "text",
    ["3.11", "3.11.7", "python3.11", "python-3.11.9", "cpython-3.11", "cpython@3.11.2", " 3.11 "],
)
def test_the_option_is_read_in_every_spelling(text: str) -> None:
    chosen = choose_python(text, [folder("", version="3.13")])
    assert (chosen.version, chosen.source) == ("3.11", "--python")


@pytest.mark.parametrize("text", ["3.99", "banana", "2.7", "3", "pypy3.10", "3.13t", "3.11; rm"])
def test_what_is_no_release_of_cpython_is_refused_with_its_value(text: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_python(text)
    assert repr(text) in caught.value.message
    assert "--python" in caught.value.message


@pytest.mark.parametrize(
    ("content", "version"),
    [
        ("3.10\n", "3.10"),
        ("# chosen\n\n3.11.4  # for now\n3.12\n", "3.11"),
        ("python-3.9.1\n", "3.9"),
        ("cpython-3.12.3-linux-x86_64-gnu\r\n", "3.12"),
        ("\ufeff3.13\n", "3.13"),
        ("system\n3.10.1\n", "3.10"),
    ],
)
def test_a_version_file_gives_its_first_version(content: str, version: str) -> None:
    chosen = choose_python(None, [folder("jobs/a", version=content)])
    assert (chosen.version, chosen.source) == (version, "jobs/a/.python-version")


def test_a_wrong_version_file_is_named_with_its_value() -> None:
    with pytest.raises(InputError, match=r"jobs/a/\.python-version: not CPython.*'pypy3.9-7.3.13'"):
        choose_python(None, [folder("jobs/a", version="pypy3.9-7.3.13\n")])
    with pytest.raises(InputError, match=r"runtime\.txt: no such Python: 'python-3.99.1'"):
        choose_python(None, [folder("", runtime="python-3.99.1\n")])


def test_the_nearest_directory_wins_over_a_stronger_file_above() -> None:
    folders = [folder("jobs/a", project=requires(">=3.9,<3.11")), folder("", version="3.13")]
    chosen = choose_python(None, folders)
    assert (chosen.version, chosen.source) == ("3.10", "requires-python of jobs/a/pyproject.toml")


def test_within_a_directory_the_version_file_comes_first() -> None:
    here = folder("", version="3.10", runtime="python-3.11.1", project=requires(">=3.12"))
    assert choose_python(None, [here]).version == "3.10"


def test_files_that_say_nothing_are_passed_over() -> None:
    folders = [folder("a", version="# none\n", project="[tool.x]\n"), folder("", runtime="3.9")]
    assert choose_python(None, folders).source == "runtime.txt"


def test_nothing_declared_gives_the_default() -> None:
    chosen = choose_python("", [folder("", project="[project]\nname = 'a'\n")])
    assert (chosen.version, chosen.source) == (DEFAULT_PYTHON, "the default")


@pytest.mark.parametrize(
    ("specifier", "version"),
    [
        (">=3.9", DEFAULT_PYTHON),
        (">=3.11.4", DEFAULT_PYTHON),
        ("", DEFAULT_PYTHON),
        (">=3.9,<3.12", "3.11"),
        ("==3.10.*", "3.10"),
        ("==3.11.7", "3.11"),
        ("~=3.13.2", "3.13"),
        (">=3.13", "3.13"),
        (">3.12,!=3.12.*", "3.13"),
    ],
)
def test_requires_python_gives_the_release_nearest_to_the_default(
    specifier: str, version: str
) -> None:
    assert choose_python(None, [folder("", project=requires(specifier))]).version == version


@pytest.mark.parametrize("specifier", [">=4", "<3", "three", ">=3.11,<3.11"])
def test_a_requires_python_that_no_release_satisfies_is_named(specifier: str) -> None:
    with pytest.raises(InputError) as caught:
        choose_python(None, [folder("jobs", project=requires(specifier))])
    assert caught.value.message.startswith("jobs/pyproject.toml: ")
    assert repr(specifier) in caught.value.message


def test_a_pyproject_that_is_not_toml_is_named() -> None:
    with pytest.raises(InputError, match=r"^pyproject\.toml: not TOML"):
        choose_python(None, [folder("", project="[project\n")])


def test_the_default_is_a_release() -> None:
    assert DEFAULT_PYTHON in RELEASED
