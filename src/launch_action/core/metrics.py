"""Metrics that a job leaves: an object of scalars, read as data of an outsider."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

# The most that is read of a metrics document, in bytes.
METRICS_LIMIT = 1024 * 1024
_DEPTH = 32


def read_metrics(data: bytes) -> tuple[dict[str, Any], str]:
    """Read `metrics.json`: the metrics, and what to warn of (empty: nothing).

    An object of strings, numbers, booleans and nulls, nested or not. Anything else in it is left
    out, and a document that is no object gives no metrics; neither is a failure of the run. NaN and
    the infinities, which JSON does not have, become the strings W&B uses: NaN, Infinity, -Infinity.
    """
    if len(data) > METRICS_LIMIT:
        return {}, f"metrics.json has more than {METRICS_LIMIT} bytes and was not read"
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}, f"metrics.json is not JSON: {data[:80]!r}"
    if not isinstance(found, dict):
        return {}, f"metrics.json is not an object: {data[:80]!r}"
    left_out: list[str] = []
    metrics = scalars(found, left_out)
    names = ", ".join(repr(name) for name in left_out[:5])
    return metrics, f"metrics.json: only scalars are metrics, left out {names}" if left_out else ""


def scalars(
    found: Mapping[str, Any], left_out: list[str], prefix: str = "", depth: int = _DEPTH
) -> dict[str, Any]:
    """The scalars of a JSON object, nested; the names of the rest are added to `left_out`."""
    kept: dict[str, Any] = {}
    for key, value in found.items():
        name = _text(key)
        if isinstance(value, dict) and depth:
            kept[name] = scalars(value, left_out, f"{prefix}{name}.", depth - 1)
        elif isinstance(value, dict | list):
            left_out.append(f"{prefix}{name}")
        else:
            kept[name] = _scalar(value)
    return kept


def _scalar(value: str | float | bool | None) -> str | float | bool | None:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _text(text: str) -> str:
    """Without lone surrogates, which JSON can spell and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()
