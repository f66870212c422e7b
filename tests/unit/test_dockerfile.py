"""The base images of a Dockerfile, as far as the build key needs them."""

from __future__ import annotations

import pytest

from launch_action.core.dockerfile import base_images, expand, instructions


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("FROM python:3.12\nRUN true", ["python:3.12"]),
        ("from python as a\nfrom a\n", ["python"]),
        ("FROM scratch\nCOPY . /", []),
        ("FROM --platform=$BUILDPLATFORM go:1 AS b\nFROM scratch\nCOPY --from=b /x /", ["go:1"]),
        ("FROM a AS one\nFROM b AS two\n", ["b"]),
        ("FROM a AS one\nFROM b\nCOPY --from=0 / /", ["a", "b"]),
        ("FROM a\nCOPY --chown=1 --from=quay.io/x/y:1 / /", ["a", "quay.io/x/y:1"]),
        ("FROM a\nRUN --mount=type=bind,from=tools,target=/t --mount=type=cache,target=/c x",
         ["a", "tools"]),
        ("ARG V=3.12\nFROM python:$V-slim", ["python:3.12-slim"]),
        ("ARG V=3.12\nARG I=python:${V}\nFROM ${I}", ["python:3.12"]),
        ("ARG I\nFROM ${I:-python:3}", ["python:3"]),
        ('ARG V="3.12"\nFROM "python:$V"', ["python:3.12"]),
        ("FROM a AS x\nARG V=no\nFROM b:$V", ["b:"]),
        ("FROM py\\\nthon:3\nRUN a", ["python:3"]),
        ("# escape=`\nFROM py`\nthon:3", ["python:3"]),
        ("# a comment\n\n# syntax=x\nFROM a", ["a"]),
        ("FROM a\nRUN <<EOF\nFROM fake\nEOF\nRUN x", ["a"]),
        ("FROM a\nRUN <<-'E O' cat <<TWO\nFROM fake\nE O\nFROM fake\nTWO\nFROM b", ["b"]),
        ("FROM a\nCOPY <<EOF /f\nCOPY --from=fake / /\nEOF\n", ["a"]),
        ("FROM a\nRUN x \\\n# FROM fake\n  && y", ["a"]),
        ("\ufeffFROM a", ["a"]),
        ("FROM a@sha256:" + "0" * 64, ["a@sha256:" + "0" * 64]),
        ("FROM a\r\nRUN x\r\n", ["a"]),
        ("", []),
        ("FROM", []),
    ],
)  # fmt: skip
def test_what_the_target_stands_on(text: str, images: list[str]) -> None:
    assert list(base_images(text, {})) == images


def test_a_build_argument_wins_over_its_default_and_only_where_it_is_declared() -> None:
    assert base_images("ARG V=1\nFROM a:$V", {"V": "2"}) == ("a:2",)
    assert base_images("FROM a:$V", {"V": "2"}) == ("a:",)


@pytest.mark.parametrize(
    ("target", "images"), [("one", ("a",)), ("ONE", ("a",)), ("1", ("b",)), ("gone", ("a", "b"))]
)
def test_only_the_stages_of_the_target_count(target: str, images: tuple[str, ...]) -> None:
    assert base_images("FROM a AS one\nFROM b AS two", {}, target) == images


def test_a_stage_is_named_before_it_is_used() -> None:
    """A name that is given later is an image's, as in Docker."""
    assert base_images("FROM later\nFROM x AS later\nFROM b\nCOPY --from=0 / /", {}) == (
        "later",
        "b",
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$A", "1"), ("${A}b", "1b"), ("$Ab", ""), ("${B:-x}", "x"), ("${B-x}", ""),
        ("${C-x}", "x"), ("${A:+x}", "x"), ("${B:+x}", ""), ("\\$A", "$A"), ("${C:-${A}", "${A"),
    ],
)  # fmt: skip
def test_variables_are_replaced_as_in_a_shell(text: str, value: str) -> None:
    assert expand(text, {"A": "1", "B": ""}) == value


def test_only_line_feeds_end_a_line() -> None:
    text = "FROM scratch\r\n# a form feed\fFROM evil\r\n# a separator\u2028FROM worse\r\n"
    assert base_images(text, {}) == ()
    assert [one.rest for one in instructions(text)] == ["scratch"]


def test_joined_lines_are_one_instruction() -> None:
    found = list(instructions("# one\nFROM a\n\nrun b \\\n  # c\n  d\nCOPY e f"))

    assert [(one.name, one.rest) for one in found] == [
        ("FROM", "a"), ("RUN", "b   d"), ("COPY", "e f"),
    ]  # fmt: skip
