"""What W&B is given of a job version, in the form that its Launch reads."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from launch_action.core.errors import StoreError
from launch_action.core.job import CodeSource, GitSource, ImageSource, JobDocument
from launch_action.core.reference import Tag
from launch_action.core.registration import (
    CODE_ADDRESS,
    Registration,
    WandbArtifact,
    artifacts,
    image_job_name,
)
from launch_action.core.version import JobFiles

GIT = GitSource("git@github.com:acme/mono.git", "a" * 40, "jobs/hello", "Dockerfile.wandb")
ENTRY = ("python", "-c", "print('a b')")
IMAGE = f"ghcr.io/acme/hello@sha256:{'b' * 64}"
SCHEMA = {"type": "object", "properties": {"lr": {"type": "number", "minimum": 0}}}


def registration(source: Any = GIT, **also: Any) -> Registration:
    document = JobDocument(source, ENTRY, "3.11", own={"version": 1, "build_key": "k"})
    found = Registration(
        job_name="hello",
        commit="a" * 40,
        build_key="c" * 64,
        files=JobFiles(document.render(), b"six==1.16.0\n"),
        aliases=(Tag("sha-" + "a" * 40), Tag("v3"), Tag("v1.2.3"), Tag("pr-7")),
        job=f"ghcr.io/acme/hello@sha256:{'d' * 64}",
        image=IMAGE,
    )
    return replace(found, **also)


def document(artifact: WandbArtifact) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dict(artifact.files)["wandb-job.json"])
    return found


def test_a_blueprint_is_the_recorded_document_to_the_byte() -> None:
    of = registration()
    (one,) = artifacts(of, "blueprint")

    assert (one.kind, one.name, one.role, one.code) == ("job", "hello", "blueprint", False)
    assert dict(one.files) == {
        "wandb-job.json": of.files.document,
        "requirements.frozen.txt": b"six==1.16.0\n",
    }
    assert document(one)["_version"] == "0.17.0"
    assert document(one)["source"]["git"] == {"remote": GIT.remote, "commit": GIT.commit}


def test_versions_of_w_b_are_no_aliases() -> None:
    (one,) = artifacts(registration(), "blueprint")

    assert one.aliases == ("sha-" + "a" * 40, "tag-v3", "v1.2.3", "pr-7")


def test_partial_stands_where_each_reader_looks_also_with_a_schema() -> None:
    schema = json.dumps(SCHEMA).encode()
    of = registration()
    (one,) = artifacts(replace(of, files=replace(of.files, schema=schema)), "blueprint")

    assert one.metadata["_partial"] is True
    assert document(one)["_partial"] == "v0"
    assert one.metadata["input_schemas"] == {"@wandb.config": SCHEMA}
    # What W&B does not count as content would else make no version of its own.
    assert dict(one.files)["input-schema.json"] == schema


def test_an_image_job_is_pinned_and_starts_what_the_job_starts() -> None:
    blueprint, image = artifacts(registration(), "both")

    assert (blueprint.role, image.role, image.name) == ("blueprint", "image", "hello-image")
    assert document(image)["source_type"] == "image"
    assert document(image)["source"] == {"image": IMAGE, "entrypoint": list(ENTRY)}
    assert document(image)["runtime"] == ""
    assert document(image)["input_types"] == document(blueprint)["input_types"]
    assert dict(image.files)["requirements.frozen.txt"] == b"six==1.16.0\n"
    assert image.aliases == blueprint.aliases
    assert [one.role for one in artifacts(registration(), "image")] == ["image"]


def test_no_image_job_without_an_image() -> None:
    with pytest.raises(StoreError, match="no image that an agent could pull"):
        artifacts(registration(image=""), "both")


def test_names_of_image_jobs_stay_apart_and_safe() -> None:
    long = ["x" * 64 + middle + "y" * 63 for middle in "ab"]
    names = {image_job_name(name) for name in (*long, "hello")}

    assert len(names) == 3
    assert max(map(len, names)) <= 128


def test_code_is_an_artifact_of_its_own_which_the_job_names() -> None:
    source = CodeSource(f"launch-action-artifact://code-hello@sha256:{'e' * 64}")
    code, job = artifacts(registration(source), "blueprint")

    assert (code.kind, code.name, code.files) == ("code", "code-hello", ())
    assert code.aliases == job.aliases
    assert job.code
    assert document(job)["source"]["artifact"] == CODE_ADDRESS
    # All else is as recorded, in its order.
    recorded = json.loads(registration(source).files.document)
    assert list(document(job)) == list(recorded)
    assert document(job)["_launch_action"] == recorded["_launch_action"]


def test_the_code_of_a_job_of_w_b_gets_a_name_of_ours() -> None:
    code, _ = artifacts(registration(CodeSource("wandb-artifact://_id/QQ==")), "blueprint")

    assert code.name == "code-hello"


def test_an_image_that_is_a_job_has_one_form() -> None:
    found = [artifacts(registration(ImageSource(IMAGE)), what) for what in ("both", "image")]

    assert [(one.name, one.role) for (one,) in found] == [("hello", "blueprint")] * 2


def test_a_patch_goes_along() -> None:
    of = registration()
    (one,) = artifacts(replace(of, files=replace(of.files, patch=b"--- a\n")), "blueprint")

    assert dict(one.files)["diff.patch"] == b"--- a\n"


def test_nothing_is_told_of_a_place_that_others_cannot_reach() -> None:
    (one,) = artifacts(registration(job="", image=""), "blueprint")

    assert one.metadata["launch_action"] == {"commit": "a" * 40, "build_key": "c" * 64}
