"""Builds and looks at the projects of the corpus, and writes the page of what came of them.

`scripts/corpus [NAME...]`; results are kept in build/corpus.json, so that the page can be written
after a part of them was run again. Judges nothing but what project.toml says: exit code 1 tells
that something came out another way.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from support.corpus import CORPUS, Outcome, Project, build, examine, projects
from support.corpus_page import page
from support.program import Machine

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "build" / "corpus.json"
PAGE = ROOT / "docs" / "real-projects.md"


def main() -> int:
    options = _options()
    every = projects(options.projects)
    unknown = set(options.names) - {one.name for one in every}
    if unknown:
        sys.exit(f"no such project: {', '.join(sorted(unknown))}")
    chosen = [] if options.only_page else [one for one in every if _matches(one, options)]
    faulty = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    options.work.mkdir(parents=True, exist_ok=True)
    for project in chosen:
        outcome = run(project, options.work)
        faulty |= bool(outcome.faults)
        _say(project, outcome)
        _keep(project, outcome)
    known = {name: _outcome(found) for name, found in _kept().items()}
    if options.page:
        PAGE.write_text(page(every, known))
    return 1 if faulty else 0


def run(project: Project, work: Path) -> Outcome:
    """Build and examine one project; downloads and unpacked layers stay in `work`."""
    with tempfile.TemporaryDirectory(dir=work) as name:
        machine = Machine(Path(name), work / "cache", {"LAUNCH_ACTION_CACHE_LIMIT": "40GiB"})
        ended = build(project, machine, Path(name) / "checkout")
        (work / "logs").mkdir(exist_ok=True)
        (work / "logs" / f"{project.name}.log").write_text(f"{ended.err}\n{ended.out}")
        try:
            return examine(project, machine, ended, work)
        finally:
            shutil.rmtree(machine.store, ignore_errors=True)


def _kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def _keep(project: Project, outcome: Outcome) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    results = {**_kept(), project.name: asdict(outcome)}
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True))


def _outcome(found: dict[str, Any]) -> Outcome:
    return Outcome(**{**found, "faults": tuple(found["faults"])})


def _matches(project: Project, options: argparse.Namespace) -> bool:
    if options.small and not project.small:
        return False
    return not options.names or project.name in options.names


def _say(project: Project, outcome: Outcome) -> None:
    print(
        f"{project.name}: {outcome.result}, {outcome.packages} packages, "
        f"{outcome.megabytes:.1f} MB, {outcome.seconds:.1f} s {outcome.message}",
        *(f"  FAULT {fault}" for fault in outcome.faults),
        sep="\n",
        flush=True,
    )


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="projects; default all")
    parser.add_argument("--small", action="store_true", help="only those of the test suite")
    parser.add_argument("--no-page", dest="page", action="store_false")
    parser.add_argument("--only-page", action="store_true", help="write the page of what is known")
    parser.add_argument(
        "--projects", type=Path, default=CORPUS, help="a directory like tests/corpus"
    )
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "corpus")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
