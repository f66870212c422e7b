"""`requirements.frozen.txt` of several platforms: one file that pip reads right on each."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from launch_action.core.comparison import requirement_changes
from launch_action.core.frozen import freeze, lines_for
from launch_action.core.image import Platform

AMD64, ARM64 = Platform("linux", "amd64"), Platform("linux", "arm64")
S390X = Platform("linux", "s390x")
URL = "ours @ https://host.example.org/ours-1-py3-none-any.whl"


def test_what_is_the_same_everywhere_has_no_marker() -> None:
    lines = ["b==1", "A==2", URL]

    assert freeze({AMD64: lines, ARM64: lines[::-1]}) == f"A==2\nb==1\n{URL}\n".encode()
    assert freeze({AMD64: lines}) == freeze({AMD64: lines, ARM64: lines})
    assert freeze({AMD64: (), ARM64: ()}) == b""


def test_what_differs_is_told_apart_and_read_back() -> None:
    installed = {AMD64: ["a==1", URL], ARM64: ["a==2"], S390X: ["a==2", URL]}

    frozen = freeze(installed)

    assert frozen.decode().splitlines() == [
        'a==1 ; platform_machine == "x86_64"',
        'a==2 ; platform_machine == "aarch64" or platform_machine == "s390x"',
        f'{URL} ; platform_machine == "s390x" or platform_machine == "x86_64"',
    ]
    for platform, lines in installed.items():
        assert lines_for(frozen, platform) == lines


@pytest.mark.parametrize(
    ("machine", "names"),
    [("x86_64", {"a==1", "ours"}), ("aarch64", {"a==2"}), ("s390x", {"a==2", "ours"})],
)
def test_pip_takes_what_each_machine_has(machine: str, names: set[str]) -> None:
    frozen = freeze({AMD64: ["a==1", URL], ARM64: ["a==2"], S390X: ["a==2", URL]})

    read = [Requirement(line) for line in frozen.decode().splitlines()]
    taken = [
        one for one in read if not one.marker or one.marker.evaluate({"platform_machine": machine})
    ]

    assert {f"{one.name}{one.specifier}" for one in taken} == names


def test_two_versions_compare_machine_by_machine() -> None:
    before = freeze({AMD64: ["a==1"], ARM64: ["a==2"]})
    after = freeze({AMD64: ["a==1"], ARM64: ["a==3"]})

    assert [str(change) for change in requirement_changes(before, after)] == [
        '~ a ; platform_machine == "aarch64" 2 -> 3'
    ]
