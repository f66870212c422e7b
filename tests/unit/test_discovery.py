"""What is said of the jobs that changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from launch_action.core.discovery import Verdict, matched, matrix, unequal
from launch_action.core.many_outputs import JobResult, combined
from launch_action.core.outputs import Outcome, output_text
from launch_action.github.environment import compared_commit

A, B = "a" * 40, "b" * 40


def test_the_matrix_has_the_changed_jobs_alone() -> None:
    verdicts = [Verdict("a", "job-a", ("x",)), Verdict("b", "job-b")]

    assert matrix(verdicts) == {"include": [{"job": "a"}]}
    assert matrix(verdicts[1:]) == {"include": []}


def test_paths_are_patterns_as_in_gitignore() -> None:
    changed = ["libs/core/x.py", "docs/a.md", "jobs/a/data.bin"]

    assert matched(["libs/"], changed) == ("files of its `paths`: libs/core/x.py",)
    assert matched(["*.md", "/data"], changed) == ("files of its `paths`: docs/a.md",)
    assert matched(["/libs/**", "!*.py"], changed) == ()
    assert matched(["other/"], changed) == ()


def test_what_is_unequal_is_there_once_or_twice_otherwise() -> None:
    assert unequal({"a": 1, "b": 1, "c": 1}, {"b": 1, "c": 2, "d": 1}) == ["a", "c", "d"]


@pytest.mark.parametrize(
    ("payload", "commit"),
    [
        ({"pull_request": {"base": {"sha": A}}, "before": B}, A),
        ({"merge_group": {"base_sha": A}}, A),
        ({"before": A}, A),
        ({"before": "0" * 40}, ""),
        ({"before": 7}, ""),
        ({"pull_request": {"base": {"sha": "--upload-pack=x"}}}, ""),
        ({}, ""),
    ],
)
def test_an_event_says_what_its_commit_is_a_change_of(
    payload: Any, commit: str, tmp_path: Path
) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps(payload))

    assert compared_commit({"GITHUB_EVENT_PATH": str(event)}) == commit


def result(key: str, **values: Any) -> JobResult:
    outcome = Outcome()
    outcome.announce(values)
    return JobResult(key, outcome.values)


def test_the_outputs_of_several_jobs_stand_in_one_order() -> None:
    found = combined("launch.yaml", [
        result("a", job="x@1", tags=["m", "n"], pushed=True, run_status="succeeded",
               run_exit_code=0, metrics={"x": 1}),
        result("b"),
        result("c", job="z@1", tags=["n", "o"], pushed=True, run_status="failed", run_exit_code=3),
    ])  # fmt: skip

    assert found["job"] == ["x@1", None, "z@1"]
    assert output_text(found["job"]) == "x@1\n\nz@1"
    assert found["image"] is None
    assert found["tags"] == ["m", "n", "o"]
    assert found["pushed"] is False
    assert found["cache_hit"] is None
    assert (found["run_status"], found["run_exit_code"]) == ("failed", 3)
    assert found["metrics"] == {"a": {"x": 1}}
    assert [one["key"] for one in found["metadata"]["jobs"]] == ["a", "b", "c"]


def test_the_outputs_of_one_job_are_its_own() -> None:
    found = combined("launch.yaml", [result("a", job="x@1", metadata={"commit": "c"})])

    assert found["job"] == "x@1"
    assert found["metadata"]["commit"] == "c"
    assert found["metadata"]["jobs"][0]["job"] == "x@1"
