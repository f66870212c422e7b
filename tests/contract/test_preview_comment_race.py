"""Legs as processes that report to one comment at the same time, over a real registry."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.github_api import Fault, GitHubServer, refused, secondary_limit
from support.services import LocalRegistry

from launch_action.core.preview_comment import Report, marker, read_report
from launch_action.core.preview_row import Row

pytestmark = pytest.mark.registry

COMMIT = "c" * 40
WORKFLOW = "acme/mono-jobs/.github/workflows/preview.yml"
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Scene:
    """A pull request, and where its legs push to."""

    github: GitHubServer
    registry: LocalRegistry
    folder: Path
    images: bool = True

    def start(self, name: str, steps: Sequence[float], run: int = 7) -> subprocess.Popen[str]:
        """A leg, which begins when `begin` is called."""
        image = f"{self.registry.address}/{self.folder.name}/{name}" if self.images else ""
        plan = {
            "name": name,
            "image": image.lower(),
            "steps": list(steps),
            "start": str(self.folder / f"begin-{run}"),
        }
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(TESTS),
            "TOKEN": self.github.token,
            "GITHUB_ACTIONS": "true",
            "GITHUB_EVENT_NAME": "pull_request",
            "GITHUB_EVENT_PATH": str(self.folder / "event.json"),
            "GITHUB_REPOSITORY": "acme/mono-jobs",
            "GITHUB_API_URL": self.github.url,
            "GITHUB_WORKFLOW": "preview",
            "GITHUB_WORKFLOW_REF": f"{WORKFLOW}@refs/pull/12/merge",
            "GITHUB_RUN_ID": str(run),
            "GITHUB_JOB": "preview",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "support.comment_leg", json.dumps(plan)],
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def begin(self, run: int = 7) -> None:
        (self.folder / f"begin-{run}").touch()

    def bodies(self) -> list[str]:
        return self.github.repository().bodies(12)

    def report(self) -> Report:
        """What the one comment says."""
        (body,) = self.bodies()
        assert body.startswith(marker(WORKFLOW))
        return read_report(body)

    def states(self) -> dict[str, str]:
        return {row.title: row.state for row in self.report().rows}


@pytest.fixture
def scene(github_api: GitHubServer, registry: LocalRegistry, tmp_path: Path) -> Scene:
    github_api.state.pull(github_api.repository(), 12, COMMIT)
    folder = tmp_path / f"r{random.randrange(10**9)}"
    folder.mkdir()
    pull = {
        "number": 12,
        "head": {"sha": COMMIT, "ref": "topic", "repo": {"full_name": "acme/mono-jobs"}},
        "base": {"ref": "main"},
    }
    (folder / "event.json").write_text(json.dumps({"action": "opened", "pull_request": pull}))
    return Scene(github_api, registry, folder)


def ended(legs: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What the legs printed on standard error; each ended well."""
    said = [leg.communicate(timeout=120) for leg in legs]
    assert [leg.returncode for leg in legs] == [0] * len(legs), said
    return [err for _, err in said]


