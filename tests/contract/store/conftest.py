"""Fixtures of the tests of store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.registry import Running, running
from support.stores import Open, opening

from launch_action.core.ports import Content
from launch_action.core.store import JobStore


@pytest.fixture(scope="module")
def deleting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("deleting")) as found:
        yield found


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A registry that refuses every deletion."""
    with running(tmp_path_factory.mktemp("keeping"), delete=False) as found:
        yield found


@pytest.fixture(
    params=[
        pytest.param("deleting", marks=pytest.mark.registry),
        pytest.param("keeping", marks=pytest.mark.registry),
        "crane",
        pytest.param("layout"),
    ]
)
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens a repository by its path; one name gives one repository within a test."""
    layout = request.param == "layout"
    with opening(tmp_path, None if layout else request.getfixturevalue(request.param)) as found:
        yield found


@pytest.fixture
def content(adapter: Open) -> Content:
    return adapter("one")


@pytest.fixture
def store(content: Content) -> JobStore:
    return JobStore(content)
