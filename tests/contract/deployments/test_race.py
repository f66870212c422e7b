"""Processes that deploy at once: each leg has its own, and of commits the newest stays active."""

from __future__ import annotations

import json
import subprocess
import sys

from support.deployments import HEAD, states
from support.github_api import GitHubServer
from support.github_state import WORKFLOW_TOKEN

RACE = """
import json, sys
from launch_action.github.api import GitHubApi
from launch_action.github.deployment import Deployment, Deployments

given = json.loads(sys.stdin.readline())
api = GitHubApi("acme/mono-jobs", token=given["token"], api_url=given["url"])
deployments = Deployments(api, "https://github.com/acme/mono-jobs/actions/runs/1")
made = deployments.ensure(
    Deployment(0, given["commit"], "preview", 12, given["job"], given["job"]), deployments.of(12)
)
for state in ("queued", "in_progress", "success"):
    deployments.tell(made, state)
deployments.supersede(made)
"""


def race(server: GitHubServer, given: list[dict[str, str]]) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-I", "-c", RACE], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in given
    ]
    for racer, words in zip(racers, given, strict=True):
        assert racer.stdin is not None
        line = json.dumps({"token": WORKFLOW_TOKEN, "url": server.url, **words})
        racer.stdin.write(line.encode() + b"\n")
        racer.stdin.flush()
    assert [racer.communicate(timeout=90)[1] for racer in racers] == [b""] * len(racers)


def test_eight_legs_of_a_matrix_have_a_deployment_each(github_api: GitHubServer) -> None:
    race(github_api, [{"job": f"job-{n}", "commit": HEAD} for n in range(8)])

    assert states(github_api) == {
        (f"job-{n}", "a"): ["queued", "in_progress", "success"] for n in range(8)
    }


def test_of_eight_commits_at_once_the_newest_deployment_stays_active(
    github_api: GitHubServer,
) -> None:
    race(github_api, [{"job": "train", "commit": f"{n}" * 40} for n in range(8)])

    repository = github_api.repository()
    last = [repository.state_of(number) for number in sorted(repository.deployments)]
    assert last == ["inactive"] * 7 + ["success"]
