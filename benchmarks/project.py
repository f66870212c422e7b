"""The project that is built: a data science job with real requirements and generated source files.

The same arguments give the same bytes, so that runs on different days and machines compare.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

FILES = 200
FILE_SIZE = 12_000  # bytes, about what a module of a grown project has
# Of this day are the unpinned packages below the pinned ones, for whoever resolves by date.
COMMITTED = "2025-06-01T12:00:00+00:00"
REMOTE = "https://github.com/acme/benchmark.git"
REQUIREMENTS = {
    "numpy": "1.26.4",
    "pandas": "2.2.2",
    "scikit-learn": "1.5.1",
    "requests": "2.32.3",
    "pyyaml": "6.0.1",
    "click": "8.1.7",
    "tqdm": "4.66.4",
    "pydantic": "2.8.2",
}
# What a light dependency is bumped through, one step a commit.
BUMPS = ("4.66.5", "4.67.1")

_TRAIN = '''"""Trains a model on generated data."""

import numpy as np
from sklearn.linear_model import LinearRegression

x = np.arange(100.0).reshape(-1, 1)
print("score", LinearRegression().fit(x, 2 * x[:, 0] + 1).score(x, 2 * x[:, 0] + 1))
'''
_WORDS = (
    "batch", "column", "epoch", "feature", "frame", "gradient", "index", "label", "layer",
    "metric", "model", "sample", "score", "split", "step", "target", "value", "weight",
)  # fmt: skip


def make_project(folder: Path, *, files: int = FILES) -> None:
    """Write the project into a new folder and commit it."""
    package = folder / "pipeline"
    package.mkdir(parents=True)
    source = random.Random(1)
    (package / "__init__.py").write_text("")
    for number in range(files):
        (package / f"stage_{number:03}.py").write_text(_module(source))
    (folder / "train.py").write_text(_TRAIN)
    (folder / ".python-version").write_text("3.11\n")
    (folder / ".dockerignore").write_text(".git\n")
    write_requirements(folder, REQUIREMENTS)
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "remote", "add", "origin", REMOTE)
    commit(folder, "Begin")


def write_requirements(folder: Path, versions: dict[str, str]) -> None:
    """Write requirements.txt with these packages pinned; what they need is not."""
    lines = [f"{name}=={version}\n" for name, version in versions.items()]
    (folder / "requirements.txt").write_text("".join(lines))


def edit_source(folder: Path, text: str) -> None:
    """Change one source file, and commit it."""
    with (folder / "pipeline" / "stage_017.py").open("a") as out:
        out.write(f"# {text}\n")
    commit(folder, f"Edit: {text}")


def bump(folder: Path, version: str) -> None:
    """Require another version of a light package, and commit it."""
    write_requirements(folder, REQUIREMENTS | {"tqdm": version})
    commit(folder, f"Require tqdm {version}")


def commit(folder: Path, message: str) -> None:
    """Commit everything, by the same person at the same time."""
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "--allow-empty", "--message", message)


def _module(source: random.Random) -> str:
    """A module that compiles and does not compress to nothing."""
    parts = ['"""Generated."""\n']
    size = 0
    while size < FILE_SIZE:
        name = "_".join(source.choices(_WORDS, k=3)) + f"_{source.randrange(1000)}"
        first, second = source.sample(_WORDS, 2)
        parts.append(
            f"\n\ndef {name}({first}, {second}={source.random():.6f}):\n"
            f'    """{" ".join(source.choices(_WORDS, k=9)).capitalize()}."""\n'
            f"    {first} = {first} * {source.random():.6f} + {second}\n"
            f"    return {first} if {second} > {source.random():.6f} else {second}\n"
        )
        size += len(parts[-1])
    return "".join(parts)


def _git(folder: Path, *arguments: str) -> None:
    person = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "a"), ("EMAIL", "a@example.com"), ("DATE", COMMITTED))
    }
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    subprocess.run(
        ["git", "-C", str(folder), *arguments], env={**os.environ, **person, **settings}, check=True
    )


if __name__ == "__main__":
    make_project(Path(sys.argv[1]))
