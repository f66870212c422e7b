"""Samples as Markdown: medians [smallest-largest], ratios within a run, and the goals."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import median
from typing import Any

Sample = Mapping[str, Any]
OURS = "launch-action"
_FRESH_SOURCE = "fresh machine, source change"
# Ratio of our time to the best of the others, by scenario.
_RATIOS = {
    "cold": 0.35,
    _FRESH_SOURCE: 0.06,
    "fresh machine, light requirement change": 0.25,
}


def report(found: Mapping[str, Any]) -> str:
    """Every table, the goals, and how loaded the machine was."""
    samples = found["samples"]
    usual = [one for one in samples if one["series"] == "usual"]
    parts: list[str] = []
    for latency in _values(usual, "latency"):
        near = [one for one in usual if one["latency"] == latency]
        parts += _at_distance(near, latency)
    if usual:
        parts += _traffic(usual)
    for name in ("heavy", "torch"):
        parts += _large([one for one in samples if one["series"] == name], name)
    parts += _imports(found["imports"])
    parts += ["### Goals", _goals(samples)]
    loads = [one["load"] for one in samples] or [0.0]
    parts.append(
        f"Load average of the machine (two processors) before a build: median {median(loads):.1f}, "
        f"{min(loads):.1f} to {max(loads):.1f}."
    )
    return "\n\n".join(parts)


def _at_distance(samples: Sequence[Sample], latency: float) -> Iterable[str]:
    where = f"{latency:.0f} ms away" if latency else "beside it (loopback)"
    runs = len(_values(samples, "run"))
    yield f"### Seconds, the registry {where}: {_times(runs)}"
    yield _table(samples, lambda found, _: _spread([one["seconds"] for one in found]))
    yield f"How many times as long as {OURS}, in the same run:"
    ours = [one for one in samples if one["contender"] == OURS]
    others = [one for one in samples if not one["contender"].startswith(OURS)]
    yield _table(others, lambda found, scenario: f"{median(_ratios(found, ours, scenario)):.1f}")


def _traffic(samples: Sequence[Sample]) -> Iterable[str]:
    near = [one for one in samples if one["latency"] == min(s["latency"] for s in samples)]
    yield "### To / from the registry in MB, and requests"
    yield _table(near, lambda found, _: _exchanged(found))
    yield "### Peak memory in MB, and the image's size in MB"
    yield _table(near, lambda found, _: f"{_middle(found, 'memory')}, {_middle(found, 'size')}")


def _large(samples: Sequence[Sample], name: str) -> Iterable[str]:
    if not samples:
        return
    what = {"heavy": "A wheel of 2 GB", "torch": "torch with its CUDA wheels"}[name]
    yield f"### {what}"
    rows = [
        ["", "", "seconds", "to / from the registry, MB", "from the index, MB", "requests",
         "peak memory, MB", "local state at most, MB"],
    ]  # fmt: skip
    for one in samples:
        index = f"{one['index'] / 1e6:.1f}" if name == "heavy" else "not counted"
        rows.append(
            [
                one["contender"], one["scenario"], f"{one['seconds']:.2f}",
                f"{one['up'] / 1e6:.2f} / {one['down'] / 1e6:.2f}", index, str(one["requests"]),
                f"{one['memory'] / 1e6:.0f}", f"{one['disk'] / 1e6:.0f}",
            ]
        )  # fmt: skip
    yield _markdown(rows)


def _imports(found: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    if not found:
        return
    yield "### Seconds to import numpy, pandas and scikit-learn in a new container"
    yield _markdown([["", "seconds"], *([o["contender"], f"{o['seconds']:.2f}"] for o in found)])


def _goals(samples: Sequence[Sample]) -> str:
    """What was set out for, what was measured near by, and whether it holds."""
    near = [one for one in samples if one["series"] == "usual" and one["latency"] == 0]
    rows = [["goal", "measured", "holds"]]
    ours = [one for one in near if one["contender"] == OURS]
    for scenario, goal in _RATIOS.items() if near else ():
        found = _best_ratio(near, ours, scenario)
        rows.append(
            [f"{scenario}: at most {goal} of the best other", f"{found:.3f}", _holds(found <= goal)]
        )
    plain = [one for one in near if one["contender"] == f"{OURS} --no-compile"]
    if plain:
        found = _best_ratio(near, plain, "cold")
        what = "cold, without bytecode as the others: at most 0.35 of the best other"
        rows.append([what, f"{found:.3f}", _holds(found <= 0.35)])
    if ours:
        rows += [_no_change(ours), *_source_change(ours)]
    heavy = [one for one in samples if one["series"] == "heavy" and one["contender"] == OURS]
    for one in heavy:
        if one["scenario"] == _FRESH_SOURCE:
            moved = one["index"] + max(0, one["up"] - one["code"] - 25_000)
            rows.append(
                ["an unchanged wheel of 2 GB moves no byte", f"{moved} bytes", _holds(moved == 0)]
            )
    return _markdown(rows)


def _no_change(ours: Sequence[Sample]) -> list[str]:
    seconds = median(one["seconds"] for one in ours if one["scenario"] == "no change")
    return ["no change: under 0.25 s", f"{seconds:.2f} s", _holds(seconds < 0.25)]


def _source_change(ours: Sequence[Sample]) -> Iterable[list[str]]:
    found = [one for one in ours if one["scenario"] == "source change"]
    more = median(one["up"] - one["code"] for one in found)
    yield [
        "source change: uploads its layer and at most 25 kB", f"{more / 1000:.1f} kB more",
        _holds(more <= 25_000),
    ]  # fmt: skip
    requests = median(one["requests"] for one in found)
    yield ["source change: at most 10 requests", f"{requests:.0f}", _holds(requests <= 10)]


def _holds(yes: bool) -> str:
    return "yes" if yes else "**no**"


def _best_ratio(near: Sequence[Sample], ours: Sequence[Sample], scenario: str) -> float:
    """Our time as a part of the best other's, whoever that is in each run; the median."""
    mine = {one["run"]: one["seconds"] for one in ours if one["scenario"] == scenario}
    others = [s for s in near if not s["contender"].startswith(OURS) and s["scenario"] == scenario]
    best = {run: min(s["seconds"] for s in others if s["run"] == run) for run in mine}
    return median(float(mine[run] / best[run]) for run in mine)


