"""Fixtures of the tests of deployments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.deployments import HEAD, RUN
from support.github_api import GitHubServer, client

from launch_action.github.deployment import Deployments


@pytest.fixture
def deployments(github_api: GitHubServer) -> Iterator[Deployments]:
    github_api.state.pull(github_api.repository(), 12, HEAD)
    with client(github_api) as api:
        yield Deployments(api, RUN)
