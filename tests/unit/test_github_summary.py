from __future__ import annotations

import html
from dataclasses import replace
from typing import Any

from markdown_it import MarkdownIt
from support.rows import FULL, PAGE

from launch_action.core.errors import InputError
from launch_action.core.outputs import Outcome
from launch_action.core.preview_row import Row
from launch_action.github.commands import SUMMARY_LIMIT
from launch_action.github.summary import Entry, Subject, render, render_failure

VALUES: dict[str, Any] = {
    **Outcome().values,
    "cache_hit": False,
    "pushed": True,
    "metadata": {
        "builder": "layers",
        "reason": "no Dockerfile.wandb beside the script",
        "base": [{"name": "docker.io/library/python:3.12-slim", "identity": "sha256:abc"}],
        "timings": {"resolve": 0.123, "push": 1.5},
        "bytes_sent": 17_300_000,
        "bytes_received": 999,
        "requests": 12,
    },
}
WAITING = Entry(Row(key="2", title="evaluate", run=7), Outcome().values)


def rendered(markdown: str) -> str:
    return html.unescape(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))


def test_a_job_alone_is_shown_with_everything_and_its_name_above() -> None:
    why = "mode preview: pull request #12, pull_request opened"
    markdown = render([Entry(FULL, VALUES)], PAGE, Subject("Preview of #12: ", why))
    shown = rendered(markdown)

    assert markdown.startswith("### ✅ Preview of #12: jobs/train.py\n\n<sub>mode preview")
    assert "pull_request opened" in shown
    for part in (
        FULL.job, FULL.image, "pr-12", "layers", "no Dockerfile.wandb beside the script",
        "docker.io/library/python:3.12-slim sha256:abc", "miss", "17.3 MB sent",
        "999 B received", "12 requests", "0.12", "1.50", "0.972222", "launch-action run",
    ):  # fmt: skip
        assert part in shown, part


def test_several_jobs_are_one_table_and_the_failures_are_in_sight() -> None:
    failed = replace(FULL, key="3", title="bad", state="failed", error="no x", hint="add x")
    shown = rendered(render([Entry(FULL, VALUES), WAITING, Entry(failed, VALUES)], PAGE))
    before_folds = shown.partition("<details>")[0]

    assert "❌ 1 of 3 jobs failed" in shown
    assert before_folds.count("<table>") == 1
    assert "pending" in before_folds
    assert "no x" in before_folds
    assert "hint: add x" in before_folds
    assert shown.index("<b>bad</b>: details") < shown.index("<b>jobs/train.py</b>: details")


def test_a_step_that_had_no_job_yet_says_what_failed() -> None:
    markdown = render_failure(InputError("input 'push' cannot be '<b>'", hint="true or @false"))

    assert markdown.startswith("### ❌ launch-action\n\n> ")
    assert "hint: true or @\u200bfalse" in html.unescape(markdown)
    assert "<b>" not in markdown


def test_what_went_over_no_network_is_no_transfer() -> None:
    local = {**VALUES, "pushed": False, "metadata": {**VALUES["metadata"], "requests": 0}}

    assert "Transferred" not in render([Entry(FULL, local)], PAGE)


def test_what_a_run_failed_with_is_marked() -> None:
    failed = replace(FULL, state="failed", run_status="failed", run_exit_code=3)
    markdown = render([Entry(failed, VALUES)], PAGE)

    assert markdown.startswith("### ❌")
    assert "exit code 3" in markdown


def test_a_summary_of_many_jobs_fits_the_runner_s_limit() -> None:
    many = [
        Entry(replace(FULL, key=str(n), error="e" * 900, reproduce="r" * 4000), VALUES)
        for n in range(600)
    ]
    markdown = render(many, PAGE)

    assert len(markdown.encode()) <= SUMMARY_LIMIT
    assert "There is more than fits here" in markdown
    assert markdown.count("<details>") == markdown.count("</details>")


def test_the_summary_is_the_same_text_every_time() -> None:
    assert render([Entry(FULL, VALUES)], PAGE) == render([Entry(FULL, VALUES)], PAGE)
