"""Measures launch-action against `docker build`, the best BuildKit can do, and buildah.

All of them side by side in one run, on one registry. `scripts/benchmark` starts it, as root on
Debian or Ubuntu; what it starts it ends. It judges nothing but what docs/benchmarks.md set as
goals; no test asserts a speed.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import base, heavy, packages, project  # noqa: E402
from benchmarks.buildah import buildah, buildah_dockerfile  # noqa: E402
from benchmarks.contenders import Contender, LaunchAction  # noqa: E402
from benchmarks.docker import Docker, pip_dockerfile, uv_dockerfile  # noqa: E402
from benchmarks.engine import engine  # noqa: E402
from benchmarks.images import median_import  # noqa: E402
from benchmarks.page import write_page  # noqa: E402
from benchmarks.registry import Registry, far_away, registry  # noqa: E402
from benchmarks.scenarios import COLD, FRESH_SOURCE, Sample, Series  # noqa: E402
from benchmarks.table import report  # noqa: E402

_UV = "astral-sh/uv:latest"


@dataclass(frozen=True, slots=True)
class Bench:
    """One run of the benchmark: where things are, and what ends with it."""

    options: argparse.Namespace
    folder: Path
    near: Registry
    until: float
    images: dict[str, str] = field(default_factory=dict)

    def contenders(self, names: list[str], checkout: Path, stack: ExitStack) -> list[Contender]:
        """launch-action twice and those that are asked for, each with a state of its own."""
        ours = [
            self._launch_action("launch-action", checkout),
            self._launch_action("launch-action --no-compile", checkout, "--no-compile"),
        ]
        return [*ours, *(self._other(name, checkout, stack) for name in names)]

    def _launch_action(self, name: str, checkout: Path, *options: str) -> LaunchAction:
        folder = self._place("la")
        return LaunchAction(self.options.program, checkout, base.NAME, folder, name, options)

    def _other(self, name: str, checkout: Path, stack: ExitStack) -> Contender:
        if name == "buildah":
            root = packages.unpacked("buildah", packages.BUILDAH, packages.BUILDAH_SUITE)
            file = buildah_dockerfile(base.NAME, _UV)
            return stack.enter_context(buildah(root, self._place("b"), checkout, file))
        current = name == "tuned"
        root = packages.unpacked("engine", packages.ENGINE) if current else Path("/")
        file = pip_dockerfile(base.NAME) if name == "pip" else uv_dockerfile(
            base.NAME, _UV, link=current
        )  # fmt: skip
        own = stack.enter_context(engine(root, self._place("e"), lazy=current))
        version = own.version.split("+")[0].split(" ")[0]
        return Docker(f"docker {version}, {name}", own, checkout, file)

    def _place(self, letter: str) -> Path:
        """A new folder with a short name: the path of a socket has 107 characters at most."""
        number = len(list(self.folder.glob(f"{letter}[0-9]*")))
        place = self.folder / f"{letter}{number}"
        place.mkdir()
        return place

    def samples(self, part: str) -> Iterator[Sample]:
        if part == "usual":
            yield from self.usual()
        elif part != "imports":
            yield from self.large(part)

    def usual(self) -> Iterator[Sample]:
        """Every scenario near and far, round by round, as long as there is time."""
        checkout = self.folder / "checkout"
        with ExitStack() as stack:
            contenders = self.contenders(self.options.contender, checkout, stack)
            distances = [
                Series("usual", self._store(latency, stack), checkout, contenders, latency)
                for latency in self.options.latency
            ]
            longest = 0.0
            for run, series in product(range(1, self.options.runs + 1), distances):
                begun = time.monotonic()
                if run > 1 and begun + longest > self.until:
                    print(f"no time for round {run}", file=sys.stderr)
                    return
                yield from series.measure(run, project.make_project)
                longest = max(longest, time.monotonic() - begun)
                if series.store is self.near:
                    self.images.update({c.name: series.image(run, c) for c in contenders})

    def _store(self, latency: float, stack: ExitStack) -> Registry:
        return stack.enter_context(far_away(self.near, latency)) if latency else self.near

    def large(self, name: str) -> Iterator[Sample]:
        """A cold build, and a change of the source, of a project that needs gigabytes."""
        checkout = self.folder / f"checkout-{name}"
        with ExitStack() as stack:
            ours = self._launch_action("launch-action", checkout)
            contenders = [ours, self._other("tuned", checkout, stack)]
            index, make = None, heavy.make_torch
            if name == "heavy":
                index = stack.enter_context(heavy.heavy_index(self.folder / "index"))
                make = partial(heavy.make_heavy, index=index)
            series = Series(name, self.near, checkout, contenders, index=index, watched=True)
            yield from series.measure(1, make, (COLD, FRESH_SOURCE))

    def imports(self) -> Iterator[dict[str, Any]]:
        """Seconds that the images of the last round take to import their packages when started."""
        with ExitStack() as stack:
            root = packages.unpacked("engine", packages.ENGINE)
            runner = stack.enter_context(engine(root, self._place("e")))
            for name, image in self.images.items():
                found = median_import(runner, f"{image}:latest")
                print(f"imports: {name:32} {found:.2f} s", file=sys.stderr)
                yield {"contender": name, "seconds": found}


def main() -> None:
    """Measure; write the samples as JSON, print the tables, and with --write-docs keep them."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    found: dict[str, Any] = {"samples": [], "imports": []}
    if options.only_write:
        found = json.loads(options.samples.read_text())
    else:
        _measure(options, found)
    print(report(found))
    if options.write_docs:
        write_page(ROOT, found, options.samples)


