from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from launch_action.core.markdown import code, duration, escape, fenced, folded, link, size, table

outside = st.text(st.sampled_from("ab |`<>*_~[](){}!#@\\&$:/.-+=\"'\n\r1"), max_size=30)


def rendered(markdown: str) -> str:
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))


def visible(markdown: str) -> str:
    """What a reader sees of a text that may hold no element."""
    shown = html.unescape(re.sub("</?p>", "", rendered(markdown)))
    return shown.replace("\u200b", "").strip()


def test_a_digest_can_be_copied_from_code_unchanged() -> None:
    digest = "ghcr.io/acme/train@sha256:" + "a" * 64

    assert html.unescape(code(digest)) == f"<code>{digest}</code>"


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", 'https://a"onclick="x', "https://a b", "data:text/html,x", ""]
)
def test_what_is_no_web_address_becomes_no_link(url: str) -> None:
    assert link("x", url) == "<code>x</code>"


def test_a_web_address_becomes_a_link() -> None:
    assert link("x", "https://a.example/?q=1&r=2").startswith(
        '<a href="https://a.example/?q=1&amp;r=2">'
    )


def test_a_mention_or_a_reference_is_parted_by_a_zero_width_space() -> None:
    assert html.unescape(escape("@acme/all #12")) == "@\u200bacme/all #\u200b12"
    assert html.unescape(escape("fixes GH-12, gh-3")) == "fixes GH-\u200b12, gh-\u200b3"


def test_invisible_and_reordering_characters_are_replaced() -> None:
    assert escape("a\u202eb\x1b[0mc\ud800") == "a\ufffdb\ufffd&#91;0mc\ufffd"
    assert fenced("a\u2066b\x00").splitlines()[1] == "a\ufffdb\ufffd"


def test_a_long_text_is_cut() -> None:
    assert escape("a" * 600) == "a" * 500 + "…"


@given(outside)
def test_escaped_text_shows_as_itself_wherever_it_stands(text: str) -> None:
    assert visible(f"x{escape(text)}x") == f"x{' '.join(text.split())}x"


@given(outside)
def test_a_fence_shows_its_text_and_is_not_left(text: str) -> None:
    markdown = f"{fenced(text, 'sh')}\n\nafter"

    shown = rendered(markdown)

    lines = re.split(r"\r\n|\r|\n", text)
    body = re.search(r'<code class="language-sh">(.*)</code></pre>\n<p>after</p>', shown, re.DOTALL)
    assert body is not None, shown
    assert html.unescape(body[1]).split("\n")[:-1] == lines


@given(st.lists(st.tuples(outside, outside), min_size=1, max_size=3))
def test_a_table_has_two_cells_in_every_row_whatever_is_in_them(
    cells: list[tuple[str, str]],
) -> None:
    shown = rendered(table(("a", "b"), [(escape(one), code(two)) for one, two in cells]))

    rows = re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)
    assert len(rows) == len(cells) + 1
    assert all(len(re.findall("<t[dh]", row)) == 2 for row in rows)


def test_a_fold_without_a_body_is_nothing() -> None:
    assert folded("x", "") == ""


def test_sizes_and_spans_are_for_people() -> None:
    assert [size(n) for n in (0, 999, 1000, 17_300_000, 2_500_000_000)] == [
        "0 B", "999 B", "1.0 kB", "17.3 MB", "2.50 GB",
    ]  # fmt: skip
    assert [duration(s) for s in (0.04, 9.94, 59.4, 59.6, 3599.6, 7260)] == [
        "0.04 s", "9.9 s", "59 s", "1 min 0 s", "1 h 0 min", "2 h 1 min",
    ]  # fmt: skip
