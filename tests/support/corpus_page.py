"""The page of the corpus: what came of every project, why, and where its facts come from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from support.corpus import Outcome, Project, Result

_HEAD = """\
# Real projects

Dependency files of well-known public projects, as people wrote them: built by the program with the
`layers` builder, and looked at in the image. Written by `scripts/corpus`, which anyone can run;
`scripts/corpus NAME` does one.

For each project a git repository with its dependency file is committed, `launch-action build
--base-image ... --platform ... --json` makes the image, tar(1) unpacks its layers, and in that file
system, by its own Python and without a network,

- `pip list` must be the version's `requirements.frozen.txt`: the same packages and versions;
- `pip check` must find nothing;
- the modules of what the file asks for are imported.

The script says what is not as it has to be, and fails then. The bases are Debian's Python 3.11
(bookworm) and 3.13 (trixie), without any library that Python's own image lacks. Images for arm64
were made on amd64 and their Python was run by an emulator. Unpinned requirements are resolved as of
the day in the table. MB are those of the layers of packages, as stored. Seconds are of one build
on a machine of two cores that did other things as well and had met some of the wheels before: they
are no benchmark.
"""
_CAUSES = """\
## What goes wrong, and what to do

- **No wheel for the Python.** Pins of some years ago have none for today's Python, and their source
  wants an old compiler or an old setuptools: choose a base with the Python of that time.
- **A day before the wheels.** What is unpinned is resolved as of the commit's day. If wheels for
  the Python came later, sources are compiled, which takes minutes, or refused: take a later
  `--resolve-date`, or commit a lock.
- **setuptools that nobody asks for.** Packages of before 2024 import `pkg_resources` or `distutils`
  and count on what virtual environments used to hold: add `setuptools` to the file.
- **A library of the system** (libGL for OpenCV): a base that has it, or the `-headless` package.
- **Built for NumPy 1, without saying so**: add `numpy<2`.
- **Files of other tools** (conda's, MLflow's): the log names them; write a requirements.txt.
"""
_WORDS: Mapping[Result, str] = {
    "works": "works",
    "some imports fail": "installed, some imports fail",
    "refused": "refused",
    "code alone": "code alone",
}


def page(projects: Sequence[Project], outcomes: Mapping[str, Outcome]) -> str:
    """Markdown; projects that were never run are left out."""
    done = [(one, outcomes[one.name]) for one in projects if one.name in outcomes]
    counts = Counter(outcome.result for _, outcome in done)
    told = ", ".join(f"{counts[key]} {word}" for key, word in _WORDS.items() if counts[key])
    lines = [_HEAD, f"{len(done)} projects: {told}.", _consistent([one for _, one in done]), ""]
    lines += ["## What came of them", ""]
    lines += _table("project", "shape", "as of", "Python", "packages", "MB", "s", "result", "why")
    lines += [_result(*one) for one in done]
    lines += ["", _CAUSES, "## Where the facts come from", ""]
    lines += [
        "Names, versions and options are the projects' own; comments are left out, long lists of "
        "extras and tools' settings shortened, and code is our own (`setup.py`). The commit is the "
        "one under which a public index of GitHub has the file; it may lie on a branch.",
        "",
    ]
    lines += _table("project", "repository", "file", "commit", "licence")
    lines += [_source(one) for one, _ in done]
    return "\n".join(lines) + "\n"


def _consistent(outcomes: Sequence[Outcome]) -> str:
    images = [one for one in outcomes if one.packages]
    amiss = sum(any(fault.startswith("pip ") for fault in one.faults) for one in images)
    all_of = f"all {len(images)}" if not amiss else f"{len(images) - amiss} of {len(images)}"
    return f"`pip check` and `pip list` are as they have to be in {all_of} images with packages."


def _table(*titles: str) -> Iterator[str]:
    yield _row(*titles)
    yield _row(*("---" for _ in titles))


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"


def _result(project: Project, outcome: Outcome) -> str:
    installed = outcome.packages > 0
    python = project.python + (" arm64" if project.platform == "linux/arm64" else "")
    why = project.why + ("" if not outcome.faults else f" **{'; '.join(outcome.faults)}**")
    return _row(
        f"[{project.name}](../tests/corpus/{project.name}/project.toml)", project.shape,
        project.date, python, outcome.packages if installed else "",
        f"{outcome.megabytes:.0f}" if installed else "", f"{outcome.seconds:.0f}",
        _WORDS[outcome.result], why,
    )  # fmt: skip


def _source(project: Project) -> str:
    link = f"[{project.repository}](https://github.com/{project.repository})"
    return _row(
        project.name, link, f"`{project.path}`", f"`{project.commit[:12]}`", project.licence
    )