def _measure(options: argparse.Namespace, found: dict[str, Any]) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        near = stack.enter_context(registry(folder / "registry"))
        base.push(base.base_layout(), f"{near.address}/{base.NAME}")
        uv = base.program_layout(folder / "uv", options.program.with_name("uv"))
        base.push(uv, f"{near.address}/{_UV}")
        # The rest is for what is large, and for the containers.
        until = time.monotonic() + 60 * options.minutes * 0.7
        bench = Bench(options, folder, near, until)
        for part in options.part:
            if part == "imports":
                found["imports"] = list(bench.imports())
            for sample in bench.samples(part):
                found["samples"].append(asdict(sample))
                options.samples.write_text(json.dumps(found, indent=1))
        options.samples.write_text(json.dumps(found, indent=1))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="rounds at each distance; medians")
    parser.add_argument("--quick", action="store_true", help="one round near by, nothing else")
    parser.add_argument("--torch", action="store_true", help="torch with its CUDA wheels as well")
    parser.add_argument(
        "--part", action="append", choices=["usual", "heavy", "torch", "imports"],
        help="only these parts",
    )  # fmt: skip
    parser.add_argument(
        "--latency", type=float, action="append", help="milliseconds more for each round trip"
    )
    parser.add_argument(
        "--contender", action="append", choices=["pip", "uv", "tuned", "buildah"],
        help="whom to compare with (all but pip)",
    )  # fmt: skip
    parser.add_argument(
        "--minutes", type=float, default=20.0, help="begin no round that would take it beyond"
    )
    parser.add_argument("--write-docs", action="store_true", help="write tables and chart to docs")
    parser.add_argument("--only-write", action="store_true", help="from samples measured before")
    parser.add_argument("--samples", type=Path, default=ROOT / "build" / "benchmark.json")
    parser.add_argument(
        "--program", type=Path, default=Path(sys.executable).with_name("launch-action")
    )
    options = parser.parse_args()
    options.contender = options.contender or ["uv", "tuned", "buildah"]
    options.latency = options.latency or ([0.0] if options.quick else [0.0, 20.0])
    options.runs = 1 if options.quick else options.runs
    whole = ["usual"] if options.quick else ["usual", "heavy", "imports"]
    options.part = options.part or [*whole, *(["torch"] if options.torch else [])]
    options.samples.parent.mkdir(exist_ok=True)
    return options


if __name__ == "__main__":
    main()
