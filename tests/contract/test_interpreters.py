"""The interpreters of a machine: where runners and tools keep them, and what is not started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from launch_action.builders.layers.bytecode_python import fetch_python
from launch_action.builders.layers.interpreters import Machine, ask
from launch_action.cache import Cache
from launch_action.core.errors import BuildError

VERSION = ".".join(map(str, sys.version_info[:3]))
MINOR = VERSION.rpartition(".")[0]


class Place:
    """A machine below a directory, with programs that say to be a Python."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": "", "HOME": str(folder / "home")}
        self.environment["RUNNER_TOOL_CACHE"] = str(folder / "tools")
        self.checkout = folder / "checkout"

    def program(self, path: str, version: str, kind: str = "cpython") -> Path:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\necho >> {self.folder}/starts\necho {kind}\necho {version}\n")
        file.chmod(0o755)
        return file

    def found(self, minor: str) -> list[tuple[str, str]]:
        machine = Machine(Cache(self.folder / "cache"), self.environment, self.checkout)
        return [
            (one.version, str(Path(one.executable).relative_to(self.folder)))
            for one in machine.interpreters(minor)
        ]

    @property
    def starts(self) -> int:
        file = self.folder / "starts"
        return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_our_own_comes_first_and_outside_of_its_environment(tmp_path: Path) -> None:
    found = next(Machine(Cache(tmp_path), {}, tmp_path).interpreters(MINOR))
    assert found.version == VERSION
    assert ask(found.executable) == VERSION
    assert not Path(found.executable).is_symlink()


def test_names_of_directories_are_believed_the_newest_first(place: Place) -> None:
    place.program("tools/Python/3.4.2/x64/bin/python3.4", "unasked")
    place.program("tools/Python/3.4.10/x64/bin/python3.4", "unasked")
    place.program("tools/Python/3.4.11/x64-freethreaded/bin/python3.4", "unasked")
    place.program("home/.pyenv/versions/3.4.5/bin/python3.4", "unasked")
    place.program("home/.pyenv/versions/pypy3.4-7/bin/python3.4", "unasked")
    uv = "home/.local/share/uv/python/cpython-3.4.6-linux-x86_64-gnu/bin/python3.4"
    place.program(uv, "unasked")
    assert place.found("3.4") == [
        ("3.4.10", "tools/Python/3.4.10/x64/bin/python3.4"),
        ("3.4.2", "tools/Python/3.4.2/x64/bin/python3.4"),
        ("3.4.5", "home/.pyenv/versions/3.4.5/bin/python3.4"),
        ("3.4.6", uv),
    ]
    assert place.starts == 0


def test_what_is_on_path_is_asked_once(place: Place) -> None:
    place.program("bin/python3.4", "3.4.7")
    place.environment["PATH"] = f"relative:{place.folder}/none:{place.folder}/bin"
    assert place.found("3.4") == [("3.4.7", "bin/python3.4")]
    assert place.found("3.4") == [("3.4.7", "bin/python3.4")]
    assert place.starts == 1
    place.program("bin/python3.4", "3.4.71")  # upgraded
    assert place.found("3.4") == [("3.4.71", "bin/python3.4")]


@pytest.mark.parametrize(
    ("path", "version", "kind"),
    [
        ("bin/python3.4", "3.4.7", "pypy"),
        ("bin/python3.4", "3.4.7", "cpythont"),
        ("bin/python3.4", "3.5.7", "cpython"),
        ("shims/python3.4", "3.4.7", "cpython"),
    ],
)
def test_another_implementation_or_version_and_shims_are_passed_over(
    path: str, version: str, kind: str, place: Place
) -> None:
    place.environment["PATH"] = str(place.program(path, version, kind).parent)
    assert place.found("3.4") == []


def test_nothing_of_the_checkout_is_started(place: Place) -> None:
    inside = place.program("checkout/.venv/bin/python3.4", "3.4.7")
    place.program("checkout/tools/Python/3.4.2/x64/bin/python3.4", "3.4.2")
    link = place.folder / "links/python3.4"
    link.parent.mkdir()
    link.symlink_to(inside)
    place.environment["PATH"] = f"{inside.parent}:{link.parent}"
    place.environment["RUNNER_TOOL_CACHE"] = str(place.checkout / "tools")
    assert place.found("3.4") == []
    assert place.starts == 0


def test_a_virtual_environment_of_the_checkout_leads_to_its_python(place: Place) -> None:
    real = place.program("usr/bin/python3.4", "3.4.7")
    link = place.checkout / ".venv/bin/python3.4"
    link.parent.mkdir(parents=True)
    link.symlink_to(real)
    place.environment["PATH"] = str(link.parent)
    assert place.found("3.4") == [("3.4.7", "usr/bin/python3.4")]


def test_a_program_that_fails_is_none(tmp_path: Path) -> None:
    assert ask("/bin/false") == ""
    assert ask(str(tmp_path / "missing")) == ""


def test_a_version_that_cannot_be_fetched_is_told(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"no Python 3\.11 .* 3\.11\.99 could not") as caught:
        fetch_python("3.11.99", Cache(tmp_path))
    assert "--no-compile" in caught.value.hint
