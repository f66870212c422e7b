"""A scratch directory goes, whatever happens while it goes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from launch_action.scratch import scratch_directory


def test_it_is_gone_where_its_removal_was_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    remove, times = shutil.rmtree, list[str]()

    def interrupted(path: str, *arguments: Any, **named: Any) -> None:
        times.append(path)
        if len(times) == 1:
            raise KeyboardInterrupt
        remove(path, *arguments, **named)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), scratch_directory("launch-action-test-") as name:
        Path(name, "file").touch()

    assert not Path(name).exists()
