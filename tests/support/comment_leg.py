"""A leg that reports to a comment, as a process: `python -m support.comment_leg PLAN`.

PLAN is JSON: `name`, `image`, `run`, `steps` (seconds between what becomes known), `start` (a file
that all wait for). The runner's variables are those of the environment. It prints the seconds that
its end took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from launch_action.core.inputs import Inputs
from launch_action.core.legs import Leg, Listeners
from launch_action.core.mode import Decision
from launch_action.core.outputs import Outcome
from launch_action.github.environment import load_context
from launch_action.planning.workplace import Workplace
from launch_action.report import PlainSink, Report
from launch_action.step.listeners import leg_rows, told_elsewhere

STEPS: tuple[dict[str, Any], ...] = (
    {"job_name": "job", "metadata": {"commit": "c" * 40}},
    {"image": "x@sha256:" + "1" * 64, "pushed": False},
    {"run_status": "running"},
    {"run_status": "succeeded", "metrics": {"accuracy": 0.5}, "metadata": {"run_seconds": 1.0}},
)


def main(plan: dict[str, Any]) -> None:
    environment = dict(os.environ)
    inputs = Inputs(
        image=plan["image"], github_token=environment["TOKEN"], job_name=plan["name"], push=None
    )
    place = Workplace(inputs, environment, Report(PlainSink(sys.stderr)), 0)
    event = load_context(environment)
    decision = Decision(mode="preview", reason="", trusted=True, push=None, run=False)
    rows = leg_rows(place, event, decision)
    listeners = Listeners(
        [rows, *told_elsewhere(place, event, decision, rows)], Report(PlainSink(sys.stderr))
    )
    leg, outcome = Leg("", inputs, plan["name"]), Outcome()
    while not Path(plan["start"]).exists():
        time.sleep(0.001)
    listeners.begin([leg])
    listeners.start(leg)
    for found, pause in zip(STEPS, plan["steps"], strict=True):
        time.sleep(pause)
        outcome.announce(found)
        listeners.known(leg, outcome.values)
    listeners.end(leg, outcome.values, None)
    began = time.monotonic()
    listeners.close()
    print(f"{time.monotonic() - began:.2f}")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
