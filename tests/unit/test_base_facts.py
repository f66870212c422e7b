"""What is known of a base from its config, and which interpreter is taken."""

from __future__ import annotations

from typing import Any

import pytest
from support.bases import ALPINE_HISTORY, OFFICIAL_ENV, OFFICIAL_HISTORY

from launch_action.builders.layers.base_facts import choose_python, config_findings
from launch_action.builders.layers.base_findings import Libc
from launch_action.core.base import PythonFacts
from launch_action.core.errors import BuildError


def config(env: tuple[str, ...], history: tuple[str, ...], **labels: str) -> dict[str, Any]:
    return {
        "config": {"Env": list(env), "Labels": labels},
        "history": [{"created_by": line} for line in history],
    }


def test_the_suite_in_the_history_tells_glibc() -> None:
    for suite, version in (("bullseye", "2.31"), ("bookworm", "2.36"), ("trixie", "2.41")):
        history = tuple(line.replace("bookworm", suite) for line in OFFICIAL_HISTORY)

        found = config_findings(config(OFFICIAL_ENV, history))

        assert found
        assert found.libc == Libc("glibc", version)


def test_the_lowest_line_of_the_history_decides() -> None:
    history = (*ALPINE_HISTORY, "RUN apt-get --help")

    found = config_findings(config(OFFICIAL_ENV, history))

    assert found
    assert found.libc == Libc("musl", "1.2")


def test_apt_without_a_suite_is_a_glibc_of_the_lowest_sure_version() -> None:
    found = config_findings(config(OFFICIAL_ENV, OFFICIAL_HISTORY[1:]))

    assert found
    assert found.libc == Libc("glibc", "2.28")


@pytest.mark.parametrize(
    ("env", "history"),
    [
        (("PATH=/bin",), OFFICIAL_HISTORY),
        (OFFICIAL_ENV, OFFICIAL_HISTORY[:2]),
        (OFFICIAL_ENV, OFFICIAL_HISTORY[2:]),
        (("PYTHON_VERSION=latest",), OFFICIAL_HISTORY),
        (OFFICIAL_ENV, ()),
    ],
    ids=["no version", "python not compiled there", "no distribution", "no number", "no history"],
)
def test_a_config_that_leaves_something_open_tells_nothing(
    env: tuple[str, ...], history: tuple[str, ...]
) -> None:
    assert config_findings(config(env, history)) is None


@pytest.mark.parametrize(
    "odd", [{}, {"config": None, "history": None}, {"config": [], "history": {}}]
)
def test_an_odd_config_tells_nothing(odd: dict[str, Any]) -> None:
    assert config_findings(odd) is None


def test_the_interpreter_that_comes_first_on_the_path_is_taken() -> None:
    found = [
        PythonFacts("3.11", "/usr/bin/python3.11"),
        PythonFacts("3.11", "/opt/c/bin/python3.11"),
    ]

    assert choose_python(found, "3.11", "b", ["/opt/c/bin", "/usr/bin"]) == found[1]
    assert choose_python(found, "3.11", "b", ["/usr/bin"]) == found[0]


def test_the_error_names_every_python_there_is() -> None:
    found = [PythonFacts("3.9.2", "/usr/bin/python3.9"), PythonFacts("3.12", "/opt/bin/python3.12")]

    with pytest.raises(BuildError, match=r"b has Python 3\.12, 3\.9, not 3\.11"):
        choose_python(found, "3.11", "b", [])


@pytest.mark.parametrize(
    ("alpine", "musl"), [("3.12.12", "1.1"), ("3.13.0", "1.2"), ("3.22.1", "1.2")]
)
def test_an_alpine_before_3_13_has_musl_1_1(alpine: str, musl: str) -> None:
    history = tuple(line.replace("3.20.3", alpine) for line in ALPINE_HISTORY)
    found = config_findings(config(OFFICIAL_ENV, history))

    assert found
    assert found.libc == Libc("musl", musl)
