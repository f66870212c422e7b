"""Rows of reports for tests: one with everything in it, and outside text for everywhere."""

from __future__ import annotations

import hashlib

from launch_action.core.comparison import Change
from launch_action.core.preview_row import Base, Row, compared
from launch_action.core.preview_table import Page

COMMIT = "4be19c27a3d0f58e6b1c9a72d4e0f3b85a6c1d97"
PAGE = Page(
    repository_url="https://github.com/acme/mono",
    run=7,
    run_url="https://github.com/acme/mono/actions/runs/7/attempts/1",
    workflow="preview",
)


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


FULL = Row(
    key="1" * 16,
    title="jobs/train.py",
    run=7,
    at=1_764_300_000_000,
    state="done",
    commit=COMMIT,
    job_name="job-https___github.com_acme_mono-jobs_train.py",
    job=f"ghcr.io/acme/train@{digest('job')}",
    image=f"ghcr.io/acme/train@{digest('image')}",
    size=85_300_000,
    tags=(f"sha-{COMMIT}", "pr-12"),
    base=Base(name="main", commit="8" * 40, image=digest("base"), size=84_100_000),
    changes=(Change("rich", "", "14.1.0"), Change("torch", "2.8", "2.9"), Change("six", "1", "")),
    build_seconds=4.31,
    reused="5 of 6 layers reused",
    run_status="succeeded",
    run_exit_code=0,
    run_seconds=72.4,
    run_url="https://wandb.ai/acme/x/runs/1?a=b&c=d",
    metrics=compared({"accuracy": 0.97222222, "eval": {"loss": 0.25}}, {"accuracy": 0.9}),
    reproduce="launch-action run \\\n  ghcr.io/acme/train:x",
    store="ghcr.io/acme/train",
)
