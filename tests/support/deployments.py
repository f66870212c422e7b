"""Deployments on the GitHub API of a test: what the tests of both layers ask for."""

from __future__ import annotations

from support.github_api import GitHubServer

from launch_action.github.deployment import Deployment, Deployments

HEAD = "a" * 40
OLDER = "b" * 40
RUN = "https://github.com/acme/mono-jobs/actions/runs/7001/attempts/1"


def preview(
    commit: str, job: str = "train", environment: str = "preview", pull: int = 12
) -> Deployment:
    return Deployment(0, commit, environment, pull, job, f"ci/{job}")


TRAIN = preview(HEAD)


def ensure(deployments: Deployments, wanted: Deployment) -> Deployment:
    return deployments.ensure(wanted, deployments.of(wanted.pull_request))


def states(server: GitHubServer) -> dict[tuple[str, str], list[str]]:
    """The states of every deployment by its job and the first letter of its commit."""
    repository = server.repository()
    return {
        (one["payload"]["job"], one["sha"][0]): repository.states_of(number)
        for number, one in repository.deployments.items()
    }
