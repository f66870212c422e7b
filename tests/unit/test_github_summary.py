from __future__ import annotations

import html
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from launch_action.github.summary import Summary, code, escape, link, render

FULL = Summary(
    job_name="job-https___github.com_acme_mono-jobs_train.py",
    job="ghcr.io/acme/train@sha256:" + "a" * 64,
    image="ghcr.io/acme/train@sha256:" + "b" * 64,
    tags=("latest", "main"),
    commit="c" * 40,
    commit_url="https://github.com/acme/mono-jobs/commit/" + "c" * 40,
    builder="layers",
    reason="no Dockerfile.wandb beside the script",
    base="docker.io/library/python:3.12-slim",
    cache_hit=False,
    pushed=True,
    run_status="succeeded",
    run_exit_code=0,
    run_url="https://wandb.ai/acme/x/runs/1?a=b&c=d",
    timings={"resolve": 0.123, "push": 1.5},
    sent=17_300_000,
    received=999,
    requests=12,
    metrics={"accuracy": 0.97222222, "note": "a|b"},
    warnings=("the checkout has 2 changed files",),
    reproduce="git checkout cccc\n\nlaunch-action launch -E 'python train.py'",
)


def rendered(markdown: str) -> str:
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(markdown))


def visible(markdown: str) -> str:
    """What a reader sees of a text that may hold no element."""
    shown = html.unescape(re.sub("</?p>", "", rendered(markdown)))
    return shown.replace("\u200b", "").strip()


def test_the_summary_shows_every_value() -> None:
    shown = html.unescape(rendered(render(FULL)))

    for value in (FULL.job_name, FULL.job, FULL.image, "latest", "layers", FULL.base, FULL.reason):
        assert value in shown
    for value in (
        "17.3 MB sent",
        "999 B received",
        "12 requests",
        "0.972222",
        "a|b",
        "0.12",
        "1.50",
    ):
        assert value in shown
    for value in ("succeeded", ", exit code 0", "miss", "the checkout has 2 changed files"):
        assert value in shown
    assert "launch-action launch -E 'python train.py'" in shown


def test_the_tables_stay_tables_with_two_columns() -> None:
    hostile = replace(FULL, tags=("a|b|c",), metrics={"x|y\nz": "1 | 2\n| 3"}, reason="|\n|")

    shown = rendered(render(hostile))

    rows = re.findall(r"<tr>(.*?)</tr>", shown, re.DOTALL)
    assert rows
    assert all(len(re.findall("<t[dh]", row)) == 2 for row in rows)


def test_a_failure_shows_the_error_and_the_hint_and_no_empty_sections() -> None:
    markdown = render(Summary(job_name="", error="no such file: 'a.py'", hint="add it"))

    assert markdown.startswith("### ❌ launch-action\n\n> ")
    assert "hint: add it" in markdown
    assert "Metrics" not in markdown
    assert "<details>" not in markdown


def test_a_run_that_failed_is_marked() -> None:
    assert render(replace(FULL, run_status="failed", run_exit_code=3)).startswith("### ❌")


def test_a_digest_can_be_copied_from_code_unchanged() -> None:
    assert html.unescape(code(FULL.job)) == f"<code>{FULL.job}</code>"


def test_only_web_addresses_become_links() -> None:
    assert link("x", "https://a.example/?q=1&r=2").startswith(
        '<a href="https://a.example/?q=1&amp;r=2">'
    )
    for url in (
        "javascript:alert(1)",
        'https://a"onclick="x',
        "https://a b",
        "data:text/html,x",
        "",
    ):
        assert link("x", url) == "<code>x</code>"


def test_a_mention_or_a_reference_is_parted_by_a_zero_width_space() -> None:
    assert html.unescape(escape("@acme/all #12")) == "@\u200bacme/all #\u200b12"


def test_invisible_and_reordering_characters_are_replaced() -> None:
    assert escape("a\u202eb\x1b[0mc\ud800") == "a\ufffdb\ufffd&#91;0mc\ufffd"


def test_a_long_text_is_cut() -> None:
    assert escape("a" * 600) == "a" * 500 + "…"


outside = st.text(st.sampled_from("ab |`<>*_~[](){}!#@\\&$:/.-+=\"'\n\r1"), max_size=30)


@given(outside)
def test_escaped_text_shows_as_itself_wherever_it_stands(text: str) -> None:
    one_line = " ".join(text.split())

    assert visible(f"x{escape(text)}x") == f"x{one_line}x"


@given(outside)
def test_no_outside_text_makes_an_element_of_its_own(text: str) -> None:
    plain = replace(
        FULL,
        job_name="n",
        reason="r",
        tags=("t",),
        metrics={"m": 1},
        warnings=("w",),
        reproduce="p",
    )
    hostile = replace(
        plain,
        job_name=f"n{text}",
        reason=f"r{text}",
        tags=(f"t{text}",),
        metrics={f"m{text}": f"v{text}"},
        warnings=(f"w{text}",),
        reproduce=f"p{text}",
    )

    def elements(summary: Summary) -> list[str]:
        return re.findall(r"<[^>]+>", rendered(render(summary)))

    assert elements(hostile) == elements(plain)


def test_the_summary_is_the_same_text_every_time() -> None:
    assert render(FULL) == render(FULL)
