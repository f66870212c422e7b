"""`--fail-if`: a run whose metrics are not good is a failure, after everything is reported."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from support.program import Ended, Machine, failed, succeeded
from support.repositories import Work

pytest_plugins = ["support.program_fixtures"]
pytestmark = pytest.mark.network

METRICS = """\
import json, os, pathlib, sys
metrics = {"accuracy": 0.85, "eval": {"loss": float("nan")}}
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "metrics.json").write_text(json.dumps(metrics))
sys.exit(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
"""


@pytest.fixture
def work(work: Work) -> Work:
    work.commit({"train.py": METRICS})
    return work


def launch(
    machine: Machine, work: Work, options: Sequence[str], *lines: str, more: Sequence[str] = ()
) -> Ended:
    given = [word for line in lines for word in ("--fail-if", line)]
    asked = ("launch", "-J", "train", "-r", "local-process", *options, *given, *more)
    return machine.run(*asked, cwd=work.path)


def test_a_run_is_held_to_its_metrics(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    good = succeeded(launch(machine, work, options, "accuracy < 0.8", more=["--json"])).document
    assert good["metadata"]["gate"] == [
        {"condition": "accuracy < 0.8", "metric": "accuracy", "value": 0.85, "failed": False}
    ]

    lines = ("accuracy < 0.9", "eval.loss > 1", "f1 < 0.5")
    ended = failed(launch(machine, work, options, *lines), 1)
    assert ended.error == (
        "the metrics gate failed: 'accuracy' is 0.85, and must be >= 0.9; "
        "'eval.loss' is NaN, and must be <= 1; 'f1' is not among the metrics (3 of 3 conditions)"
    )
    assert "accuracy" in ended.out  # the result is printed all the same
    assert "sha256:" in ended.out

    again = machine.run(
        "run", "train", "-r", "local-process", "--json", "--fail-if", lines[0], cwd=work.path
    )
    document = failed(again, 1).document
    assert document["error"]["code"] == "gate"
    assert document["run_status"] == "succeeded"
    assert document["run_exit_code"] == 0
    assert document["metrics"]["accuracy"] == 0.85
    assert [one["failed"] for one in document["metadata"]["gate"]] == [True]


def test_a_run_that_failed_by_itself_is_not_judged_by_its_metrics(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    more = ("--json", "--", "3")
    ended = launch(machine, work, options, "accuracy < 0.9", more=more)

    assert ended.code == 1
    assert ended.error == ""
    assert ended.document["run_exit_code"] == 3


@pytest.mark.parametrize("command", ["launch", "plan", "run"])
def test_a_line_that_is_no_condition_ends_it_before_anything_is_done(
    command: str, machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    line = "accuracy =< 0.9"
    if command == "run":
        ended = machine.run("run", "train", "--fail-if", line, cwd=work.path)
    else:
        more = ["--dry-run"] if command == "plan" else []
        ended = launch(machine, work, options, line, more=more)

    assert repr(line) in failed(ended, 2).error
    assert "did you mean '<='?" in ended.hint
    assert not machine.store.exists()


def test_nobody_waits_for_the_metrics_of_a_detached_run(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    asked = ("launch", "-J", "train", *options, "--fail-if", "accuracy < 0.9", "--async")

    ended = failed(machine.run(*asked, cwd=work.path), 2)

    assert "--async" in ended.hint
    assert not machine.store.exists()
