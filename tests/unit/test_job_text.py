"""The lines of `job describe`, of documents that a store may have from anybody."""

from __future__ import annotations

from typing import Any

import pytest

from launch_action.jobs.job_text import age, description, promotion

DOCUMENT: dict[str, Any] = {
    "job_name": "train", "job": "train@sha256:0", "aliases": [], "commit": None, "remote": None,
    "created": "2024-05-01T12:00:00Z", "entrypoint": [], "runtime": None, "details": {},
    "build_key": None, "images": [], "schema": None, "packages": {}, "wandb_job": {},
}  # fmt: skip


def inputs(**changed: Any) -> list[str]:
    lines = description(DOCUMENT | changed, 1_800_000_000)
    return [line.removeprefix("input    ") for line in lines if line.startswith("input ")]


def test_inputs_are_told_by_their_schema() -> None:
    schema = {
        "properties": {
            "lr": {"type": ["number", "null"], "minimum": 0, "required": True, "title": "Rate"},
            "kind": {"enum": ["a", 1], "default": "a", "description": "Which"},
            "any": True,
        }
    }

    assert inputs(schema=schema) == [
        "lr number or null, required, minimum 0: Rate",
        'kind one of ["a", 1], default a: Which',
        "any",
    ]


def test_inputs_without_a_schema_are_shown_by_wandbs_types() -> None:
    number = {"wb_type": "number"}
    union = {"wb_type": "union", "params": {"allowed_types": [{"wb_type": "none"}, number]}}
    types = {"lr": number, "depth": union, "model": {"wb_type": "typedDict", "params": {}}}
    job = {"input_types": {"wb_type": "typedDict", "params": {"type_map": types}}}

    assert inputs(wandb_job=job) == ["lr number", "depth none or number", "model object"]


@pytest.mark.parametrize("found", [None, 1, [], {"params": 1}, {"params": {"type_map": [1]}}])
def test_what_is_no_type_is_not_told(found: Any) -> None:
    assert inputs(wandb_job={"input_types": found}) == []


@pytest.mark.parametrize("schema", [[], 1, {}, {"properties": []}])
def test_a_schema_without_properties_is_shown_as_it_is(schema: Any) -> None:
    assert len(inputs(schema=schema)) == 1


def test_the_files_of_a_patch_are_named() -> None:
    patch = "diff --git a/x.py b/x.py\n--- a/x.py\ndiff --git a/d/y.py b/d/y.py\n"

    assert "patch    x.py, d/y.py" in list(description(DOCUMENT | {"patch": patch}, 0))


def test_a_source_without_a_commit_and_the_job_at_w_and_b_are_told() -> None:
    origin = {"job": "acme/demo/x:v0", "server": "https://w", "description": "what\nit does"}
    found = {"details": {"wandb": origin}, "wandb_job": {"source": {"image": "a/b@sha256:0"}}}
    lines = list(description(DOCUMENT | found, 1_800_000_000))

    assert "source   a/b@sha256:0" in lines
    assert "wandb    acme/demo/x:v0 at https://w: what it does" in lines


def test_what_w_and_b_starts_a_job_on_and_beside_is_told() -> None:
    source = {"base_image": "ghcr.io/acme/base:1"}
    job = {"source": source, "services": {"redis": "always", "db": "never"}}
    lines = list(description(DOCUMENT | {"wandb_job": job}, 0))

    assert "base     ghcr.io/acme/base:1" in lines
    assert "services redis=always, db=never" in lines
    assert list(description(DOCUMENT | {"wandb_job": {"services": 1, "source": []}}, 0))


def test_versions_without_commits_differ_by_none() -> None:
    against: dict[str, Any] = {
        "job": "x@sha256:1", "commits": None, "packages": [], "image_size_change": 0,
        "same_image": True,
    }  # fmt: skip
    lines = list(description(DOCUMENT | {"against": against}, 0))
    assert [line.split()[0] for line in lines[-2:]] == ["against", "size"]
    assert not any(line.startswith("commits") for line in lines)


@pytest.mark.parametrize("text", ["", "yesterday", "9999-99-99"])
def test_what_is_no_time_has_no_age(text: str) -> None:
    assert age(text, 0) == "-"


@pytest.mark.parametrize("alias", ["v1", "v1.0.0-rc1"])
def test_an_alias_of_any_length_stands_apart_from_what_it_names(alias: str) -> None:
    moved = {"moved": [{"alias": alias, "job": "a/b@sha256:0"}], "wandb": []}

    assert [line.split() for line in promotion(moved)] == [[alias, "a/b@sha256:0"]]
