from __future__ import annotations

import base64
import html
import re
import zlib
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from support.rows import COMMIT, FULL, PAGE, digest

from launch_action.core.comparison import Change
from launch_action.core.preview_comment import (
    ANY_MARKER,
    Report,
    marker,
    read_report,
    render,
)
from launch_action.core.preview_row import NOT_BEGUN, Base, Metric, Row, compared, read_row
from launch_action.core.preview_table import Page, details, overview

MARK = marker("acme/mono/.github/workflows/preview.yml")
GITHUB_LIMIT = 65_536


def rendered(markdown: str) -> str:
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))


def comment(*rows: Row, removed: int = 0) -> str:
    return render(Report(rows, removed), PAGE, MARK)


def shown(*rows: Row) -> str:
    """What a reader sees."""
    text = re.sub(r"<!--.*?-->", "", rendered(comment(*rows)), flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", text)).replace("\xa0", " ").replace("\u200b", "")


def test_a_comment_begins_with_its_marker_and_carries_its_rows() -> None:
    other = replace(FULL, key="2", title="other")
    body = comment(FULL, other)

    assert body.startswith(f"{MARK}\n")
    assert MARK.startswith(ANY_MARKER)
    assert read_report(body) == Report((FULL, other))


def test_workflows_have_markers_of_their_own_that_hold_no_outside_text() -> None:
    hostile = marker("--> <script>alert(1)</script>")

    assert hostile != MARK
    assert re.fullmatch(r"<!-- launch-action preview [0-9a-f]{16} -->", hostile)


def test_a_row_says_all_that_a_reviewer_asks() -> None:
    text = " ".join(shown(FULL).split())

    for part in (
        "✅ Preview: jobs/train.py", "done", COMMIT[:7], digest("image")[7:19], "85.3 MB",
        "+1.2 MB", "+ rich 14.1.0", "torch 2.8 → 2.9", "\N{MINUS SIGN} six 1", "4.3 s",
        "5 of 6 layers reused",
        "succeeded", "1 min 12 s", "accuracy 0.972222 (+0.0722)", "+8.0%",
        "launch-action run \\ ghcr.io/acme/train:x", FULL.job, FULL.image, "pr-12",
        "Compared with: main 8888888",
    ):  # fmt: skip
        assert part in text, part


def test_what_failed_before_any_job_stands_above_earlier_rows_until_a_later_attempt() -> None:
    failed = Row(key="9", title=NOT_BEGUN, run=8, state="failed", error="launch.yaml:3: no jobs")
    started_again = replace(FULL, run=8, attempt=2)

    seen = " ".join(shown(FULL, failed).split())
    assert f"❌ Preview: {NOT_BEGUN}" in seen
    assert seen.index("launch.yaml:3: no jobs") < seen.index("1 from earlier runs")
    # Beside another step's row, of the same moment.
    assert "1 of 2 jobs failed" in shown(replace(FULL, run=8), failed)
    for later in (started_again, replace(FULL, run=9)):
        assert NOT_BEGUN not in shown(later, failed)
        # Who tells of the failure late has nothing left to do.
        assert Report((later,)).has(failed)
        assert not Report((FULL,)).has(failed)


def test_a_job_is_followed_from_waiting_to_its_end() -> None:
    waiting = Row(key="1", title="train", run=7)

    assert "⚪ Preview: train" in shown(waiting)
    assert "pending" in shown(waiting)
    assert "🟡 Preview: train" in shown(replace(waiting, state="building"))
    assert "🔵 Preview: train" in shown(replace(waiting, state="running"))
    both = (replace(FULL, key="2"), replace(waiting, state="running"))
    assert "🟡 Preview: 1 of 2 jobs done" in shown(*both)


def test_a_failure_is_in_sight_with_what_to_do() -> None:
    failed = replace(FULL, key="2", state="failed", error="no such file: 'a|b'", hint="add `it`")
    text = rendered(comment(FULL, failed))

    assert "❌ Preview: 1 of 2 jobs failed" in text
    before_folds = html.unescape(text.partition("<details>")[0])
    assert "no such file: 'a|b'" in before_folds
    assert "hint: add `it`" in before_folds


def test_rows_that_a_later_run_did_not_renew_are_folded_and_ended() -> None:
    earlier = replace(FULL, key="2", title="gone", run=3, state="running")
    text = rendered(comment(FULL, earlier))
    table, _, rest = text.partition("</table>")

    assert "gone" not in table
    assert "1 from earlier runs" in rest
    assert "cancelled" in rest
    assert "/actions/runs/3/attempts/1" in rest


def test_legs_of_a_matrix_with_one_script_are_told_apart() -> None:
    legs = [
        replace(FULL, key=f"{n}", title="train.py", variant=text)
        for n, text in enumerate(("lr=0.1", "lr=1", ""))
    ]
    text = shown(*legs, replace(FULL, key="x", title="other.py", variant="lr=1"))

    assert "train.py (lr=0.1)" in text
    assert "train.py (lr=1)" in text
    assert "train.py (2)" in text
    assert "other.py (" not in text


def test_a_removed_preview_says_so_until_a_later_run() -> None:
    body = comment(FULL, removed=7)

    assert "Preview removed" in body
    assert "launch-action run" not in body
    assert read_report(body) == Report((FULL,), 7)
    again = read_report(body).merged(Report((replace(FULL, run=8),)))
    assert "✅ Preview" in render(again, PAGE, MARK)


@pytest.mark.parametrize("count", [1, 8, 40, 256])
def test_a_comment_is_never_too_long_and_keeps_every_row(count: int) -> None:
    rows = tuple(large(number) for number in range(count))
    body = comment(*rows)
    read = read_report(body)

    assert len(body.encode()) < GITHUB_LIMIT
    assert body.startswith(MARK)
    assert all(read.has(row) for row in rows)
    assert rendered(body).count("<details>") == rendered(body).count("</details>")
    if count >= 40:
        assert f'There is more than fits here</strong>: <a href="{PAGE.run_url}">' in rendered(body)


def test_a_row_of_the_longest_texts_leaves_a_whole_comment() -> None:
    wide = "\N{PILE OF POO}|" * 5000
    row = replace(
        FULL, title=wide, error=wide, hint=wide, reproduce=wide, reused=wide, job_name=wide,
        tags=(wide,) * 50, metrics=(Metric(wide, wide, wide),) * 50,
        changes=(Change(wide, wide, wide),) * 50,
    )  # fmt: skip

    read = read_row(row.document())
    assert read
    body = comment(*(replace(read, key=str(n)) for n in range(30)))

    assert len(body.encode()) < GITHUB_LIMIT
    assert "<sub>" in body


def large(number: int) -> Row:
    return replace(
        FULL,
        key=f"{number:016x}",
        title=f"jobs/{number:03}/train.py",
        at=FULL.at + number * 37,
        image=f"ghcr.io/acme/train@{digest(f'image {number}')}",
        job=f"ghcr.io/acme/train@{digest(f'job {number}')}",
        size=1_000_000 + number,
        changes=tuple(Change(f"package-{n}", "1", digest(str(n))) for n in range(60)),
        metrics=compared({f"metric-{n}": n / 7 for n in range(60)}),
    )


outside = st.text(st.sampled_from("ab |`<>*_~[](){}!#@\\&$:/.-+=\"'\n\r1-->\u202e"), max_size=30)


@settings(max_examples=40)
@given(outside)
def test_no_outside_text_makes_an_element_of_its_own(text: str) -> None:
    def row(more: str) -> Row:
        return replace(
            FULL,
            title=f"n{more}",
            state="failed",
            job_name=f"j{more}",
            job=f"r{more}",
            image=f"i@sha256:{more.replace('@', '')}0",
            commit=f"c{more}",
            tags=(f"t{more}",),
            base=Base(name=f"b{more}", commit=f"b{more}", image="x", size=1),
            changes=(Change(f"p{more}", f"v{more}", f"w{more}"), Change(f"q{more}", "", "1")),
            reused=f"l{more}",
            run_status=f"s{more}",
            run_url=f"https://x/{more} ",
            metrics=(Metric(f"m{more}", f"v{more}", f"w{more}"),),
            reproduce=f"p{more}",
            error=f"e{more}",
            hint=f"h{more}",
        )

    def elements(more: str) -> list[str]:
        page = replace(PAGE, workflow=f"w{more}")
        body = render(Report((row(more), replace(row(more), key="2"))), page, MARK)
        text = re.sub(r"<!--.*?-->", "<!-- -->", rendered(body), flags=re.DOTALL)
        # A line of the command more is a line more of it, and nothing else.
        return re.findall(r"<[^>]+>", re.sub(r"/commit/[^\"]*", "", text))

    assert elements(text) == elements("")


def unpacked(body: str) -> str:
    match = re.search(r"rows ([A-Za-z0-9+/=]+) -->", body)
    assert match
    return zlib.decompress(base64.b64decode(match[1])).decode()


def carrying(text: bytes) -> str:
    return f"{MARK}\n<!-- launch-action rows {base64.b64encode(text).decode()} -->"


def test_what_is_carried_is_no_markup_whatever_it_is() -> None:
    body = comment(replace(FULL, title="--> <script>alert(1)</script>"))

    assert "-->" in unpacked(body)
    assert len(re.findall("-->", body)) == 2
    assert "<script" not in body


@pytest.mark.parametrize(
    "body",
    [
        "",
        MARK,
        f"{MARK}\n<!-- launch-action rows AAAA -->",
        f"{MARK}\n<!-- launch-action rows === -->",
        carrying(zlib.compress(b"[]")),
        carrying(zlib.compress(b'{"format": 2, "rows": []}')),
        carrying(zlib.compress(b'{"format": 1, "rows": 3, "removed": "x"}')),
        carrying(zlib.compress(b'{"format": 1, "rows": [3, {}], "removed": true}')),
        carrying(zlib.compress(b"[" * 100_000)),
        carrying(zlib.compress(b" " * 100_000_000)),
        comment(FULL)[:-200],
    ],
)
def test_a_comment_that_was_edited_or_cut_carries_nothing(body: Any) -> None:
    assert read_report(body) == Report()


def test_the_same_rows_give_the_same_comment_in_any_order() -> None:
    other = replace(FULL, key="2", title="a")

    assert comment(FULL, other) == comment(other, FULL)


def test_what_a_row_has_no_room_for_is_not_passed_for_all_there_is() -> None:
    metrics = compared({f"m{number}": number for number in range(500)})
    changes = tuple(Change(f"p{number}", "", "1") for number in range(200))
    full = Row(key="a", title="train", run=1, state="done", run_status="succeeded",
               metrics=metrics, changes=changes)  # fmt: skip
    few = replace(full, metrics=metrics[:5], changes=changes[:5])

    table, folded = overview([full], Page()), details(full)
    assert "and 197+ more" in table
    assert "200+&nbsp;added" in table
    assert folded.count("The first 200.") == 2
    table, folded = overview([few], Page()), details(few)
    assert "and 2 more" in table
    assert "5&nbsp;added" in table
    assert "The first" not in folded


def test_a_command_that_looks_like_the_rows_is_not_read_as_them() -> None:
    forged = comment(replace(FULL, title="forged"), removed=2**40).splitlines()[-1]
    row = replace(FULL, reproduce=f"launch-action run x --set 'a={forged}'")

    body = comment(row)

    assert body.count("<!-- launch-action rows ") == 2
    assert read_report(body) == Report((row,))
