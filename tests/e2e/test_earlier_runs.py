"""Workflow runs that come late or are started again: what a later one has set stays."""

from __future__ import annotations

import pytest
from support.program import succeeded
from support.registry import Logins
from support.workflow import Workflow, aliased, good

from launch_action.core.reference import Repository
from launch_action.core.store import JobStore
from launch_action.oci.registries import Registries

pytest_plugins = ["support.action_fixtures"]
pytestmark = [pytest.mark.registry, pytest.mark.network]


def named(flow: Workflow) -> dict[str, str]:
    """The commit behind every alias but those of commits."""
    return {alias: version.commit for alias, version in aliased(flow.image).items()}


def commits(flow: Workflow, count: int) -> list[str]:
    """So many commits, each with a script of its own; the first is checked out."""
    for number in range(count):
        flow.work.commit({"train.py": f"print({number})\n"})
    found = flow.work.git("rev-list", "--reverse", f"--max-count={count}", "HEAD").split()
    at(flow, found[0])
    return found


def at(flow: Workflow, commit: str) -> None:
    flow.work.git("checkout", "--quiet", "--detach", commit)


def test_a_preview_of_an_older_commit_that_is_started_again_takes_nothing(flow: Workflow) -> None:
    old, new = commits(flow, 2)
    flow.as_run(7001)
    first = good(flow.pull(7))
    at(flow, new)
    flow.as_run(7002)
    good(flow.pull(7))

    at(flow, old)
    flow.as_run(7001, attempt=2)
    again = good(flow.pull(7, run="true"))

    assert named(flow) == {"pr-7": new}
    assert again.outputs["tags"].split() == [f"sha-{old}"]
    assert again.outputs["job-digest"] == first.outputs["job-digest"]
    assert again.outputs["run-status"] == "succeeded"
    line = (
        f"alias pr-7 is not moved: run 7002 set it to commit {new[:12]}, later than this run 7001"
    )
    assert again.raw.count(line) == 1
    # By its name it moves.
    good(flow.pull(7, alias="pr-7"))
    assert named(flow) == {"pr-7": old}


def test_what_was_moved_by_hand_is_compared_by_its_commit(flow: Workflow) -> None:
    """No run is noted of it; the history of the checkout tells which commit is the newer."""
    old, new = commits(flow, 2)
    at(flow, new)
    base, python, *_ = flow.inputs["build-options"].splitlines()
    options = ("--base-image", base.partition("=")[2], "--python", python.partition("=")[2])
    asked = ("build", "-E", "python train.py", "--image", flow.image, *options, "-a", "pr-7")
    succeeded(flow.program(*asked, "--no-check-remote"))

    at(flow, old)
    flow.as_run(7001, attempt=2)
    step = good(flow.pull(7))

    assert named(flow)["pr-7"] == new
    assert f"alias pr-7 is not moved: commit {new[:12]} is newer than that of this run" in step.raw
    flow.as_run(7003)
    good(flow.pull(7))
    assert named(flow)["pr-7"] == old


def test_the_branch_and_latest_are_those_of_the_later_run(flow: Workflow) -> None:
    old, new = commits(flow, 2)
    at(flow, new)
    flow.as_run(7002)
    good(flow.push())
    # The run of the commit before was slower; it is no attempt again.
    at(flow, old)
    flow.as_run(7001)
    slow = good(flow.push())
    assert named(flow) == {"main": new, "latest": new}
    assert slow.outputs["tags"].split() == [f"sha-{old}"]

    # The branch is set back: a run of its own.
    flow.as_run(7003)
    good(flow.push())
    assert named(flow) == {"main": old, "latest": old}
    at(flow, new)
    flow.as_run(7002, attempt=2)
    good(flow.push())
    assert named(flow) == {"main": old, "latest": old}


def test_a_release_keeps_latest_from_a_push_before_it(flow: Workflow) -> None:
    old, new = commits(flow, 2)
    flow.as_run(7001)
    good(flow.push())
    at(flow, new)
    flow.as_run(7002)
    good(flow.tag("v1.0.0"))
    # The tag is moved, and its first run started again.
    at(flow, old)
    flow.as_run(7003)
    good(flow.tag("v1.0.0"))
    at(flow, new)
    flow.as_run(7002, attempt=2)
    again = good(flow.tag("v1.0.0"))

    assert named(flow) == {"main": old} | dict.fromkeys(("v1.0.0", "v1.0", "v1", "latest"), old)
    assert again.outputs["tags"].split() == [f"sha-{new}"]
    # A release goes by its version, not by its run: a patch of before that is started again.
    flow.as_run(7000, attempt=2)
    good(flow.tag("v1.0.1"))
    assert named(flow)["latest"] == new
    at(flow, old)
    flow.as_run(6999, attempt=2)
    good(flow.push())
    assert named(flow)["latest"] == new


def test_a_run_of_a_closed_pull_request_brings_no_preview_back(flow: Workflow) -> None:
    (commit,) = commits(flow, 1)
    flow.as_run(7001)
    good(flow.pull(7))
    flow.as_run(7002)
    good(flow.pull(7, "closed"))
    assert named(flow) == {}

    flow.as_run(7001, attempt=2)
    again = good(flow.pull(7))

    assert named(flow) == {}
    assert again.outputs["tags"].split() == [f"sha-{commit}"]
    assert "alias pr-7 is not moved: run 7002 removed it" in again.raw
    options = f"{flow.inputs['build-options']}\nkeep=0\nolder-than="

    def sweep(age: str) -> None:
        good(flow.step("schedule", {}, {"mode": "cleanup", "build-options": options + age}))

    # A sweep leaves it for a while, though its commit is old, and then takes it.
    content = Registries(Logins()).open(Repository.parse(flow.image))
    sweep("1d")
    assert JobStore(content).versions()
    sweep("0s")
    assert not JobStore(content).versions()
    # It is opened again.
    flow.as_run(7003)
    good(flow.pull(7, "reopened"))
    assert named(flow) == {"pr-7": commit}


def test_branches_that_are_spelt_alike_have_aliases_of_their_own(flow: Workflow) -> None:
    one, two = commits(flow, 2)
    flow.as_run(7001)
    good(flow.branch("feature/x"))
    at(flow, two)
    flow.as_run(7002)
    step = good(flow.branch("feature-x"))
    _, other = step.outputs["tags"].split()
    assert other.startswith("feature-x-")
    assert f"alias feature-x is of branch 'feature/x': this one's is {other}" in step.raw
    assert named(flow) == {"feature-x": one, other: two}

    flow.as_run(7003)
    good(flow.delete("feature-x"))
    assert named(flow) == {"feature-x": one}
    flow.as_run(7004)
    good(flow.delete("feature/x"))
    assert named(flow) == {}
