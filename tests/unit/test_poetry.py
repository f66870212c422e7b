"""Poetry's constraints, and what a lock of several versions comes to."""

from __future__ import annotations

import pytest
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from launch_action.core.poetry_constraint import alternatives, python_excluded, python_marker
from launch_action.core.poetry_lock import read_lock
from launch_action.core.requirement import Requirement


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("^1.2.3", (">=1.2.3,<2",)),
        ("^0.2.3", (">=0.2.3,<0.3",)),
        ("^0.0.3", (">=0.0.3,<0.0.4",)),
        ("^0.0", (">=0.0,<0.1",)),
        ("^0", (">=0,<1",)),
        ("~1.2.3", (">=1.2.3,<1.3",)),
        ("~1", (">=1,<2",)),
        ("1.*", ("==1.*",)),
        ("*", ("",)),
        ("1.2", ("==1.2",)),
        (">=1.2 <2, !=1.5", (">=1.2,<2,!=1.5",)),
        (">= 1.2", (">=1.2",)),
        ("^1.2 || 0.9.*", (">=1.2,<2", "==0.9.*")),
        ("<=2.0|>=3.0", ("<=2.0", ">=3.0")),
        ("^2.0.0-beta.1", (">=2.0.0-beta.1,<3",)),
    ],
)
def test_a_constraint_is_what_poetry_says_it_is(text: str, expected: tuple[str, ...]) -> None:
    assert alternatives(text) == expected
    for one in expected:
        SpecifierSet(one)


@pytest.mark.parametrize("text", ["latest", "^x", "1..2", "=> 1"])
def test_what_is_no_constraint_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        alternatives(text)


@pytest.mark.parametrize(
    "text", ["^3.9", ">=3.10,<4", "<3.9 || >=3.11", "!=3.10.*,>=3.8", "3.11.*"]
)
@pytest.mark.parametrize("python", ["3.8.1", "3.9.0", "3.10.4", "3.11.7", "4.0.0"])
def test_a_python_is_either_meant_or_left_out(text: str, python: str) -> None:
    environment = {"python_full_version": python, "python_version": python.rpartition(".")[0]}
    held = Marker(python_marker(text)).evaluate(environment)
    assert held is any(SpecifierSet(one).contains(python) for one in alternatives(text))
    assert Marker(python_excluded(text)).evaluate(environment) is not held


def lock(*entries: str, version: str = "2.0") -> bytes:
    files = 'files = [{file = "f", hash = "sha256:00"}]\n'
    packages = "".join(f'[[package]]\nname = "numpy"\n{one}{files}' for one in entries)
    return f'{packages}[metadata]\nlock-version = "{version}"\n'.encode()


def texts(content: bytes) -> list[str]:
    return [one.text for one in read_lock(content).entries if isinstance(one, Requirement)]


def holding(content: bytes, python: str) -> list[str]:
    """The versions whose marker holds for a Python."""
    environment = {"python_full_version": f"{python}.0", "python_version": python}
    parts = (text.partition(" ; ") for text in texts(content))
    return [one for one, _, marker in parts if not marker or Marker(marker).evaluate(environment)]


def test_one_of_several_versions_holds_for_every_python() -> None:
    old = 'version = "2.0.2"\npython-versions = ">=3.9"\n'
    new = 'version = "2.2.6"\npython-versions = ">=3.10"\n'
    for content in (lock(old, new), lock(new, old)):
        assert holding(content, "3.9") == ["numpy==2.0.2"]
        assert holding(content, "3.11") == ["numpy==2.2.6"]
    marked = lock(
        old + 'markers = \'python_version < "3.10" and extra == "x"\'\n',
        new + "markers = {main = 'python_version >= \"3.10\"', dev = 'sys_platform == \"nt\"'}\n",
        version="2.1",
    )
    assert holding(marked, "3.9") == ["numpy==2.0.2"]
    assert holding(marked, "3.11") == ["numpy==2.2.6"]


def test_versions_that_nothing_tells_apart_are_left_to_the_hashes() -> None:
    same = 'python-versions = "*"\n'
    found = texts(lock('version = "1.0"\n' + same, 'version = "2.0"\n' + same))
    assert found == ["numpy", "numpy"]
