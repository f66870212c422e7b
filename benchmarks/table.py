"""Samples as Markdown tables: median [smallest-largest], and ratios within the same run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

Sample = Mapping[str, Any]


def report(samples: Sequence[Sample]) -> str:
    """Every table, and how loaded the machine was."""
    ours = samples[0]["contender"]
    others = [name for name in _names(samples, "contender") if name != ours]
    loads = [one["load"] for one in samples]
    parts = [
        "Wall time of build and push, seconds:",
        _table(samples, [ours, *others], lambda found, _: _spread([s["seconds"] for s in found])),
        f"How many times longer than {ours}, in the same run:",
        _table(samples, others, lambda found, scenario: _ratios(found, samples, ours, scenario)),
        "To / from the registry, MB, and requests:",
        _table(samples, [ours, *others], lambda found, _: _traffic(found)),
        "Peak memory, MB:",
        _table(samples, [ours, *others], lambda found, _: _memory(found)),
        f"{max(s['run'] for s in samples)} runs; load average before a build: "
        f"median {median(loads):.1f}, {min(loads):.1f} to {max(loads):.1f}.",
    ]
    return "\n\n".join(parts)


def _table(
    samples: Sequence[Sample],
    contenders: Sequence[str],
    cell: Callable[[Sequence[Sample], str], str],
) -> str:
    scenarios = _names(samples, "scenario")
    rows = [["", *scenarios], ["---"] * (len(scenarios) + 1)]
    for contender in contenders:
        found = [
            [s for s in samples if s["contender"] == contender and s["scenario"] == scenario]
            for scenario in scenarios
        ]
        cells = [cell(one, name) for one, name in zip(found, scenarios, strict=True)]
        rows.append([contender, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{median(values):.2f} [{min(values):.2f}-{max(values):.2f}]"


def _ratios(found: Sequence[Sample], samples: Sequence[Sample], ours: str, scenario: str) -> str:
    mine = {
        s["run"]: s["seconds"]
        for s in samples
        if s["contender"] == ours and s["scenario"] == scenario
    }
    return f"{median(s['seconds'] / mine[s['run']] for s in found):.1f}"


def _traffic(found: Sequence[Sample]) -> str:
    up, down = (median(s[way] for s in found) / 1e6 for way in ("up", "down"))
    return f"{up:.2f} / {down:.2f}, {median(s['requests'] for s in found):.0f}"


def _memory(found: Sequence[Sample]) -> str:
    return f"{median(s['memory'] for s in found) / 1e6:.0f}"


def _names(samples: Iterable[Sample], key: str) -> list[str]:
    return list(dict.fromkeys(str(one[key]) for one in samples))
