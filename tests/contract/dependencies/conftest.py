"""Fixtures of the tests of dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.git_remotes import GitServer, http_server
from support.index import Index, make_wheel, serve_index


@pytest.fixture
def index() -> Iterator[Index]:
    with serve_index() as found:
        found.add(make_wheel("alpha", "1.0", requires=["beta"]))
        found.add(make_wheel("alpha", "2.0", requires=["beta"]))
        found.add(make_wheel("beta", "1.0", extras={"more": ["gamma"]}))
        found.add(make_wheel("beta", "2.0", extras={"more": ["gamma"]}))
        found.add(make_wheel("gamma", "1.0"))
        yield found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with http_server(tmp_path / "git") as found:
        yield found
