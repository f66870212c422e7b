"""The job document is W&B's, key for key."""

from __future__ import annotations

import json

import pytest

from launch_action.core.errors import LaunchError
from launch_action.core.image import digest_of
from launch_action.core.job import CodeSource, GitSource, ImageSource, JobDocument, read_job

TYPES = {"wb_type": "typedDict", "params": {"type_map": {}}}


def test_a_git_job_with_context_is_written_as_wandbs_own_tool_writes_it() -> None:
    """The document of `wandb job create ... -b jobs/hello_world -D Dockerfile.wandb git URL`."""
    source = GitSource(
        "https://github.com/acme/mono.git",
        "1759231b" + "0" * 32,
        "jobs/hello_world",
        "Dockerfile.wandb",
    )

    found = json.loads(JobDocument(source, ("python", "job.py"), "3.11").render())

    assert found.pop("_partial") == "v0"
    assert list(found) == [
        "_version", "source_type", "source", "input_types", "output_types", "runtime",
    ]  # fmt: skip
    assert found == {
        "_version": "0.17.0",
        "source_type": "repo",
        "source": {
            "git": {"remote": source.remote, "commit": source.commit},
            "entrypoint": ["python", "job.py"],
            "notebook": False,
            "build_context": "jobs/hello_world",
            "dockerfile": "Dockerfile.wandb",
        },
        "input_types": TYPES,
        "output_types": TYPES,
        "runtime": "3.11",
    }


def test_keys_without_a_value_are_left_out() -> None:
    found = json.loads(JobDocument(GitSource("https://h/x", "a" * 40), ("./run",)).render())

    assert found["_version"] == "v0"
    assert set(found["source"]) == {"git", "entrypoint", "notebook"}


def test_our_own_facts_stand_under_one_key_that_wandb_skips() -> None:
    found = json.loads(
        JobDocument(ImageSource("a/b@sha256:" + "0" * 64), (), own={"version": 1}).render()
    )

    assert [key for key in found if key.startswith("_")] == [
        "_version",
        "_partial",
        "_launch_action",
    ]


@pytest.mark.parametrize(
    "source",
    [
        GitSource("https://h/x", "a" * 40, "b"),
        CodeSource("wandb-artifact://_id/x"),
        ImageSource("a/b"),
    ],
)
def test_what_is_written_reads_back(source: GitSource | CodeSource | ImageSource) -> None:
    own = {"images": [{"platform": "linux/amd64", "digest": str(digest_of(b""))}]}
    job = JobDocument(source, ("python", "x.py"), "3.11", own=own)

    assert read_job(job.render(), "here") == job
    assert job.images == (("linux/amd64", digest_of(b"")),)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"source_type": "repo", "source": 3}',
        b'{"source_type": "x", "source": {}}',
    ],
)
def test_nonsense_is_refused(data: bytes) -> None:
    with pytest.raises(LaunchError, match=r"here"):
        read_job(data, "here")
