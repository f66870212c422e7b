"""Measures launch-action against `docker build` with BuildKit, side by side, on one registry.

Debian or Ubuntu, as root: `python benchmarks/compare.py --runs 3`. Needs docker-registry, skopeo,
mmdebstrap, git and a Docker engine; what it starts it ends. It judges nothing: it prints a table.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import base, project  # noqa: E402
from benchmarks.contenders import (  # noqa: E402
    Contender,
    Docker,
    LaunchAction,
    pip_dockerfile,
    uv_dockerfile,
)
from benchmarks.engine import Engine, engine  # noqa: E402
from benchmarks.registry import Registry, far_away, registry  # noqa: E402
from benchmarks.table import report  # noqa: E402


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens to the project before a build; `fresh`: the machine has no local state."""

    name: str
    change: Callable[[Path, int], None]
    fresh: bool = False


def _nothing(_folder: Path, _run: int) -> None:
    return


def _edit(folder: Path, run: int) -> None:
    project.edit_source(folder, f"run {run}")


SCENARIOS = (
    Scenario("cold", _nothing, fresh=True),
    Scenario("no change", _nothing),
    Scenario("source only", _edit),
    Scenario("light dependency", lambda folder, _: project.bump(folder, project.BUMPS[0])),
    Scenario("fresh machine, source only", _edit, fresh=True),
    Scenario(
        "fresh machine, light dependency",
        lambda folder, _: project.bump(folder, project.BUMPS[1]),
        fresh=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One build: wall seconds, bytes and requests of the registry, memory in bytes, load before."""

    run: int
    scenario: str
    contender: str
    seconds: float
    up: int
    down: int
    requests: int
    memory: int
    load: float


def main() -> None:
    """Measure, and write the samples as JSON and the tables as Markdown."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        store = stack.enter_context(registry(folder / "registry"))
        if options.latency:
            store = stack.enter_context(far_away(store, options.latency))
        images = _push_bases(store, folder, options.program)
        checkout = folder / "project"
        contenders: list[Contender] = [
            LaunchAction(options.program, checkout, images[0], folder / "la")
        ]
        versions = []
        for number, root in enumerate(options.engine):
            places = iter(folder / f"e{number}{letter}" for letter in "abc")
            made = _dockers(root, checkout, images, places, stack, options.only)
            versions += [f"{one.name}: {one.engine.version}" for one in made]
            contenders += made
        print(*versions, sep="\n", file=sys.stderr)
        samples = []
        for sample in _measure(contenders, store, checkout, options.runs):
            samples.append(asdict(sample))
            options.samples.write_text(json.dumps(samples, indent=1))
    print(report(samples))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument(
        "--engine", type=Path, action="append", help="where an engine's packages are unpacked"
    )
    parser.add_argument(
        "--only", action="append", choices=["pip", "uv", "tuned"], help="Dockerfiles to build"
    )
    parser.add_argument(
        "--latency", type=float, default=0.0, help="milliseconds more for each round trip"
    )
    parser.add_argument(
        "--program", type=Path, default=Path(sys.executable).with_name("launch-action")
    )
    parser.add_argument("--samples", type=Path, default=Path("benchmark.json"))
    options = parser.parse_args()
    options.engine = options.engine or [Path("/")]
    options.only = options.only or ["pip", "uv", "tuned"]
    return options


def _push_bases(store: Registry, folder: Path, program: Path) -> tuple[str, str]:
    """The base and the image with uv, in the registry."""
    python, uv = f"{store.address}/{base.NAME}", f"{store.address}/astral-sh/uv:latest"
    base.push(base.base_layout(), python)
    base.push(base.program_layout(folder / "uv", program.with_name("uv")), uv)
    return python, uv


def _dockers(
    root: Path,
    checkout: Path,
    images: tuple[str, str],
    places: Iterator[Path],
    stack: ExitStack,
    only: Sequence[str],
) -> list[Docker]:
    """An engine per Dockerfile, so that nobody profits of another's cache."""
    python, uv = images
    files = {
        "pip": pip_dockerfile(python),
        "uv": uv_dockerfile(python, uv),
        "tuned": uv_dockerfile(python, uv, link=True),
    }
    made = []
    for name in only:
        if name == "tuned" and not Engine(root, Path()).plugin:
            continue  # an old engine knows neither the option nor that cache
        own = stack.enter_context(engine(root, next(places), lazy=name == "tuned"))
        label = f"docker {own.version.split('+')[0].split(' ')[0]}, {name}"
        made.append(Docker(label, own, checkout, files[name]))
    return made


def _measure(
    contenders: Sequence[Contender], store: Registry, checkout: Path, runs: int
) -> Iterator[Sample]:
    """Every contender in turn within each scenario; a new repository for each run."""
    for run in range(1, runs + 1):
        folder = checkout.with_name(f"project-{run}")
        project.make_project(folder)
        checkout.unlink(missing_ok=True)
        checkout.symlink_to(folder)
        for scenario in SCENARIOS:
            scenario.change(folder, run)
            for contender in contenders:
                yield _sample(run, scenario, contender, store)


def _sample(run: int, scenario: Scenario, contender: Contender, store: Registry) -> Sample:
    name = "".join(c if c.isalnum() else "-" for c in contender.name)
    image = f"{store.address}/run-{run}/{name}"
    if scenario.fresh:
        contender.forget()
    load, mark, started = os.getloadavg()[0], store.mark(), time.perf_counter()
    memory = contender.build(image, empty=scenario.fresh)
    seconds = time.perf_counter() - started
    seen = store.traffic(mark)
    made = Sample(
        run, scenario.name, contender.name, seconds, seen.up, seen.down, seen.requests, memory, load
    )
    print(f"{run} {made.scenario:32} {made.contender:24} {seconds:7.2f} s", file=sys.stderr)
    return made


if __name__ == "__main__":
    main()
