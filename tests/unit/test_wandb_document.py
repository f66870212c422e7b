"""Documents that W&B's own tools wrote, mended where they could not be run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from launch_action.core.errors import InputError, StoreError
from launch_action.core.job import CodeSource, GitSource, ImageSource
from launch_action.core.wandb_document import WandbDocument, read_wandb_document

SAMPLES = Path(__file__).parents[1] / "data/wandb"
REMOTE, COMMIT = "https://github.com/acme/mono.git", "a" * 40


def read(source_type: str, source: dict[str, Any], runtime: str = "3.11", **more: Any) -> Any:
    document = {"source_type": source_type, "source": source, "runtime": runtime, **more}
    return read_wandb_document(json.dumps(document).encode(), "job 'x'")


def of_git(*entrypoint: str, remote: str = REMOTE, runtime: str = "3.11", **more: Any) -> Any:
    git = {"remote": remote, "commit": COMMIT}
    return read("repo", {"git": git, "entrypoint": list(entrypoint), **more}, runtime)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_everything_that_w_and_b_wrote_is_read(path: Path) -> None:
    raw = json.loads(path.read_bytes())
    found = read_wandb_document(path.read_bytes(), path.stem)
    kinds = {"repo": GitSource, "artifact": CodeSource, "image": ImageSource}

    assert isinstance(found.job.source, kinds[raw["source_type"]])
    assert found.job.runtime in ("", "3.11")
    assert not any("CPython" in word for word in found.job.entrypoint)
    assert "s3cr3t" not in repr(found)
    assert found.job.input_types == raw["input_types"]


@pytest.mark.parametrize(
    ("runtime", "python", "told"),
    [
        ("3.11", "3.11", False),
        ("CPython 3.11.7", "3.11", True),
        ("PyPy 3.10.14", "3.10", True),
        ("python-3.9", "3.9", True),
        ("3.12.1", "3.12", True),
        ("3.13.0rc1", "3.13", True),
        ("", "", False),
        ("2.7", "", True),
        ("nonsense\n", "", True),
        ("$(x)", "", True),
    ],
)
def test_a_runtime_is_a_version_of_python(runtime: str, python: str, told: bool) -> None:
    found: WandbDocument = of_git("python", "x.py", runtime=runtime)

    assert found.job.runtime == python
    assert bool(found.notes) is told


@pytest.mark.parametrize(
    ("words", "mended"),
    [
        (("pythonCPython 3.11", "train.py"), ("python", "train.py")),
        (("pythonPyPy 3.10", "-m", "x"), ("python", "-m", "x")),
        (("main.py",), ("python", "main.py")),
        (("python", "main.py"), None),
        (("python3.11", "main.py"), None),
        (("bash", "x.sh"), None),
        (("run",), None),
        ((), None),
    ],
)
def test_an_entry_point_is_a_command(words: tuple[str, ...], mended: Any) -> None:
    found: WandbDocument = of_git(*words)

    assert found.job.entrypoint == (mended or words)
    assert bool(found.notes) is bool(mended)


@pytest.mark.parametrize(
    ("remote", "kept", "told"),
    [
        ("https://me:s3cr3t@github.com/acme/mono.git", REMOTE, True),
        (f"https://s3cr3t{'x' * 30}@github.com/acme/mono.git", REMOTE, True),
        ("https://org@dev.azure.com/org/_git/x", "https://dev.azure.com/org/_git/x", False),
        ("https://x-access-token:@github.com/acme/mono.git", REMOTE, False),
        ("git@github.com:acme/mono.git", "git@github.com:acme/mono.git", False),
        ("ssh://git@host/mono", "ssh://git@host/mono", False),
    ],
)
def test_a_login_in_a_remote_is_dropped_and_told(remote: str, kept: str, told: bool) -> None:
    found: WandbDocument = of_git("python", "x.py", remote=remote)

    assert isinstance(found.job.source, GitSource)
    assert found.job.source.remote == kept
    assert bool(found.notes) is told
    assert "s3cr3t" not in repr(found)


def test_what_is_of_a_queue_or_of_an_image_is_told_or_passed_over() -> None:
    services = read("image", {"image": "a/b"}, "3.11", services={"vllm": "always"})

    assert services.job.runtime == ""
    assert "vllm" in services.notes[0]
    assert of_git("python", "x.py", base_image="python:3.11-slim").base_image == "python:3.11-slim"


def test_a_notebook_is_no_job_that_is_run() -> None:
    with pytest.raises(InputError, match=r"'x\.ipynb'"):
        of_git("python", "x.ipynb", notebook=True)


@pytest.mark.parametrize("source", [5, [], None, {"git": 5}, {"git": {"remote": REMOTE}}])
def test_another_shape_is_a_store_error(source: Any) -> None:
    with pytest.raises(StoreError):
        read("repo", source)
