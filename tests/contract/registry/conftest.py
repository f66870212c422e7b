"""A registry behind a proxy that makes faults, and a client that does not wait long."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.registry import Logins, Running, TokenServer, running, token_server
from support.registry_proxy import Proxy, proxy_to

from launch_action.core.reference import Repository
from launch_action.oci.registries import Registries
from launch_action.oci.registry import RegistryContent
from launch_action.oci.retry import Patience


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def proxy(server: Running) -> Iterator[Proxy]:
    with proxy_to(server.address) as found:
        yield found


@pytest.fixture
def tokens() -> Iterator[TokenServer]:
    with token_server() as found:
        yield found


@pytest.fixture
def guarded(tokens: TokenServer, tmp_path: Path) -> Iterator[Running]:
    """A registry that wants tokens of `tokens`."""
    with running(tmp_path / "guarded", tokens=tokens) as found:
        yield found


@pytest.fixture
def patience() -> Patience:
    return Patience(tries=3, base=0.01, answer=5)


@pytest.fixture
def notes() -> list[str]:
    """What the client tells while it works."""
    return []


@pytest.fixture
def registries(patience: Patience, notes: list[str]) -> Registries:
    return Registries(Logins(), patience=patience, note=notes.append)


@pytest.fixture
def content(proxy: Proxy, registries: Registries, tmp_path: Path) -> RegistryContent:
    """A repository of this test's own, behind the proxy."""
    path = tmp_path.name.lower().replace("_", "-").strip("-")
    return registries.open(Repository.parse(f"{proxy.address}/{path}"), writable=True)


@pytest.fixture
def origin(proxy: Proxy, registries: Registries, tmp_path: Path) -> RegistryContent:
    """Another repository of the same registry."""
    path = tmp_path.name.lower().replace("_", "-").strip("-")
    return registries.open(Repository.parse(f"{proxy.address}/base/{path}"), writable=True)
