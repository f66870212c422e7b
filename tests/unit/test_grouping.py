"""Wheels in layers."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from launch_action.builders.layers.archive import Chunks, Entry
from launch_action.builders.layers.grouping import (
    HEAVY,
    MAX_LAYERS,
    conflicts,
    group,
    merge,
    summary,
)


def file(path: str, content: bytes = b"") -> Entry:
    return Entry(path, "file", 0o644, content)


def test_heavy_wheels_have_a_layer_each_and_light_ones_share() -> None:
    found = group({"numpy": HEAVY, "six": 10, "certifi": HEAVY - 1, "pandas": HEAVY + 1})
    assert found.heavy == ("numpy", "pandas")
    assert found.shared == ("certifi", "six")


def test_no_wheels_are_an_empty_shared_layer() -> None:
    assert group({}).shared == group({}).heavy == ()


def test_what_does_not_fit_goes_into_the_shared_layer_smallest_first() -> None:
    sizes = {f"w{n:03}": HEAVY + n for n in range(150)}
    found = group(sizes, other_layers=10)
    assert len(found.heavy) == MAX_LAYERS - 10 - 1
    assert found.shared == tuple(f"w{n:03}" for n in range(150 - len(found.heavy)))


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.integers(0, 3 * HEAVY), max_size=200),
    st.integers(0, 200),
)
def test_every_wheel_is_in_one_layer_and_the_limit_holds(
    sizes: dict[str, int], others: int
) -> None:
    found = group(sizes, other_layers=others)
    assert sorted(found.shared + found.heavy) == sorted(sizes)
    assert not found.heavy or others + 1 + len(found.heavy) <= MAX_LAYERS


@given(st.permutations([("a", 1), ("b", HEAVY), ("c", 2 * HEAVY), ("d", 5)]))
def test_the_order_of_asking_does_not_matter(items: list[tuple[str, int]]) -> None:
    assert group(dict(items)) == group(dict(sorted(items)))


def test_in_one_layer_the_later_part_wins() -> None:
    assert merge([[file("x", b"1"), file("y")], [file("x", b"2")]]) == [file("x", b"2"), file("y")]


def test_different_content_at_one_path_is_a_conflict() -> None:
    (found,) = conflicts([("a", [file("t/x.py", b"1")]), ("b", [file("t/x.py", b"2")])])
    assert str(found) == "'t/x.py' of a is replaced by that of b"


def test_the_same_content_at_one_path_is_none() -> None:
    assert conflicts([("a", [file("t/x.py")]), ("b", [file("t/x.py")])]) == ()


def test_the_same_content_is_the_same_however_it_is_held() -> None:
    def held(*chunks: bytes) -> Entry:
        content = Chunks(sum(map(len, chunks)), lambda: iter(chunks))
        return Entry("x.py", "file", 0o644, content)

    for one, other in ((b"", held()), (b"abc", held(b"a", b"bc"))):
        assert conflicts([("a", [file("x.py", one)]), ("b", [other])]) == ()
        assert conflicts([("a", [other]), ("b", [replace(other, mode=0o755)])]) == ()
    assert conflicts([("a", [file("x.py", b"abd")]), ("b", [held(b"abc")])])


def test_two_packages_with_many_conflicts_are_one_line() -> None:
    parts = [(name, [file(f"t/{n}", name.encode()) for n in range(3)]) for name in ("a", "b")]
    assert summary(conflicts([*parts, ("c", [file("t/0", b"c")])])) == (
        "a and b both install 't/0' and 2 more, with different content: b's is used",
        "b and c both install 't/0', with different content: c's is used",
    )


def test_what_changes_with_the_source_shares_no_layer() -> None:
    found = group({"app": 10, "numpy": 1 << 24, "six": 10}, alone=frozenset({"app"}))
    assert (found.shared, found.heavy) == (("six",), ("app", "numpy"))