def _table(samples: Sequence[Sample], cell: Callable[[Sequence[Sample], str], str]) -> str:
    scenarios = [str(name) for name in _values(samples, "scenario")]
    rows = [["", *scenarios]]
    for contender in _values(samples, "contender"):
        found = [
            [s for s in samples if s["contender"] == contender and s["scenario"] == scenario]
            for scenario in scenarios
        ]
        cells = [cell(one, name) for one, name in zip(found, scenarios, strict=True)]
        rows.append([str(contender), *cells])
    return _markdown(rows)


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _spread(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{median(values):.2f} [{min(values):.2f}-{max(values):.2f}]"


def _ratios(found: Sequence[Sample], ours: Sequence[Sample], scenario: str) -> list[float]:
    mine = {one["run"]: one["seconds"] for one in ours if one["scenario"] == scenario}
    return [one["seconds"] / mine[one["run"]] for one in found]


def _exchanged(found: Sequence[Sample]) -> str:
    up, down = (median(one[way] for one in found) / 1e6 for way in ("up", "down"))
    return f"{up:.2f} / {down:.2f}, {median(one['requests'] for one in found):.0f}"


def _middle(found: Sequence[Sample], key: str) -> str:
    return f"{median(one[key] for one in found) / 1e6:.0f}"


def _times(runs: int) -> str:
    return "one run" if runs == 1 else f"median [smallest-largest] of {runs} runs"


def _values(samples: Iterable[Sample], key: str) -> list[Any]:
    return list(dict.fromkeys(one[key] for one in samples))
