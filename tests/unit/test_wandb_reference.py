"""References to jobs and code at W&B."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.errors import InputError, StoreError
from launch_action.core.wandb_reference import (
    ArtifactReference,
    parse_code_reference,
    parse_job_reference,
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("wandb:acme/demo/hello:v3", "acme/demo/hello:v3"),
        ("acme/demo/hello:prod-eu", "acme/demo/hello:prod-eu"),
        ("wandb:acme/demo/hello", "acme/demo/hello:latest"),
        ("demo/hello:v3", "e/demo/hello:v3"),
        ("wandb:hello", "e/p/hello:latest"),
        ("wandb:my team/my project/job-https___github.com_acme_mono.git_a..b", None),
    ],
)
def test_parts_that_are_left_out_are_the_defaults(text: str, found: str | None) -> None:
    expected = found or f"{text.removeprefix('wandb:')}:latest"

    assert str(parse_job_reference(text, "e", "p")) == expected


@pytest.mark.parametrize(
    "text",
    ["wandb:", "", "wandb:a/b/c/d", "wandb:a/b/", "wandb:a/b/c:", "wandb:a/b/c:x:y",
     "wandb:a/b/c d",
     "wandb:a/b/..", "wandb:a/b/.", "wandb:../b/c", "wandb:a/b?/c", "wandb:a/b/c@sha256:x",
     "wandb:a/b/c:x/y", "wandb:a\n/b/c", "wandb:_id/a/b", f"wandb:a/b/{'c' * 129}"],
)  # fmt: skip
def test_what_is_no_reference_is_an_input_error(text: str) -> None:
    with pytest.raises(InputError):
        parse_job_reference(text, "e", "p")


def test_what_is_missing_is_said() -> None:
    with pytest.raises(InputError, match="entity at W&B is not known") as caught:
        parse_job_reference("wandb:demo/hello")
    assert "--entity" in caught.value.hint
    with pytest.raises(InputError, match="project at W&B is not known"):
        parse_job_reference("wandb:hello", "acme")


@given(st.text())
def test_any_text_is_a_reference_or_an_input_error(text: str) -> None:
    try:
        found = parse_job_reference(text, "e", "p")
    except InputError:
        return
    assert parse_job_reference(str(found)) == found
    assert ".." not in (found.entity, found.project, found.name)


def test_code_is_named_by_identifier_or_reference() -> None:
    assert parse_code_reference("wandb-artifact://_id/QXJ0aWZhY3Q6MTAxOA==") == (
        "QXJ0aWZhY3Q6MTAxOA=="
    )
    named = ArtifactReference("acme", "demo", "code-x", "v0")
    assert parse_code_reference("wandb-artifact://acme/demo/code-x:v0") == named


@pytest.mark.parametrize(
    "text",
    ["", "x", "wandb-artifact://", "wandb-artifact://_id/", "wandb-artifact://_id/a/b",
     "wandb-artifact://https://evil.example/acme/demo/x:v0", "wandb-artifact://../../x:v0",
     "wandb-artifact://a/b/../x", "file:///etc/passwd", "wandb-client-artifact://x/y",
     "wandb-artifact://_id/$(x)", "_id/QXJ0", "acme/demo/code-x:v0"],
)  # fmt: skip
def test_code_is_an_artifact_of_the_job_s_own_server(text: str) -> None:
    with pytest.raises(StoreError, match="no artifact of its own server"):
        parse_code_reference(text)
