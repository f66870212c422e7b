"""Keeps what was measured in the docs: the tables between two marks of a page, and the chart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.table import report

_BEGIN, _END = "<!-- measured: begin -->", "<!-- measured: end -->"


def write_page(root: Path, found: Mapping[str, Any], samples: Path) -> None:
    """Write docs/benchmarks.md anew between its marks, and docs/images/benchmarks.png."""
    page = root / "docs" / "benchmarks.md"
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise SystemExit(f"{page} lacks {_BEGIN} or {_END}")
    page.write_text(f"{before}{begin}\n\n{report(found)}\n\n{end}{after}", encoding="utf-8")
    image = root / "docs" / "images" / "benchmarks.png"
    image.parent.mkdir(exist_ok=True)
    # Another process: whoever starts a program hands it its own peak of memory.
    chart = Path(__file__).with_name("chart.py")
    subprocess.run([sys.executable, str(chart), str(samples), str(image)], check=True)
