"""The tags of a store: what an alias may be called, and which tags are hidden."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.core.errors import StoreError
from launch_action.core.reference import Tag
from launch_action.core.tags import alias_tag, hidden, key_tag

KEY = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("main", "main"),
        ("feature/x", "feature-x"),
        ("v1.2.3", "v1.2.3"),
        ("a b\nc", "a-b-c"),
        ("naïve", "na-ve"),
        (".hidden", "hidden"),
        ("-rf", "rf"),
        ("_x", "_x"),
        ("x" * 128, "x" * 128),
    ],
)
def test_a_branch_becomes_an_alias(text: str, tag: str) -> None:
    assert alias_tag(text) == tag


@given(st.text())
def test_every_text_becomes_an_alias_that_is_no_hidden_tag(text: str) -> None:
    tag = alias_tag(text)

    assert Tag(tag) == tag
    assert not hidden(tag)
    assert alias_tag(tag) == tag


@given(st.text(min_size=129), st.text(min_size=129))
def test_long_names_stay_different(one: str, other: str) -> None:
    assert one == other or alias_tag(one) != alias_tag(other)


@pytest.mark.parametrize("text", ["", "...", "---", ".-.", key_tag(KEY), "/" + key_tag(KEY)])
def test_a_name_that_cannot_be_an_alias_gets_a_hash(text: str) -> None:
    assert alias_tag(text).startswith("alias-")
    assert alias_tag(text) != alias_tag(text + "é")


def test_a_build_key_has_a_hidden_tag() -> None:
    assert key_tag(KEY) == "key-" + KEY[:32]
    assert hidden(key_tag(KEY))


@pytest.mark.parametrize("tag", ["sha256-" + "a" * 64, "sha256-" + "a" * 64 + ".sig"])
def test_referrers_of_other_tools_are_hidden(tag: str) -> None:
    assert hidden(tag)


@pytest.mark.parametrize("tag", ["key", "key-rotation", "sha-" + "a" * 40, "latest"])
def test_aliases_are_not_hidden(tag: str) -> None:
    assert not hidden(tag)


@pytest.mark.parametrize("key", ["", "abc", KEY.upper(), KEY + "0", "sha256:" + KEY])
def test_what_is_no_build_key_has_no_tag(key: str) -> None:
    with pytest.raises(StoreError, match="not a build key"):
        key_tag(key)