def wait_until(is_so: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def some(chance: random.Random) -> list[float]:
    return [chance.random() * 0.5 for _ in range(4)]


@pytest.mark.parametrize("seed", range(int(os.environ.get("LAUNCH_RACES", "1"))))
def test_eight_legs_share_one_comment_that_has_all_their_rows(scene: Scene, seed: int) -> None:
    chance = random.Random(seed)
    for run in (7, 8):
        legs = [scene.start(f"job-{n}", some(chance), run) for n in range(8)]
        scene.begin(run)
        assert not [said for said in ended(legs) if "warning" in said]

        assert scene.states() == {f"job-{n}": "done" for n in range(8)}
        assert {row.run for row in scene.report().rows} == {run}
        assert all(row.metrics for row in scene.report().rows)


def test_a_reader_that_is_behind_makes_no_second_comment_that_stays(scene: Scene) -> None:
    scene.github.state.lag = 1.0
    legs = [scene.start(f"job-{n}", [0.1] * 4) for n in range(4)]
    scene.begin()
    ended(legs)

    assert scene.states() == {f"job-{n}": "done" for n in range(4)}


@pytest.mark.parametrize("seed", range(int(os.environ.get("LAUNCH_RACES", "1"))))
def test_a_leg_that_is_killed_holds_nobody_up_and_the_next_run_puts_it_right(
    scene: Scene, seed: int
) -> None:
    chance = random.Random(seed)
    legs = [scene.start(f"job-{n}", some(chance)) for n in range(8)]
    scene.begin()
    time.sleep(0.3 + chance.random() * 2)
    legs[0].send_signal(signal.SIGKILL)
    legs[0].communicate()
    ended(legs[1:])

    states = scene.states()
    assert [states[f"job-{n}"] for n in range(1, 8)] == ["done"] * 7

    again = scene.start("job-0", [0.1] * 4, run=8)
    scene.begin(8)
    ended([again])

    assert scene.states() == {f"job-{n}": "done" for n in range(8)}


def test_what_a_slow_writer_undid_is_put_back_from_the_store(scene: Scene) -> None:
    """Its reading is older than the other's end: nobody but the writer is there to see it."""
    slow = scene.start("job-a", [0, 5, 0, 0])
    quick = scene.start("job-b", [0, 5, 0, 0])
    scene.begin()
    wait_until(lambda: scene.bodies() and len(scene.report().rows) == 2)
    # The next change of the comment waits in GitHub until the other leg has ended.
    scene.github.fail(Fault("slow", seconds=9), "PATCH", "/issues/comments/")
    ended([slow, quick])

    assert scene.states() == {"job-a": "done", "job-b": "done"}


def test_a_limit_is_waited_for_and_what_was_to_be_written_is_not_written_then(
    scene: Scene,
) -> None:
    waits = scene.start("job-a", [0, 0, 0, 0])
    scene.github.fail(secondary_limit(retry_after=6), "PATCH", "/issues/comments/")
    scene.begin()
    wait_until(lambda: not scene.github.faults)
    limited = len(scene.github.seen)
    other = scene.start("job-b", [0, 0, 0, 0])
    ended([waits, other])

    assert scene.states() == {"job-a": "done", "job-b": "done"}
    assert scene.github.seen[limited].method == "GET"


def test_where_nothing_is_pushed_the_rows_are_in_check_runs(scene: Scene) -> None:
    local = Scene(scene.github, scene.registry, scene.folder, images=False)
    legs = [local.start(f"job-{n}", [0.1] * 4) for n in range(3)]
    local.begin()
    assert ended(legs) == [""] * 3

    assert scene.states() == {f"job-{n}": "done" for n in range(3)}
    found = scene.github.repository().check_runs.values()
    kept = [read_report(one["output"]["summary"]).rows[0] for one in found]
    assert sorted(row.title for row in kept) == ["job-0", "job-1", "job-2"]
    assert {one["conclusion"] for one in found} == {"success"}


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("GET", Fault("status", status=502)),
        ("GET", Fault("truncate")),
        ("POST", Fault("lose")),
        ("POST", secondary_limit()),
        ("PATCH", Fault("reset")),
        ("PATCH", Fault("garbage")),
        ("PATCH", secondary_limit(429)),
        ("PATCH", refused(404, "Not Found")),
    ],
    ids=lambda one: one if isinstance(one, str) else f"{one.kind}-{one.status}",
)
def test_one_fault_of_github_s_is_outlived(scene: Scene, method: str, fault: Fault) -> None:
    scene.github.fail(fault, method, "/issues/")
    leg = scene.start("job", [0.1] * 4)
    scene.begin()
    ended([leg])

    assert scene.states() == {"job": "done"}


@pytest.mark.parametrize(
    ("permissions", "line"),
    [({}, "pull-requests: write"), ({"pull_requests": "read"}, "pull-requests: write")],
)
def test_without_the_permission_there_is_one_warning_with_the_line(
    scene: Scene, permissions: dict[str, str], line: str
) -> None:
    scene.github.allow(**permissions)
    leg = scene.start("job", [0.1] * 4)
    scene.begin()
    (said,) = ended([leg])

    assert said.count("warning:") == 1
    assert line in said
    assert scene.bodies() == []


def test_a_comment_that_somebody_deletes_is_written_again(scene: Scene) -> None:
    leg = scene.start("job", [0.1, 0.1, 2, 0.1])
    scene.begin()
    wait_until(scene.bodies)
    scene.github.repository().comments.clear()
    ended([leg])

    assert scene.states() == {"job": "done"}


def test_somebody_else_s_comment_with_our_marker_is_left_alone(scene: Scene) -> None:
    forged = f"{marker(WORKFLOW)}\nfree money"
    scene.github.state.comment(scene.github.repository(), 12, forged, login="mallory")
    leg = scene.start("job", [0.1] * 4)
    scene.begin()
    ended([leg])

    theirs, ours = scene.bodies()
    assert theirs == forged
    assert read_report(ours).rows[0].state == "done"


def test_a_later_run_s_row_is_not_overwritten_by_an_earlier_run(scene: Scene) -> None:
    late = scene.start("job", [0.1] * 4, run=9)
    scene.begin(9)
    ended([late])
    early = scene.start("job", [0.1] * 4, run=7)
    scene.begin(7)
    ended([early])

    (row,) = scene.report().rows
    assert isinstance(row, Row)
    assert row.run == 9


def test_a_pull_request_s_own_comments_are_among_hundreds(scene: Scene) -> None:
    repository: Any = scene.github.repository()
    for number in range(250):
        scene.github.state.comment(repository, 12, f"me too {number}")
    for run in (7, 8):
        leg = scene.start("job", [0.1] * 4, run)
        scene.begin(run)
        ended([leg])

    ours = [body for body in scene.bodies() if body.startswith("<!-- launch-action")]
    assert len(ours) == 1
    assert read_report(ours[0]).rows[0].run == 8
