"""`mode: discover`: a step that says which jobs changed, for the matrix of a later job."""

from __future__ import annotations

import json
from collections.abc import Sequence

from launch_action.commands.discovering import discover
from launch_action.core.discovery import Verdict
from launch_action.core.markdown import escape
from launch_action.github.commands import WorkflowCommands
from launch_action.launches.many_jobs import Given
from launch_action.planning.workplace import Workplace


def discover_step(
    commands: WorkflowCommands, place: Workplace, given: Given, keys: Sequence[str]
) -> list[str]:
    """Set the output `metadata` to the matrix, and `job` to the keys, one per line; the keys."""
    found = discover(place, given, keys, base="", everything=False)
    commands.set_output("metadata", json.dumps(found.matrix()))
    changed = [one.key for one in found.verdicts if one.reasons]
    commands.set_output("job", "\n".join(changed))
    commands.add_summary(_summary(found.verdicts, len(changed)))
    return changed


def _summary(verdicts: Sequence[Verdict], changed: int) -> str:
    rows = [
        f"| {escape(one.key)} | {escape('; '.join(one.reasons)) or 'not changed'} |"
        for one in verdicts
    ]
    head = f"### {changed} of {len(verdicts)} jobs changed\n\n| job | why |\n| --- | --- |\n"
    return head + "\n".join(rows) + "\n"
