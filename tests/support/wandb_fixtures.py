"""A W&B server of a test's own, who registers jobs there, and hosts in its place, as fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import Machine
from support.repositories import Work
from support.wandb_api.server import WandbServer, serve
from support.wandb_host import Host, host
from support.wandb_jobs import Registrar


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WandbServer]:
    with serve(tmp_path / "api") as running:
        yield running


@pytest.fixture
def here(machine: Machine, server: WandbServer, work: Work) -> Registrar:
    return Registrar(machine, server, work.path)


@pytest.fixture
def wandb_host() -> Iterator[Host]:
    with host() as found:
        yield found


@pytest.fixture
def other_host() -> Iterator[Host]:
    with host() as found:
        yield found
