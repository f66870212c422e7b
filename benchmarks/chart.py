"""Draws the samples: a panel for each distance of the registry, a bar for each contender.

`chart.py SAMPLES PICTURE`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLOURS = ("#1f6f8b", "#b0b7bd", "#d9a441", "#a65e5e", "#7d8f69")


def draw(samples: list[dict[str, Any]], picture: Path) -> None:
    """Seconds on a logarithmic scale, medians; the shorter the bar, the better."""
    usual = [one for one in samples if one["series"] == "usual"]
    distances = list(dict.fromkeys(one["latency"] for one in usual))
    figure = Figure(figsize=(6.5 * len(distances), 6.5))
    panels = figure.subplots(1, len(distances), sharey=True, squeeze=False)
    for panel, latency in zip(panels[0], distances, strict=True):
        _panel(panel, [one for one in usual if one["latency"] == latency], latency)
    handles, labels = panels[0][0].get_legend_handles_labels()
    columns = min(len(labels), 2 * len(distances))
    figure.legend(handles, labels, loc="upper center", ncols=columns, frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.95 if columns == len(labels) else 0.92))
    figure.savefig(picture, dpi=110)


def _panel(panel: Axes, samples: list[dict[str, Any]], latency: float) -> None:
    scenarios = list(dict.fromkeys(one["scenario"] for one in samples))
    contenders = list(dict.fromkeys(one["contender"] for one in samples))
    height = 0.8 / len(contenders)
    for place, contender in enumerate(contenders):
        seconds = [
            median(
                one["seconds"]
                for one in samples
                if (one["contender"], one["scenario"]) == (contender, scenario)
            )
            for scenario in scenarios
        ]
        rows = [row + (place - (len(contenders) - 1) / 2) * height for row in range(len(scenarios))]
        colour = _COLOURS[place % len(_COLOURS)]
        bars = panel.barh(rows, seconds, height * 0.92, color=colour, label=contender)
        panel.bar_label(bars, labels=[f"{one:.2f}" for one in seconds], padding=3, fontsize=8)
    panel.set_xscale("log")
    panel.set_xlim(0.05, panel.get_xlim()[1] * 2)
    panel.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:g}")
    panel.set_yticks(range(len(scenarios)), [name.replace(", ", ",\n") for name in scenarios])
    panel.invert_yaxis()
    where = f"registry {latency:.0f} ms away" if latency else "registry on the same machine"
    panel.set_title(f"Commit to pushed image: {where}", fontsize=11)
    panel.set_xlabel("seconds of wall time, logarithmic; median")
    panel.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    draw(json.loads(Path(sys.argv[1]).read_text())["samples"], Path(sys.argv[2]))
