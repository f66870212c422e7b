"""What a version's run came to, kept beside the version: later previews are compared with it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from launch_action.core.notes import LIMIT, RUN_NOTE, put_note, read_note, run_tag
from launch_action.core.ports import Content
from launch_action.core.preview_row import Scalar, flat
from launch_action.core.reference import Digest

_FORMAT = 1


def keep_metrics(content: Content, version: Digest, outputs: Mapping[str, Any]) -> bool:
    """Keep the metrics of a run that went well; False where there is nothing to keep.

    Nor where the version is gone, as when its pull request was closed meanwhile: nothing would take
    the note away. `outputs` are those of the launch; of several runs of a version the last one's
    are kept.
    Raises what the content raises.
    """
    if outputs["run_status"] != "succeeded" or not outputs["metrics"]:
        return False
    seconds = (outputs["metadata"] or {}).get("run_seconds")
    document = {
        "format": _FORMAT,
        "run_id": outputs["run_id"],
        "seconds": seconds,
        "metrics": flat(outputs["metrics"]),
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    if len(text.encode()) > LIMIT or content.get_manifest(version) is None:
        return False
    put_note(content, run_tag(version), RUN_NOTE, text)
    return True


def kept_metrics(content: Content, version: Digest) -> dict[str, Scalar]:
    """The metrics of a version's last run by dotted names; empty where none are kept.

    Raises what the content raises.
    """
    text = read_note(content, run_tag(version), RUN_NOTE)
    try:
        found = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        return {}
    metrics = found.get("metrics")
    return flat(metrics) if isinstance(metrics, dict) else {}
