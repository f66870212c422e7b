"""Sweeps containers whose launch-action was killed: they run for nobody.

One that runs is stopped; it stays for a day, so that its output can still be fetched by hand, as
does one whose output could not be taken out. Then it is removed with its volume.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from launch_action.core.ports import Reporter
from launch_action.runners.container import DETACHED, OUTPUTS, OWNER, RUN_ID
from launch_action.runners.owner import Owner, is_gone

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

# Seconds that a container stays after its end.
KEPT = 24 * 3600.0

Fate = Literal["leave", "stop", "remove"]


def sweep(engine: DockerClient, reporter: Reporter) -> None:
    """Stop or remove what was left behind; what cannot be done now is left for the next run."""
    from docker.errors import DockerException
    from requests.exceptions import RequestException

    with suppress(DockerException, RequestException):
        found = engine.containers.list(all=True, filters={"label": OWNER}, ignore_removed=True)
        for container in found:
            _sweep_one(container, reporter)
        _sweep_volumes(engine)


def fate(labels: Mapping[str, str], state: Mapping[str, Any], gone: bool, now: float) -> Fate:
    """What becomes of a container; `gone`: its owner is known to have ended, `now` in seconds."""
    if labels.get(DETACHED):
        return "leave"
    if state.get("Running"):
        return "stop" if gone else "leave"
    ended = _seconds(str(state.get("FinishedAt", "")))
    if ended <= 0:
        return "remove" if gone else "leave"  # it was never started
    return "remove" if now - ended > KEPT else "leave"


def _sweep_one(container: Container, reporter: Reporter) -> None:
    from docker.errors import APIError

    owner = Owner.parse(container.labels.get(OWNER, ""))
    gone = owner is not None and is_gone(owner)
    name, run_id = container.name, container.labels.get(RUN_ID)
    with suppress(APIError):
        match fate(container.labels, container.attrs["State"], gone, time.time()):
            case "stop":
                container.kill()
                reporter.info(
                    f"stopped the container of run {run_id}, whose launch-action was killed; "
                    f"for a day `docker cp {name}:{OUTPUTS} .` fetches its output"
                )
            case "remove":
                container.remove(force=True, v=True)
                reporter.info(f"removed the container of run {run_id}, left behind")
            case "leave":
                pass


def _sweep_volumes(engine: DockerClient) -> None:
    """Volumes whose container somebody removed without them."""
    from docker.errors import APIError

    for volume in engine.volumes.list(filters={"label": OWNER, "dangling": True}):
        owner = Owner.parse((volume.attrs.get("Labels") or {}).get(OWNER, ""))
        if owner and is_gone(owner):
            with suppress(APIError):
                volume.remove()


def _seconds(text: str) -> float:
    """The engine's time (RFC 3339) in seconds since 1970; 0 for none."""
    try:
        return datetime.fromisoformat(text[:19] + "+00:00").timestamp()
    except ValueError:
        return 0.0
