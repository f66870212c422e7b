"""A leg of a step as a report's row: what its inputs say first, then what its outputs tell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from launch_action.core.dataclass import dataclass, replace
from launch_action.core.entrypoint import parse_entrypoint, script_of
from launch_action.core.errors import InputError, LaunchError
from launch_action.core.input_table import INPUTS
from launch_action.core.inputs import Inputs
from launch_action.core.legs import Leg, Values
from launch_action.core.preview_row import BAD, Metric, Row, State, compared, with_error
from launch_action.core.reproduction import reproduction

# Inputs that tell no legs apart: of the place, or what may be secret.
_NOT_IDENTITY = frozenset({"env", "working-directory", "verbose", "comment"})
_ENDS: dict[str, State] = {"failed": "failed", "timeout": "timeout", "cancelled": "cancelled"}
_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is said: the workflow run, its attempt, and milliseconds since 1970.

    `job` is the workflow's job (GITHUB_JOB).
    """

    run: int = 0
    attempt: int = 1
    at: int = 0
    job: str = ""


def first_row(leg: Leg, moment: Moment) -> Row:
    """The row of a leg that waits."""
    return Row(
        key=_key(leg, moment.job),
        title=_title(leg, {}),
        variant=_variant(leg.inputs),
        job_name=leg.job_name,
        run=moment.run,
        attempt=moment.attempt,
        at=moment.at,
    )


def next_row(row: Row, leg: Leg, values: Values, at: int, state: State = "building") -> Row:
    """The row with what is known by now; what was compared stays."""
    metadata: Mapping[str, Any] = values["metadata"] or {}
    running = values["run_status"] not in (None, "skipped")
    return replace(
        row,
        at=max(at, row.at + 1),
        state="running" if running and state == "building" else state,
        title=_title(leg, metadata),
        job_name=values["job_name"] or row.job_name,
        commit=metadata.get("commit") or row.commit,
        job=values["job"] or "",
        image=values["image"] or "",
        tags=tuple(values["tags"] or ()),
        reused=_reused(values) or row.reused,
        run_status=values["run_status"] or "",
        run_exit_code=values["run_exit_code"],
        run_seconds=metadata.get("run_seconds"),
        run_url=values["run_url"] or "",
        metrics=_measured(values, leg.inputs),
    )


def last_row(row: Row, leg: Leg, values: Values, error: LaunchError | None, at: int) -> Row:
    """The row of a leg that has ended."""
    state: State = _ENDS.get(values["run_status"] or "", "done")
    if error is not None and state not in BAD:
        state = "cancelled" if error.exit_code >= _INTERRUPTED else "failed"
    ended = next_row(row, leg, values, at, state)
    told = with_error(ended, error) if state != "cancelled" else ended
    return replace(told, reproduce=reproduction(values, leg.inputs))


def _measured(values: Values, inputs: Inputs) -> tuple[Metric, ...]:
    """The metrics, those that the gate looks at before the others: a table shows few of them."""
    found = compared(values["metrics"] or {})
    if not (found and inputs.fail_if):
        return found
    from launch_action.core.gate import read_conditions

    asked = [one.name for one in read_conditions(inputs.fail_if)]
    return tuple(
        sorted(found, key=lambda m: asked.index(m.name) if m.name in asked else len(asked))
    )


def _key(leg: Leg, job: str) -> str:
    """What tells the leg apart from those of the same workflow, also the others of a matrix.

    An edit of the workflow may make it another one: its last row is one of an earlier run then.
    """
    given = [
        getattr(leg.inputs, known.field)
        for known in INPUTS
        if not known.secret and known.name not in _NOT_IDENTITY
    ]
    return hashlib.sha256(json.dumps([leg.key, job, given]).encode()).hexdigest()[:16]


def _variant(inputs: Inputs) -> str:
    """What people tell the legs of a matrix apart by, where their titles are the same."""
    parts = (*inputs.set, *inputs.args, inputs.python, *inputs.platform, inputs.target, inputs.name)
    return ", ".join(part for part in parts if part) or inputs.image.rpartition("/")[2]


def _title(leg: Leg, metadata: Mapping[str, Any]) -> str:
    named = leg.key or leg.inputs.job_name or metadata.get("script") or _script(leg.inputs)
    return named or leg.job_name or leg.inputs.docker_image or "job"


def _script(inputs: Inputs) -> str:
    try:
        return script_of(parse_entrypoint(inputs.entry_point), inputs.build_context)
    except InputError:
        return ""


def _reused(values: Values) -> str:
    return "image reused" if values["cache_hit"] else ""
