"""A job at W&B after it was registered: its aliases are as the store's, and its versions stay."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.program import failed, succeeded
from support.registry import Running, running
from support.repositories import Work
from support.services import push_layout
from support.wandb_api.server import KEY, WandbServer
from support.wandb_jobs import IMPATIENT, PROJECT, Registrar
from support.workflow import Workflow, good, workflow

pytest_plugins = [
    "support.action_fixtures", "support.program_fixtures", "support.wandb_fixtures",
]  # fmt: skip

NAME = f"{PROJECT}/hello"


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def flow(
    tmp_path: Path, tool_cache: Path, stores: Running, server: WandbServer, python_base_layout: Path
) -> Iterator[Workflow]:
    """A workflow that registers what it builds: the blueprint, and the job of its image."""
    place = tmp_path.name.replace("_", "-").lower().strip("-")
    base = f"{stores.address}/base/{place}:3.11"
    push_layout(python_base_layout, base)
    also = {**IMPATIENT, "WANDB_BASE_URL": server.url, "WANDB_API_KEY": KEY, "WANDB_ENTITY": "acme",
            "WANDB_PROJECT": "demo"}  # fmt: skip
    with workflow(tmp_path, f"{stores.address}/acme/{place}", base, tool_cache) as found:
        found.also |= also
        found.inputs |= {"job-name": "hello", "wandb-register": "both"}
        yield found


def named(server: WandbServer, name: str = NAME) -> dict[str, str]:
    """What the aliases name at W&B, but for those of commits."""
    return {a: v for a, v in server.aliases(name).items() if not a.startswith("sha-")}


def count(server: WandbServer, name: str = NAME) -> int:
    return len([v for v in server.versions(name) if v["state"] == "COMMITTED"])


@pytest.mark.network
@pytest.mark.registry
def test_aliases_follow_a_pull_request_from_its_preview_to_its_release(
    flow: Workflow, server: WandbServer
) -> None:
    good(flow.push())
    assert named(server) == {"main": "v0", "latest": "v0"}
    flow.work.commit({"train.py": "print('tried')\n"})
    good(flow.pull(7))
    assert named(server) == {"main": "v0", "latest": "v0", "pr-7": "v1"}

    # Merged by moving the branch: the version that is there gets the alias, and no SDK is started.
    server.asked.clear()
    good(flow.push())
    assert named(server) == {"main": "v1", "latest": "v1", "pr-7": "v1"}
    assert set(server.operations) == {"ArtifactMembershipByName", "AddAliases"}

    # The tag is a promotion by digest, of W&B's version as well.
    server.asked.clear()
    released = good(flow.tag("v1.2.3"))
    release = {"v1.2.3": "v1", "v1.2": "v1", "tag-v1": "v1"}
    assert named(server) == {"main": "v1", "latest": "v1", "pr-7": "v1", **release}
    assert named(server, f"{NAME}-image") == named(server)
    assert released.outputs["wandb-job"] == f"{NAME}-image:v1"
    assert set(server.operations) == {"ArtifactMembershipByName", "AddAliases"}

    closed = good(flow.pull(7, "closed"))
    assert named(server) == {"main": "v1", "latest": "v1", **release}
    assert named(server, f"{NAME}-image") == named(server)
    (done,) = json.loads(closed.outputs["metadata"])["cleanup"]
    assert done["wandb"] == [f"{NAME}:pr-7", f"{NAME}-image:pr-7"]
    assert f"wandb:{NAME}:pr-7" in html.unescape(closed.summary)
    assert (count(server), count(server, f"{NAME}-image")) == (2, 2)


@pytest.mark.network
@pytest.mark.registry
def test_a_patch_of_an_old_line_moves_nothing_backwards(
    flow: Workflow, server: WandbServer
) -> None:
    good(flow.tag("v1.3.0"))
    flow.work.commit({"train.py": "print('mended')\n"})
    good(flow.tag("v1.2.4"))

    assert named(server) == {
        "v1.3.0": "v0", "v1.3": "v0", "tag-v1": "v0", "latest": "v0", "v1.2.4": "v1", "v1.2": "v1",
    }  # fmt: skip


@pytest.mark.network
@pytest.mark.registry
def test_aliases_that_wait_for_a_run_wait_there_too(flow: Workflow, server: WandbServer) -> None:
    flow.inputs |= {"run": "true"}
    flow.work.commit({"train.py": "raise SystemExit(3)\n"})
    assert flow.tag("v1.0.0").code == 1
    assert named(server) == {}
    flow.work.commit({"train.py": "print('trained')\n"})
    good(flow.tag("v1.0.1"))

    release = {"v1.0.1": "v1", "v1.0": "v1", "tag-v1": "v1", "latest": "v1"}
    assert named(server) == named(server, f"{NAME}-image") == release
    assert count(server) == 2


@pytest.mark.network
@pytest.mark.registry
def test_a_closed_pull_request_leaves_its_version_to_w_b(
    flow: Workflow, server: WandbServer
) -> None:
    good(flow.pull(7))
    good(flow.pull(7, "closed"))
    assert named(server) == {}
    assert count(server) == 1
    # What cannot be done is told, and the store is clean all the same.
    good(flow.pull(8))
    server.fail("DeleteAliases", 403)
    closed = good(flow.pull(8, "closed"))
    assert json.loads(closed.outputs["metadata"])["cleanup"][0]["aliases"] == []
    (warning,) = [line for line in closed.raw.splitlines() if "refuses this" in line]
    assert "refuses this: 403" in warning
    assert "pr-8 of 'hello'" in warning
    assert "launch-action cleanup REPOSITORY --alias ALIAS" in warning
    server.mend()
    # A branch's goes when the branch does, and a sweep takes what is old.
    ref = {"GITHUB_REF": "refs/heads/try", "GITHUB_REF_NAME": "try"}
    good(flow.step("push", ref, {}))
    assert named(server) == {"pr-8": "v0", "try": "v0"}
    good(flow.delete("try"))
    assert named(server) == {"pr-8": "v0"}
    good(flow.pull(9))
    options = f"{flow.inputs['build-options']}\nolder-than=0s\nkeep=0"
    asked = {"mode": "cleanup", "build-options": options, "github-token": ""}
    good(flow.step("schedule", {}, asked))
    assert named(server) == {"pr-8": "v0"}
    assert count(server) == 1


@pytest.mark.network
@pytest.mark.registry
def test_without_a_key_a_cleanup_asks_nothing(flow: Workflow, server: WandbServer) -> None:
    good(flow.pull(7))
    server.asked.clear()
    del flow.also["WANDB_API_KEY"]
    good(flow.pull(7, "closed", **{"wandb-register": ""}))

    assert server.operations == []
    assert named(server) == {"pr-7": "v0"}


def test_aliases_are_promoted_and_deleted_there_too(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    succeeded(here.create())
    work.commit({"train.py": "print(2)\n"})
    succeeded(here.create())
    promote = ("job", "promote", f"hello:sha-{work.git('rev-parse', 'HEAD~1').strip()}", "prod",
               "v7", "-p", "demo", "-e", "acme")  # fmt: skip
    server.asked.clear()
    found = succeeded(here.run(*promote, "--json")).document
    assert found["wandb"] == [f"{NAME}:v0"]
    assert named(server) == {"main": "v1", "latest": "v1", "prod": "v0", "tag-v7": "v0"}
    assert set(server.operations) == {"ArtifactMembershipByName", "AddAliases"}
    assert f"W&B      {NAME}:v0" in succeeded(here.run(*promote)).out

    delete = ("job", "delete", "hello", "-a", "prod", "-a", "v7", "-p", "demo", "-e", "acme")
    told = succeeded(here.run(*delete)).out
    assert f"W&B      {NAME}:prod is removed; the version stays" in told
    assert named(server) == {"main": "v1", "latest": "v1"}
    assert count(server) == 2
    # Nobody speaks to W&B who does not want to, or of a job that it has not.
    server.asked.clear()
    succeeded(here.run(*promote, "--wandb-register", "off"))
    assert server.operations == []
    assert named(server) == {"main": "v1", "latest": "v1"}


def test_a_job_that_w_b_has_not_is_promoted_as_ever(here: Registrar, server: WandbServer) -> None:
    succeeded(here.create("--wandb-register", "off"))
    promote = ("job", "promote", "hello", "prod", "-p", "demo", "-e", "acme", "--json")
    assert succeeded(here.run(*promote)).document["wandb"] == []
    assert server.collections(PROJECT) == []

    server.stop()
    ended = succeeded(here.run(*promote))
    assert ended.document["moved"][0]["alias"] == "prod"
    assert "W&B cannot be reached" in ended.err
    assert "promote it again" in ended.err


def test_code_and_what_another_store_has_recorded(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    create = ("job", "create", "code", ".", "-E", "python train.py", "-p", "demo", "-e", "acme",
              "-n", "hello", "--json", "-a", "pr-3")  # fmt: skip
    succeeded(here.run(*create))
    assert named(server, f"{PROJECT}/code-hello")["pr-3"] == "v0"
    promote = ("job", "promote", "hello", "prod", "-p", "demo", "-e", "acme", "--json")
    found = succeeded(here.run(*promote)).document
    assert found["wandb"] == [f"{PROJECT}/code-hello:v0", f"{NAME}:v0"]
    assert named(server)["prod"] == named(server, f"{PROJECT}/code-hello")["prod"] == "v0"
    cleanup = ("cleanup", "hello", "-a", "pr-3", "-p", "demo", "-e", "acme")
    before = json.dumps(server.state.tables)
    shown = succeeded(here.run(*cleanup, "--dry-run")).out
    assert f"would remove wandb:{PROJECT}/code-hello:pr-3" in shown
    assert f"would remove wandb:{NAME}:pr-3" in shown
    assert json.dumps(server.state.tables) == before
    told = succeeded(here.run(*cleanup)).out
    assert f"wandb:{PROJECT}/code-hello:pr-3" in told
    assert "pr-3" not in {**named(server), **named(server, f"{PROJECT}/code-hello")}

    # Of another repository that calls its job the same, as its metadata says.
    succeeded(here.run(*create))
    (version,) = server.versions(NAME)
    metadata = json.loads(version["metadata"])
    metadata["launch_action"]["job"] = "ghcr.io/other/hello@sha256:" + "0" * 64
    version["metadata"] = json.dumps(metadata)
    succeeded(here.run(*cleanup))
    assert named(server)["pr-3"] == "v0"


def test_what_other_tools_have_recorded_keeps_its_aliases(
    here: Registrar, server: WandbServer
) -> None:
    """A job of the same name, and a version of the same content that somebody made meanwhile."""
    succeeded(here.create("-a", "prod"))
    (version,) = server.versions(NAME)
    with server.lock:
        facts = {k: v for k, v in version.items() if k not in ("id", "number", "createdAt")}
        theirs = {**facts, "versionIndex": 1, "run": None, "clientID": "another"}
        made = server.state.add("artifacts", "Artifact", theirs)
        aliases = server.state.row("collections", version["collection"])["aliases"]
        aliases |= {"theirs": made["id"]}
        # So that it is recorded again, and W&B gives the latest of the content.
        for alias in [one for one in aliases if one.startswith("sha-")]:
            del aliases[alias]
    made = succeeded(here.create("-a", "mine")).document
    assert made["wandb_job"] == f"{NAME}:v0"
    assert {"theirs": "v1", "mine": "v0", "prod": "v0"}.items() <= named(server).items()
    assert count(server) == 2

    version["metadata"] = json.dumps({"_partial": True})
    delete = ("job", "delete", "hello", "-a", "prod", "-p", "demo", "-e", "acme", "--json")
    assert succeeded(here.run(*delete)).document["wandb"] == []
    assert named(server)["prod"] == "v0"


def test_a_cleanup_that_did_not_reach_w_b_completes_when_it_runs_again(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    succeeded(here.create("-a", "pr-4"))
    cleanup = ("cleanup", "hello", "-a", "pr-4", "-p", "demo", "-e", "acme", "--json")
    server.stop()
    ended = succeeded(here.run(*cleanup, "--dry-run"))
    assert ended.document["repositories"][0]["wandb"] == []
    assert "whether pr-4 of 'hello' would go at W&B in project 'demo' is not known" in ended.err
    ended = succeeded(here.run(*cleanup))
    assert ended.document["repositories"][0]["aliases"] == ["pr-4"]
    assert "clean up again" in ended.err

    server.start()
    shown = succeeded(here.run(*cleanup, "--dry-run")).document["repositories"][0]
    assert (shown["aliases"], shown["wandb"]) == ([], [f"{NAME}:pr-4"])
    found = succeeded(here.run(*cleanup)).document["repositories"][0]
    assert (found["aliases"], found["wandb"]) == ([], [f"{NAME}:pr-4"])
    assert "pr-4" not in named(server)
    # A project that cannot be one is no reason to leave the store as it is.
    succeeded(here.create("-a", "pr-4"))
    ended = succeeded(here.run("cleanup", "hello", "-a", "pr-4", "-p", "de/mo", "--json"))
    assert ended.document["repositories"][0]["aliases"] == ["pr-4"]
    assert "not a W&B project" in ended.err
    assert failed(here.run("cleanup", "hello", "-a", "v1.2.3"), 2)


FILE = """\
defaults:
  entry-point: python train.py
  entity: acme
jobs:
  a: {job-name: one, project: demo}
  b: {job-name: two, project: other}
"""


@pytest.mark.network
@pytest.mark.registry
def test_jobs_of_a_launch_file_are_where_it_says(flow: Workflow, server: WandbServer) -> None:
    del flow.inputs["entry-point"], flow.inputs["job-name"]
    del flow.also["WANDB_PROJECT"], flow.also["WANDB_ENTITY"]
    flow.work.commit({"launch.yaml": FILE})
    found = good(flow.pull(7)).outputs["wandb-job"].splitlines()
    names = [one.rpartition(":")[0] for one in found]
    assert [name.rpartition("/")[0] for name in names] == [PROJECT, "acme/other"]
    assert [named(server, name) for name in names] == [{"pr-7": "v0"}] * 2

    good(flow.pull(7, "closed"))
    assert [named(server, name) for name in names] == [{}] * 2
