"""Our job documents beside those that W&B's own tools wrote: equal, or the difference is named.

`tests/data/wandb` holds documents that `wandb` 0.31 wrote; docs/wandb.md has the differences.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from launch_action.core.image import digest_of
from launch_action.core.job import (
    CodeSource,
    GitSource,
    ImageSource,
    JobDocument,
    Source,
    at_digest,
    read_job,
)

DATA = Path(__file__).parents[1] / "data" / "wandb"
COMMIT = "1759231bf22f2d4ab716eb97ad8ad30e4d007342"
REMOTE = "https://github.com/acme/mono.git"
DIGEST = digest_of(b"an archive")
CODE = at_digest(CodeSource("code-hello-world-code"), DIGEST)
IMAGE = ImageSource(f"ghcr.io/acme/trainer@{DIGEST}")
PINNED = ImageSource(f"repo/img@sha256:{'0123456789abcdef' * 4}")

# Sample, our source and command, and the keys that are not W&B's: why is in docs/wandb.md.
CASES: tuple[tuple[str, Source, tuple[str, ...], str, frozenset[str]], ...] = (
    (
        "git_cli_named_context_dockerfile",
        GitSource(REMOTE, COMMIT, "jobs/hello_world", "Dockerfile.wandb"),
        ("python", "job.py"),
        "3.11",
        frozenset(),
    ),
    ("git_cli_unnamed", GitSource(REMOTE, COMMIT), ("python", "train.py"), "3.11", frozenset()),
    (
        "git_cli_ssh",
        GitSource("git@github.com:acme/mono.git", COMMIT),
        ("python", "train.py"),
        "3.11",
        frozenset(),
    ),
    ("code_cli_named", CODE, ("python", "main.py"), "3.11", frozenset({"source.artifact"})),
    (
        "code_cli_unnamed_args",
        CODE,
        ("python", "main.py", "--lr", "0.1"),
        "3.11",
        frozenset({"source.artifact"}),
    ),
    ("image_cli", IMAGE, (), "", frozenset({"source.image"})),
    ("image_cli_digest", PINNED, (), "", frozenset()),
    (
        "auto_run_git",
        GitSource("https://github.com/acme/mono", COMMIT),
        ("python", "jobs/hello_world/job.py"),
        "3.11",
        frozenset({"runtime", "source.entrypoint"}),
    ),
)


def sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return found


def differences(one: Any, other: Any, path: str = "") -> set[str]:
    """The keys at which two documents differ, dotted."""
    if isinstance(one, dict) and isinstance(other, dict):
        parts = (
            differences(one.get(key), other.get(key), f"{path}.{key}".lstrip("."))
            for key in one.keys() | other.keys()
        )
        return set().union(*parts)
    return set() if one == other else {path}


@pytest.mark.parametrize(
    ("name", "source", "entrypoint", "runtime", "other"), CASES, ids=[c[0] for c in CASES]
)
def test_a_document_is_wandbs_own_but_for_what_is_written_down(
    name: str, source: Source, entrypoint: tuple[str, ...], runtime: str, other: frozenset[str]
) -> None:
    theirs = sample(name)
    types = {key: theirs[key] for key in ("input_types", "output_types")}

    ours = json.loads(
        JobDocument(source, entrypoint, runtime, **types, own={"version": 1}).render()
    )

    assert ours.pop("_partial") == "v0"
    assert ours.pop("_launch_action") == {"version": 1}
    assert differences(ours, theirs) == other
    if not name.startswith("auto"):  # another program of W&B's writes these, in an order of its own
        assert list(ours) == list(theirs)
        assert list(ours["source"]) == list(theirs["source"])


@pytest.mark.parametrize("name", [case[0] for case in CASES])
def test_a_document_of_wandbs_is_read(name: str) -> None:
    theirs = sample(name)

    found = read_job((DATA / f"{name}.json").read_bytes(), name)

    assert list(found.entrypoint) == theirs["source"].get("entrypoint", [])
    match found.source:
        case GitSource():
            assert {"remote": found.source.remote, "commit": found.source.commit} == theirs[
                "source"
            ]["git"]
        case CodeSource():
            assert found.source.artifact == theirs["source"]["artifact"]
        case ImageSource():
            assert found.source.image == theirs["source"]["image"]


def test_every_difference_is_explained_in_the_documents() -> None:
    page = (DATA.parents[2] / "docs" / "wandb.md").read_text("utf-8")

    for key in {"_partial", "_launch_action"}.union(*(case[4] for case in CASES)):
        assert f"| `{key}` |" in page
