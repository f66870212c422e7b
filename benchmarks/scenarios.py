"""What happens to a project before a build, and what one build costs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import project
from benchmarks.contenders import Contender
from benchmarks.heavy import Index
from benchmarks.images import Image, read_image
from benchmarks.registry import Registry


@dataclass(frozen=True, slots=True)
class Scenario:
    """A change before a build; `fresh`: the machine has no local state, only the registry has."""

    name: str
    change: Callable[[Path, int], None]
    fresh: bool = False


def _nothing(_folder: Path, _run: int) -> None:
    return


def _edit(folder: Path, run: int) -> None:
    project.edit_source(folder, f"run {run}, {time.monotonic_ns()}")


def _bump(version: str) -> Callable[[Path, int], None]:
    return lambda folder, _: project.bump(folder, version)


COLD = Scenario("cold", _nothing, fresh=True)
FRESH_SOURCE = Scenario("fresh machine, source change", _edit, fresh=True)
ALL = (
    COLD,
    Scenario("no change", _nothing),
    Scenario("source change", _edit),
    Scenario("light requirement change", _bump(project.BUMPS[0])),
    Scenario("fresh machine, no change", _nothing, fresh=True),
    FRESH_SOURCE,
    Scenario("fresh machine, light requirement change", _bump(project.BUMPS[1]), fresh=True),
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One build: wall seconds, bytes and requests of the registry, load of the machine before.

    `memory` is the peak in bytes, `disk` the most that the local state had (0: not looked at),
    `index` what a package index on this machine was asked for, in bytes. `size` is the image's,
    compressed, `code` that of its last layer.
    """

    series: str
    latency: float
    run: int
    scenario: str
    contender: str
    seconds: float
    up: int
    down: int
    requests: int
    memory: int
    disk: int
    index: int
    size: int
    code: int
    load: float


@dataclass(frozen=True, slots=True)
class Series:
    """One project with its contenders at one distance of the registry (milliseconds)."""

    name: str
    store: Registry
    checkout: Path
    contenders: Sequence[Contender]
    latency: float = 0.0
    index: Index | None = None
    watched: bool = False

    def measure(
        self, run: int, make: Callable[[Path], None], scenarios: Sequence[Scenario] = ALL
    ) -> Iterator[Sample]:
        """Every contender in turn within each scenario; a new repository for each run."""
        folder = self.checkout.with_name(f"project-{self.name}-{self.latency:.0f}-{run}")
        make(folder)
        self.checkout.unlink(missing_ok=True)
        self.checkout.symlink_to(folder)
        for scenario in scenarios:
            scenario.change(folder, run)
            for contender in self.contenders:
                yield self._sample(run, scenario, contender)

    def image(self, run: int, contender: Contender) -> str:
        """The repository that a contender pushes to, with the registry's address."""
        name = "".join(c if c.isalnum() else "-" for c in contender.name)
        return f"{self.store.address}/{self.name}-{self.latency:.0f}-{run}/{name}"

    def _given(self) -> int:
        return self.index.given() if self.index else 0

    def _sample(self, run: int, scenario: Scenario, contender: Contender) -> Sample:
        image = self.image(run, contender)
        if scenario.fresh:
            contender.forget()
            os.sync()  # what was written before is not written back while this is timed
        load, mark, fetched = os.getloadavg()[0], self.store.mark(), self._given()
        with contender.watch(self.watched) as disk:
            started = time.perf_counter()
            memory = contender.build(image, empty=scenario.fresh)
            seconds = time.perf_counter() - started
        seen = self.store.traffic(mark)
        found = read_image(self.store, f"{image}:{contender.tag}")
        made = Sample(
            self.name, self.latency, run, scenario.name, contender.name, seconds, seen.up,
            seen.down, seen.requests, memory, disk.peak, self._given() - fetched,
            found.size, found.layers[-1], load,
        )  # fmt: skip
        _tell(made, found)
        return made


def _tell(made: Sample, image: Image) -> None:
    print(
        f"{made.series} +{made.latency:.0f} ms, {made.run}: {made.scenario:40} "
        f"{made.contender:24} {made.seconds:7.2f} s, {image.size / 1e6:.1f} MB",
        file=sys.stderr,
        flush=True,
    )
