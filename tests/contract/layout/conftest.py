"""Fixtures of the tests of layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch_action.oci.layout import LayoutContent


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def content(directory: Path) -> LayoutContent:
    return LayoutContent(directory, "acme/train")
