"""The documents of the job commands as lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from launch_action.report import readable_size

_SPANS = ((86400 * 365, "y"), (86400, "d"), (3600, "h"), (60, "m"))
_BOUNDS = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "default",
)  # fmt: skip
_SPELLED = {"typedDict": "object"}
_HEAD = ("JOB", "ALIASES", "COMMIT", "AGE", "IMAGE", "VERSION")


def listing(document: Mapping[str, Any], now: int) -> Iterator[str]:
    """A table, a line per version; `now` in seconds since 1970."""
    rows = [_HEAD, *(_row(entry, now) for entry in document["versions"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def description(document: Mapping[str, Any], now: int) -> Iterator[str]:
    """A line per fact, then the packages, then what another version has not."""
    details, job = document["details"], document["wandb_job"]
    services = _object(job, "services").items()
    rows = {
        "job": document["job_name"],
        "version": document["job"],
        "aliases": ", ".join(document["aliases"]),
        "source": _source(document),
        "created": _created(document["created"], now),
        "entry": json.dumps(document["entrypoint"]),
        "python": document["runtime"],
        "builder": details.get("builder"),
        "base": ", ".join(_bases(details)) or _object(job, "source").get("base_image"),
        "services": ", ".join(f"{name}={policy}" for name, policy in services),
        "cutoff": details.get("cutoff"),
        "run": details.get("run"),
        "wandb": _at_wandb(_object(details, "wandb")),
        "patch": _patched(document.get("patch")),
        "key": document["build_key"],
    }
    for name, text in rows.items():
        if text:
            yield f"{name:<9}{text}"
    for image in document["images"]:
        size = readable_size(image["size"])
        yield f"image    {image['platform']} {image['digest']} {image['layers']} layers, {size}"
    known = document["schema"]
    lines = _inputs(known) if known is not None else _types(job)
    yield from (f"input    {line}" for line in lines)
    for name, version in document["packages"].items():
        yield f"package  {name} {version}"
    if "against" in document:
        yield from _difference(document["against"])


def promotion(document: Mapping[str, Any]) -> Iterator[str]:
    """A line per alias that moved, and per version at W&B that has them too."""
    for moved in document["moved"]:
        yield f"{moved['alias']:<8} {moved['job']}"
    for name in document["wandb"]:
        yield f"{'W&B':<9}{name}"


def deletion(document: Mapping[str, Any]) -> Iterator[str]:
    """A line for the version, one per alias."""
    if document["version"]:
        yield f"version  {document['repository']}@{document['version']} is deleted"
    for alias in document["aliases"]:
        yield f"alias    {document['repository']}:{alias} is removed"
    for name in document["wandb"]:
        yield f"W&B      {name} is removed; the version stays"


def age(created: str, now: int) -> str:
    """How long ago a time (RFC 3339) was, in its largest unit; `-` for what is no time.

    >>> age("1970-01-02T00:00:00Z", 3 * 86400)
    '2d'
    """
    try:
        seconds = max(now - int(datetime.fromisoformat(created).timestamp()), 0)
    except (ValueError, OverflowError):
        return "-"
    for span, unit in _SPANS:
        if seconds >= span:
            return f"{seconds // span}{unit}"
    return f"{seconds}s"


def _bases(details: Mapping[str, Any]) -> Iterator[str]:
    found = details.get("base")
    for base in found if isinstance(found, list) else ():
        if isinstance(base, dict):
            yield f"{base.get('name', '?')} {base.get('identity', '?')}"


def _created(created: str, now: int) -> str:
    past = age(created, now)
    return created if past == "-" else f"{created} ({past} ago)"


def _row(entry: Mapping[str, Any], now: int) -> tuple[str, ...]:
    return (
        entry["job_name"],
        ",".join(_short(alias) for alias in _ordered(entry["aliases"])),
        (entry["commit"] or "-")[:12],
        age(entry["created"], now),
        readable_size(entry["image_size"]) if entry["platforms"] else "-",
        entry["job"],
    )


def _ordered(aliases: Sequence[str]) -> list[str]:
    """Names that people gave before those of commits."""
    return sorted(aliases, key=lambda alias: (alias.startswith("sha-"), alias))


def _short(alias: str) -> str:
    return alias[:16] if alias.startswith("sha-") and len(alias) > 40 else alias


def _source(document: Mapping[str, Any]) -> str:
    commit = document["commit"]
    if commit or document["remote"]:
        return f"{document['remote']} at {commit}" if commit else str(document["remote"])
    source = _object(document["wandb_job"], "source")
    return str(source.get("image") or source.get("artifact") or "")


def _at_wandb(origin: Mapping[str, Any]) -> str:
    """The job at W&B that a version was made of, and what is said of it there."""
    if not origin.get("job"):
        return ""
    description = " ".join(str(origin.get("description") or "").split())
    return f"{origin['job']} at {origin.get('server')}" + (
        f": {description}" if description else ""
    )


def _difference(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"against  {found['job']}"
    if found["commits"]:
        yield f"commits  {found['commits']}"
    change = found["image_size_change"]
    sign = "+" if change >= 0 else "-"
    same = ", the same image" if found["same_image"] else ""
    yield f"size     {sign}{readable_size(abs(change))}{same}"
    for one in found["packages"]:
        yield f"{one['change']:<9}{one['name']} {_versions(one)}"


def _inputs(schema: Mapping[str, Any]) -> Iterator[str]:
    """A line per property of the schema; the schema itself where it has none."""
    properties = _object({"": schema}, "").get("properties")
    if not isinstance(properties, dict) or not properties:
        yield json.dumps(schema)
        return
    listed = schema.get("required")
    required = listed if isinstance(listed, list) else []
    for name, one in properties.items():
        found = one if isinstance(one, dict) else {}
        needed = name in required or found.get("required") is True
        yield f"{name} {', '.join(_rules(found, needed))}{_titled(found)}".rstrip()


def _types(job: Mapping[str, Any]) -> Iterator[str]:
    """A line per input of which W&B's type is recorded, as of a run's configuration."""
    types = _object(_object(_object(job, "input_types"), "params"), "type_map")
    for name in types:
        one = _object(types, name)
        listed = _object(one, "params").get("allowed_types")
        kinds = listed if isinstance(listed, list) else [one]
        names = [str(_object({"": kind}, "").get("wb_type", "any")) for kind in kinds]
        yield f"{name} {' or '.join(_SPELLED.get(known, known) for known in names)}"


def _object(found: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """The object at a key; empty where the document, which is a store's, has something else."""
    value = found.get(key)
    return value if isinstance(value, dict) else {}


def _patched(patch: str | None) -> str:
    """Which files a run had changed of its commit."""
    lines = (patch or "").splitlines()
    return ", ".join(line.rpartition(" b/")[2] for line in lines if line.startswith("diff --git "))


def _rules(schema: Mapping[str, Any], needed: bool) -> Iterator[str]:
    types = schema.get("type")
    if types:
        yield " or ".join(map(str, types)) if isinstance(types, list) else str(types)
    if needed:
        yield "required"
    if "enum" in schema:
        yield f"one of {json.dumps(schema['enum'])}"
    yield from (f"{key} {schema[key]}" for key in _BOUNDS if key in schema)


def _titled(schema: Mapping[str, Any]) -> str:
    title = schema.get("title") or schema.get("description")
    return f": {title}" if title else ""


def _versions(change: Mapping[str, Any]) -> str:
    return " -> ".join(filter(None, (change["before"], change["after"])))
