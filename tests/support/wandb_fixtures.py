"""A W&B server of a test's own, and the program that registers jobs there, as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import Machine
from support.repositories import Work
from support.wandb_api.server import WandbServer, serve
from support.wandb_jobs import Registrar


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WandbServer]:
    with serve(tmp_path / "api") as running:
        yield running


@pytest.fixture
def here(machine: Machine, server: WandbServer, work: Work) -> Registrar:
    return Registrar(machine, server, work.path)
