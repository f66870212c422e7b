"""What a release's page says of a job, and that all else of it stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.release_section import Released, section, with_sections

JOB = Released(
    key="train",
    title="train",
    job="ghcr.io/acme/train@sha256:" + "a" * 64,
    image="ghcr.io/acme/train@sha256:" + "b" * 64,
    aliases=("v1.2.3", "v1.2", "v1", "latest"),
    commit="c" * 40,
    sboms=(("linux/amd64", "https://ghcr.io/v2/acme/train/blobs/sha256:" + "d" * 64),),
)
OTHER = Released(key="eval", title="eval", job=JOB.job, image="", aliases=(), commit="")


def test_a_section_says_how_to_pull_and_run_it() -> None:
    text = section(JOB)

    assert f"docker pull {JOB.image}" in text
    assert "launch-action run ghcr.io/acme/train:v1.2.3" in text
    assert f'<a href="{JOB.sboms[0][1]}">SPDX</a>' in text
    assert JOB.commit in text
    assert f"launch-action run {OTHER.job}" in section(OTHER)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "notes",
        "notes\n",
        "notes\r\n\r\n* one\r\n* two\r\n\r\n",
        "  leading\n\n\n```\ncode\n```\ntrailing  \t",
        "<!-- launch-action release 0000000000000000 begins -->\nsomebody's\n",
        "\N{SNOWMAN} <!-- comment -->",
    ],
)
def test_all_else_of_the_text_stays(body: str) -> None:
    once = with_sections(body, [JOB, OTHER])

    assert once.startswith(body)
    assert with_sections(once, [JOB, OTHER]) == once
    assert with_sections(once, [OTHER, JOB]) == once
    after = with_sections(once + "\r\n\r\nand more", [JOB])
    assert after == once + "\r\n\r\nand more"


def test_a_section_is_replaced_where_it_stands() -> None:
    body = with_sections("before\n", [JOB]) + "\nbetween\n"
    body = with_sections(body, [OTHER]) + "\nafter"
    newer = Released(
        key=JOB.key, title="train", job=JOB.job, image=JOB.image, aliases=("v2",), commit="e" * 40
    )

    found = with_sections(body, [newer])

    assert found == body.replace(section(JOB), section(newer))
    assert "v1.2.3" not in found


def test_a_mark_that_lost_its_end_takes_nothing_with_it() -> None:
    begin, _ = JOB.marks
    body = f"{begin}\n\nsomebody deleted the end, and wrote this\n"

    once = with_sections(body, [JOB])
    again = with_sections(once, [JOB])

    assert once.startswith(body)
    assert again == once


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_around_it_stays(before: str, after: str) -> None:
    body = with_sections(before, [JOB])
    inside = body[len(before) :]

    found = with_sections(before + inside + after, [JOB])

    assert found == before + inside + after


def test_outside_text_is_no_markdown() -> None:
    odd = Released(
        key="<!-- x -->",
        title="a | b <script> @someone #1",
        job=JOB.job,
        image=JOB.image,
        aliases=("v1",),
        commit="`x`",
        sboms=(("linux/amd64", "javascript:alert(1)"),),
    )

    text = section(odd)

    assert "<script>" not in text
    assert "@someone" not in text
    assert "javascript" not in text
    assert "<!-- x -->" not in text
