"""Which Python compiles: the machine's, the one of an earlier image, or none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from launch_action.builders.layers.bytecode_choice import Choice, choose, fits, settle
from launch_action.builders.layers.interpreters import Interpreter
from launch_action.core.base import PythonFacts

TARGET = PythonFacts("3.12.4", "/usr/local/bin/python3.12")


def machine(*versions: str) -> tuple[Interpreter, ...]:
    """What one finds that has these versions, in this order."""
    return tuple(Interpreter(version, f"/{version}") for version in versions)


def of(version: str) -> Choice:
    return Choice(version, f"/{version}")


@pytest.mark.parametrize("wanted", [None, True])
def test_the_very_same_version_compiles_else_the_newest_of_the_minor_version(
    wanted: bool | None,
) -> None:
    assert choose(wanted, TARGET, machine("3.12.9", "3.12.1", "3.12.4")) == of("3.12.4")
    assert choose(wanted, TARGET, machine("3.11.12", "3.12.9", "3.12.10")) == of("3.12.10")


def test_nothing_compiles_where_no_bytecode_is_wanted() -> None:
    assert choose(False, TARGET, machine("3.12.1")) == Choice()
    assert settle(Choice(), ["3.12.1"], TARGET, machine(), lambda _: True) == Choice()


def test_without_one_there_is_no_bytecode_and_a_reason() -> None:
    found = choose(None, TARGET, machine("3.11.9"))
    assert found == Choice(lack="this machine has no Python 3.12 to compile with")
    assert not found.key


def test_one_that_is_asked_for_and_is_not_here_is_the_target_s_own() -> None:
    assert choose(True, TARGET, machine()) == Choice("3.12.4")
    assert choose(True, PythonFacts("3.12", "/python"), machine()).lack


def test_before_its_release_only_the_same_version_serves() -> None:
    target = PythonFacts("3.15.0b1", "/python")
    assert choose(None, target, machine("3.15.0a7", "3.15.0b1")) == of("3.15.0b1")
    assert choose(None, target, machine("3.15.0b2")).lack.startswith(
        "this machine has no Python 3.15.0b1"
    )
    assert choose(None, TARGET, machine("3.12.0rc1")).lack


def test_a_python_before_3_8_is_not_compiled_for() -> None:
    assert choose(None, PythonFacts("3.7.17", "/python"), machine("3.7.17")).lack


def test_versions_fit_that_differ_in_the_patch_alone() -> None:
    assert fits("3.12.0", "3.12.10")
    assert fits("3.12.1", "3.12")
    assert not fits("3.1.2", "3.12.1")
    assert not fits("nonsense", "3.12.1")


def known(*versions: str) -> Callable[[Choice], bool]:
    """Everything is there by these versions."""
    return lambda choice: choice.version in versions


def test_what_another_patch_release_compiled_is_as_good() -> None:
    found = settle(of("3.12.1"), ["3.12.3"], TARGET, machine(), known("3.12.3"))
    assert found == Choice("3.12.3")


def test_the_machine_s_own_stays_where_everything_is_there_by_it() -> None:
    found = settle(of("3.12.1"), ["3.12.3", "3.12.1"], TARGET, machine(), known("3.12.1", "3.12.3"))
    assert found == of("3.12.1")


def test_an_earlier_compiler_that_is_here_goes_on() -> None:
    has = machine("3.12.1", "3.12.0", "3.12.3")
    earlier = ["3.12.2", "3.12.3", "3.12.0"]
    assert settle(of("3.12.1"), earlier, TARGET, has, known()) == of("3.12.3")


def test_an_earlier_compiler_that_is_not_here_does_not() -> None:
    has = machine("3.12.1")
    assert settle(of("3.12.1"), ["3.12.3"], TARGET, has, known()) == of("3.12.1")


def test_a_machine_without_one_takes_what_is_there() -> None:
    lacking = Choice(lack="none")
    assert settle(lacking, ["3.12.3"], TARGET, machine(), known("3.12.3", "")) == Choice("3.12.3")
    assert settle(lacking, ["3.12.3"], TARGET, machine(), known("")) == lacking


def test_another_minor_version_is_no_earlier_compiler() -> None:
    found = settle(of("3.12.1"), ["3.11.9", "3.13.0"], TARGET, machine(), known("3.11.9"))
    assert found == of("3.12.1")
