"""The tests' W&B server, as the real SDK's command line finds it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.wandb_api.server import WandbServer, serve

IMAGE = "ghcr.io/acme/trainer:1.2.3"
NAME = "acme/demo/job-ghcr.io_acme_trainer"
# `wandb job create` waits for ever on a server that refuses its run.
AT_MOST = {"WANDB_INIT_TIMEOUT": "30"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WandbServer]:
    with serve(tmp_path / "api") as running:
        yield running


def wandb(server: WandbServer, *arguments: str, **environment: str) -> str:
    """What a command of W&B's says."""
    home = server.directory / "home"
    home.mkdir(exist_ok=True)
    done = subprocess.run(
        [str(Path(sys.executable).parent / "wandb"), *arguments],
        cwd=home,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            **server.environment,
            **AT_MOST,
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    return done.stdout


def create(server: WandbServer, *options: str, entity: str = "acme", **environment: str) -> str:
    return wandb(
        server,
        *("job", "create", "-p", "demo", "-e", entity, *options, "image", IMAGE),
        **environment,
    )


def test_jobs_of_the_sdk_are_kept_read_and_outlive_a_restart(server: WandbServer) -> None:
    created = create(server, "-d", "what it does", "-a", "prod")
    assert f"Created job: {NAME}:v0, with aliases: prod, 1.2.3, latest" in created, created
    assert "No changes detected" in create(server, "-a", "again")

    (version,) = server.versions(NAME)
    assert (version["state"], version["versionIndex"]) == ("COMMITTED", 0)
    assert version["description"] == "what it does"
    assert json.loads(version["metadata"]) == {"_partial": True}
    assert server.aliases(NAME) == dict.fromkeys(("prod", "1.2.3", "latest", "again"), "v0")
    document = json.loads(server.files(f"{NAME}:latest")["wandb-job.json"])
    assert document["source"] == {"image": IMAGE}
    assert server.runs("acme/demo") == []  # deleted by the SDK

    server.stop()
    with serve(server.directory) as again:
        listed = wandb(again, "job", "list", "-p", "demo", "-e", "acme")
        assert "job-ghcr.io_acme_trainer -- versions" in listed
        described = wandb(again, "job", "describe", f"{NAME}:v0")
        assert f"source: {{'image': '{IMAGE}'}}" in described, described


def test_who_may_not_is_refused(server: WandbServer) -> None:
    assert "not logged in" in create(server, WANDB_API_KEY="f" * 40)
    for entity in ("other", "nobody"):
        assert "Job creation failed" in create(server, entity=entity)
    assert not server.state.tables["projects"]


def test_a_commit_that_fails_leaves_a_version_pending(server: WandbServer) -> None:
    fault = server.fail("CommitArtifact", 400, times=1)
    create(server)
    assert fault.seen == 1
    assert [v["state"] for v in server.versions(NAME)] == ["PENDING"]
    assert server.aliases(NAME) == {}

    create(server)
    assert [v["state"] for v in server.versions(NAME)] == ["PENDING", "COMMITTED"]
    assert server.aliases(NAME)["latest"] == "v0"


def test_versions_cannot_be_aliases(server: WandbServer) -> None:
    assert "alias 'v7' is reserved" in create(server, "-a", "v7")


def test_queues_take_what_the_sdk_sends(server: WandbServer) -> None:
    create(server)
    server.add_queue(
        "gpu", "kubernetes", {"cpus": "{{n}}"}, {"n": {"schema": {"type": "integer", "minimum": 1}}}
    )

    def launch(*options: str) -> str:
        return wandb(server, "launch", "-j", f"{NAME}:latest", "-p", "demo", "-e", "acme", *options)

    sent = launch("-q", "gpu", "-P", "high", "-v", "n=3")
    assert "Added run to queue gpu" in sent, sent
    assert "invalid value for template variable 'n'" in launch("-q", "gpu", "-v", "n=0")
    assert "Queue not found" in launch("-q", "nowhere")

    (item,) = server.items("gpu")
    assert (item["state"], item["priority"]) == ("PENDING", 1)
    assert item["runSpec"]["job"] == f"{NAME}:latest"
    assert item["runSpec"]["resource"] == "kubernetes"
    assert item["runSpec"]["resource_args"] == {"kubernetes": {"cpus": 3}}
