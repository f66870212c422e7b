"""RECORD files."""

from __future__ import annotations

import hashlib

import pytest

from launch_action.builders.layers.record import Row, read_record, write_record


def test_what_is_written_is_read_back() -> None:
    rows = {'a, "b".py': Row.of(b"x"), "\u00e4.py": Row.of(b"")}
    data = write_record(rows.items(), "d.dist-info/RECORD")
    assert read_record(data.decode()) == rows | {"d.dist-info/RECORD": Row("", None)}


def test_lines_are_sorted_by_path() -> None:
    rows = [("b", Row("", 1)), ("a", Row("", 2)), ("../x", Row("", 3))]
    assert write_record(rows, "m/RECORD") == b"../x,,3\na,,2\nb,,1\nm/RECORD,,\n"


def test_the_sha256_is_decoded() -> None:
    assert Row.of(b"abc").sha256 == hashlib.sha256(b"abc").hexdigest()
    assert Row("md5=abc", 3).sha256 == ""
    assert Row("sha256=abc", 3).sha256 == ""


@pytest.mark.parametrize("text", ["a,b,c\n", "a,b,1,d\n", ",b,1\n"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_record(text)


def test_backslashes_of_other_systems_are_read_as_slashes() -> None:
    assert read_record("a\\b.py,,\n") == {"a/b.py": Row("", None)}
