"""Fixtures of the tests that start the program."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that tests share which are not about caching: the base is read once."""
    return tmp_path_factory.mktemp("shared-cache")
