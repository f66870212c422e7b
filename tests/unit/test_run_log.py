"""A job's output, cut into lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launch_action.runners.log import LINE_LIMIT, Lines


def cut(*chunks: bytes) -> list[bytes]:
    taken: list[bytes] = []
    lines = Lines(taken.append)
    for chunk in chunks:
        lines.feed(chunk)
    lines.close()
    return taken


def test_lines_are_passed_on_with_their_ends() -> None:
    assert cut(b"a\nb\r\n", b"c", b"d\n", b"last") == [b"a\n", b"b\r\n", b"cd\n", b"last"]


def test_a_line_is_passed_on_before_the_next_begins() -> None:
    taken: list[bytes] = []
    Lines(taken.append).feed(b"one\ntwo")

    assert taken == [b"one\n"]


def test_a_progress_bar_is_seen_while_it_moves() -> None:
    assert cut(b"\r 10%", b"\r 20%", b"\r100%\n") == [b"\r", b" 10%\r", b" 20%\r", b"100%\n"]


def test_a_line_without_an_end_is_not_held_back_for_ever() -> None:
    taken: list[bytes] = []
    lines = Lines(taken.append)
    for _ in range(100):
        lines.feed(b"x" * 10_000)

    assert max(len(line) for line in taken) <= LINE_LIMIT + 10_000
    assert sum(len(line) for line in taken) > 900_000


def test_only_line_ends_of_bytes_end_a_line() -> None:
    assert cut("a\x0bb\x0cc\x1cd\u2028e\x85f\n".encode()) == [
        "a\x0bb\x0cc\x1cd\u2028e\x85f\n".encode()
    ]


@given(st.lists(st.binary()))
def test_no_byte_is_lost_or_added(chunks: list[bytes]) -> None:
    assert b"".join(cut(*chunks)) == b"".join(chunks)
