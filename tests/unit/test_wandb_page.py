"""docs/wandb.md shows the guide's three jobs as W&B has them from its own tools and from ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from launch_action.core.image import digest_of
from launch_action.core.job import CodeSource, GitSource, ImageSource, JobDocument, at_digest
from launch_action.core.registration import CODE_ID, Registration, artifacts
from launch_action.core.version import JobFiles

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "wandb.md").read_text("utf-8")
DATA = ROOT / "tests" / "data" / "wandb"
COMMIT = "1759231bf22f2d4ab716eb97ad8ad30e4d007342"
IDENTIFIER = "QXJ0aWZhY3Q6MTAxOA=="
DIGEST = digest_of(b"an image")
# W&B's sample, and the same job of ours as `job create` records it.
GIT = GitSource("https://github.com/acme/mono.git", COMMIT, "jobs/hello_world", "Dockerfile.wandb")
CODE = at_digest(CodeSource("code-hello-world-code"), digest_of(b"code"))
IMAGE = ImageSource(f"ghcr.io/acme/trainer@{DIGEST}")


def own(name: str, **also: Any) -> dict[str, Any]:
    return {"version": 1, "name": name, **also}


JOBS = (
    (
        "git_cli_named_context_dockerfile",
        JobDocument(
            GIT,
            ("python", "job.py"),
            "3.11",
            own=own("hello-world", script="jobs/hello_world/job.py", dependencies=""),
        ),
    ),
    (
        "code_cli_named",
        JobDocument(
            CODE,
            ("python", "main.py"),
            "3.11",
            own=own("hello-world-code", script="main.py", dependencies="requirements.txt"),
        ),
    ),
    (
        "image_cli",
        JobDocument(
            IMAGE,
            (),
            own=own("job-ghcr.io_acme_trainer", image="ghcr.io/acme/trainer:v1.2.3", platform=None),
        ),
    ),
)


def shown(document: dict[str, Any]) -> str:
    """A document with a line for each of its keys."""
    lines = (f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in document.items())
    return "{\n" + ",\n".join(lines) + "\n}"


def of_job(document: JobDocument, **also: Any) -> Registration:
    name = str(document.own["name"])
    files = JobFiles(document.render(), b"")
    return replace(Registration(name, COMMIT, "", files, ()), **also)


def registered(document: JobDocument) -> dict[str, Any]:
    """What is registered of it, with the identifier that the server gave the code."""
    blueprint = artifacts(of_job(document), "blueprint")[-1]
    text = dict(blueprint.files)["wandb-job.json"].decode().replace(CODE_ID, IDENTIFIER)
    found: dict[str, Any] = json.loads(text)
    return found


@pytest.mark.parametrize(("name", "document"), JOBS, ids=["git", "code", "image"])
def test_the_page_has_both(name: str, document: JobDocument) -> None:
    theirs = json.loads((DATA / f"{name}.json").read_text("utf-8"))

    assert shown(theirs) in PAGE
    assert shown(registered(document)) in PAGE


def test_the_page_has_the_image_job() -> None:
    image = f"ghcr.io/acme/hello@{DIGEST}"
    (one,) = artifacts(of_job(JOBS[0][1], image=image), "image")

    assert shown(json.loads(dict(one.files)["wandb-job.json"])) in PAGE
