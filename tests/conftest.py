"""Services of a session, and the rule of the markers.

A test marked `engine`, `registry` or `network` is skipped with a reason where the machine lacks
it, and fails there when LAUNCH_REQUIRE names it: the CI cannot lose tests silently.
"""

from __future__ import annotations

import functools
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from support import debian_packages, github_description, services, webhook_schema
from support import newer_engine as newer
from support.newer_engine import Engine
from support.services import LocalRegistry

if TYPE_CHECKING:
    from support.github_api import GitHubServer
    from support.registry import Running

# A machine may be busy: no test is about speed.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# What is started in the background ignores it, and so would every program that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

PROBES = {
    "engine": services.missing_engine,
    "registry": services.missing_registry,
    "network": services.missing_network,
    "debian_packages": debian_packages.missing,
    "newer_engine": newer.missing,
    "github_description": github_description.missing,
    "github_webhooks": webhook_schema.missing,
}


@functools.cache
def missing(need: str) -> str:
    """Why the machine lacks it; asked once a session."""
    return PROBES[need]()


def demand(need: str) -> None:
    """Skip or fail the test that asks for something the machine lacks."""
    reason = missing(need)
    if not reason:
        return
    if need in os.environ.get("LAUNCH_REQUIRE", "").split(","):
        pytest.fail(f"LAUNCH_REQUIRE names {need}, but: {reason}", pytrace=False)
    pytest.skip(f"{need}: {reason}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    for need in PROBES:
        if item.get_closest_marker(need):
            demand(need)


@pytest.fixture(scope="session")
def engine() -> str:
    """The version of the Docker engine that answers."""
    demand("engine")
    return "docker"


@pytest.fixture(scope="session")
def engine_packages() -> Path:
    """A newer engine with its client and buildx, unpacked."""
    demand("newer_engine")
    demand("network")
    return newer.packages()


@pytest.fixture(scope="session")
def newer_engine(
    engine_packages: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """A newer engine of this session's own, which keeps images in containerd."""
    with newer.engine(engine_packages, tmp_path_factory.mktemp("e")) as running:
        yield running


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    """A registry of this session's own, at first with nothing but what `python_base` puts there."""
    demand("registry")
    with services.registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def crane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Another registry than Docker's: go-containerregistry's, with every repository in memory."""
    demand("debian_packages")
    demand("network")
    from support.registry import running_crane

    with running_crane(tmp_path_factory.mktemp("crane")) as found:
        yield found


@pytest.fixture(scope="session")
def python_base_layout() -> Path:
    """The Python base image as an OCI layout directory, under the tag `base`."""
    demand("registry")
    demand("network")
    return services.python_base_layout()


@pytest.fixture(scope="session")
def python_base(registry: LocalRegistry, python_base_layout: Path) -> str:
    """The Python base image in the session's registry, as `127.0.0.1:PORT/library/python:...`."""
    name = f"{registry.address}/{services.BASE}"
    services.push_layout(python_base_layout, name)
    return name


@pytest.fixture(scope="session")
def github_webhooks() -> None:
    """GitHub's published schema of its events is there."""
    demand("github_webhooks")


@pytest.fixture
def github_api() -> Iterator[GitHubServer]:
    """A GitHub API of this test's own, with the repository `acme/mono-jobs`.

    The test fails when anything that was asked or answered is against GitHub's description.
    """
    demand("github_description")
    from support.github_api import serve_github  # what it imports, most tests do not need

    with serve_github() as server:
        yield server
    assert not server.violations
