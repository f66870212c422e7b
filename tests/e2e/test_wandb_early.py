"""What W&B refuses is told before anything is pushed, and it is not asked more often for that."""

from __future__ import annotations

import pytest
from support.program import failed, succeeded
from support.registry import Logins
from support.services import LocalRegistry
from support.wandb_api.server import WandbServer
from support.wandb_jobs import PROJECT, Registrar

from launch_action.core.reference import Repository
from launch_action.oci.registries import Registries

pytest_plugins = ["support.program_fixtures", "support.wandb_fixtures"]

WRONG = "f" * 40


def tags(image: str) -> tuple[str, ...]:
    return tuple(Registries(Logins()).open(Repository.parse(image)).tags())


@pytest.mark.network
@pytest.mark.registry
def test_a_build_with_a_wrong_key_pushes_nothing(
    here: Registrar, server: WandbServer, options: tuple[str, ...], registry: LocalRegistry
) -> None:
    image = f"{registry.address}/wandb/early"
    build = ("build", *options, "--image", image, "-p", "demo", "-J", "hello", "--no-check-remote",
             "--json")  # fmt: skip
    ended = failed(here.run(*build, "-e", "acme", WANDB_API_KEY=WRONG), 8)
    assert "does not take the key: 401" in ended.error
    assert "nothing is pushed" in ended.error
    assert "--wandb-register off" in ended.hint
    assert ended.document["job"] is ended.document["tags"] is None
    # Without an entity its owner is asked for, which is no less of an answer.
    assert "does not take the key" in failed(here.run(*build, WANDB_API_KEY=WRONG), 8).error
    ended = failed(here.run(*build, "-e", "nobody"), 8)
    assert "has no such entity, or none that the key may see: 'nobody'" in ended.error
    assert tags(image) == ()
    assert not server.state.tables["projects"]

    made = succeeded(here.run(*build, "-e", "acme")).document
    assert made["wandb_job"] == f"{PROJECT}/hello:v0"
    # Nor do aliases move at a later commit.
    before = tags(image)
    failed(here.run(*build, "-e", "acme", "-a", "more", WANDB_API_KEY=WRONG), 8)
    assert tags(image) == before
    # One question, which serves for both.
    server.asked.clear()
    succeeded(here.run(*build, "-e", "acme"))
    assert server.operations == ["ArtifactMembershipByName"]
    server.asked.clear()
    succeeded(here.run(*build, "-e", ""))
    assert server.operations[:2] == ["Viewer", "ArtifactMembershipByName"]


def test_a_recording_with_a_wrong_key_stores_nothing(here: Registrar, server: WandbServer) -> None:
    ended = failed(here.create(WANDB_API_KEY=WRONG), 8)

    assert "does not take the key: 401 (user is not logged in)" in ended.error
    assert ended.document["job"] is None
    assert failed(here.run("job", "describe", "hello:latest"), 6)


def test_a_refusal_is_told_early_too(here: Registrar, server: WandbServer) -> None:
    server.fail("ArtifactMembershipByName", 403)
    ended = failed(here.create(), 8)

    assert "refuses this: 403" in ended.error
    assert ended.document["job"] is None


def test_a_server_that_does_not_answer_is_no_reason_to_store_nothing(
    here: Registrar, server: WandbServer
) -> None:
    # Busy, broken, silent: for the question alone, and the recording goes well.
    server.fail("ArtifactMembershipByName", 503, times=2)
    made = succeeded(here.create()).document
    assert made["wandb_job"] == f"{PROJECT}/hello:v0"

    server.mend()
    server.fail("ArtifactMembershipByName", 0, wait=8.0, times=1)
    made = succeeded(here.create("-a", "slow")).document
    assert made["wandb_job"] == f"{PROJECT}/hello:v0"
    assert server.aliases(f"{PROJECT}/hello")["slow"] == "v0"


def test_a_job_that_is_not_registered_asks_nothing(here: Registrar, server: WandbServer) -> None:
    succeeded(here.create("--wandb-register", "off", WANDB_API_KEY=WRONG))
    succeeded(here.create(WANDB_MODE="offline", WANDB_API_KEY=WRONG))

    assert server.operations == []
