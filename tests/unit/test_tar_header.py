"""Tar headers: what is written is what every reader reads."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch_action.builders.layers.archive import MTIME, Entry
from launch_action.builders.layers.tar import END, header, padding, sorted_entries, with_parents
from launch_action.core.errors import BuildError


def read(entry: Entry, size: int = 0) -> tarfile.TarInfo:
    data = header(entry, size) + bytes(size) + padding(size) + END
    with tarfile.open(
        fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        (found,) = archive.getmembers()
    return found


def test_a_plain_entry_is_one_block_of_512_bytes() -> None:
    assert len(header(Entry("a/b.py", "file", 0o644), 5)) == 512


def test_fields_are_read_back() -> None:
    found = read(Entry("a/b.py", "file", 0o750, uid=1000, gid=7), 513)
    assert (found.name, found.mode, found.uid, found.gid, found.size, found.mtime) == (
        "a/b.py", 0o750, 1000, 7, 513, MTIME,
    )  # fmt: skip
    assert (found.uname, found.gname, found.isreg()) == ("", "", True)


def test_kinds_are_read_back() -> None:
    assert read(Entry("d", "directory", 0o755)).isdir()
    link = read(Entry("l", "symlink", 0o777, target="/usr/bin/python3"))
    assert link.issym()
    assert link.linkname == "/usr/bin/python3"
    assert read(Entry("h", "hardlink", 0o644, target="a")).islnk()


@pytest.mark.parametrize("length", [99, 100, 101, 154, 155, 156, 254, 255, 256, 257, 300, 5000])
@pytest.mark.parametrize("kind", ["file", "directory"])
def test_names_of_any_length_are_kept(length: int, kind: str) -> None:
    for path in ("x" * length, ("ab/" * length)[: length - 1] + "z"):
        entry = Entry(path, kind, 0o644)  # type: ignore[arg-type]
        assert read(entry).name == path


def test_a_name_that_ustar_can_split_needs_no_pax_record() -> None:
    assert len(header(Entry("p" * 155 + "/" + "n" * 100, "file", 0o644), 0)) == 512
    assert len(header(Entry("p" * 155 + "/" + "n" * 101, "file", 0o644), 0)) == 512 * 3


@pytest.mark.parametrize("target", ["t" * 100, "t" * 101, "\u00fc", "\udcff", "t" * 4000])
def test_link_targets_are_kept(target: str) -> None:
    assert read(Entry("l", "symlink", 0o777, target=target)).linkname == target


@pytest.mark.parametrize("size", [8 * 1024**3 - 1, 8 * 1024**3, 2**40])
def test_sizes_above_8_gib_are_kept(size: int) -> None:
    data = header(Entry("f", "file", 0o644), size)
    with tarfile.open(fileobj=io.BytesIO(data + END), mode="r|") as archive:
        assert next(iter(archive)).size == size


def test_user_ids_above_21_bits_are_kept() -> None:
    assert read(Entry("f", "file", 0o644, uid=3_000_000_000)).uid == 3_000_000_000


@given(
    st.lists(
        st.binary(min_size=1, max_size=120).map(
            lambda raw: raw.replace(b"/", b"-").replace(b"\0", b"-")
        ),
        min_size=1,
        max_size=5,
    ).filter(lambda parts: not {b".", b".."} & set(parts))
)
def test_any_bytes_of_a_name_are_kept(parts: list[bytes]) -> None:
    path = b"/".join(parts).decode("utf-8", "surrogateescape")
    assert read(Entry(path, "file", 0o644)).name == path


@pytest.mark.parametrize("path", ["", "/etc/passwd", "a/../b", "..", ".", "a//b", "a/", "a\0b"])
def test_paths_that_are_not_inside_the_image_are_refused(path: str) -> None:
    with pytest.raises(BuildError, match="not a path inside the image"):
        header(Entry(path, "file", 0o644), 0)


def test_parents_come_once_and_before_what_is_in_them() -> None:
    entries = [Entry("a/b/c", "file", 0o644), Entry("a/b/d", "file", 0o644), Entry("e", "file", 0)]
    found = list(with_parents(entries, mode=0o775, uid=3, gid=4))
    assert [(e.path, e.kind) for e in found] == [
        ("a", "directory"), ("a/b", "directory"), ("a/b/c", "file"), ("a/b/d", "file"),
        ("e", "file"),
    ]  # fmt: skip
    assert [(e.mode, e.uid, e.gid) for e in found[:2]] == [(0o775, 3, 4)] * 2


def test_an_explicit_directory_keeps_its_own_mode() -> None:
    found = list(with_parents([Entry("a", "directory", 0o700), Entry("a/b", "file", 0o644)]))
    assert [(e.path, e.mode) for e in found] == [("a", 0o700), ("a/b", 0o644)]


def test_a_path_that_comes_twice_is_refused() -> None:
    with pytest.raises(BuildError, match="'a'"):
        list(with_parents([Entry("a", "file", 0o644), Entry("a", "file", 0o644)]))


def test_a_file_below_a_file_is_refused() -> None:
    with pytest.raises(BuildError, match="'a/b/c'"):
        list(with_parents([Entry("a", "file", 0o644), Entry("a/b/c", "file", 0o644)]))


def test_the_order_is_that_of_bytes_with_directories_first() -> None:
    paths = ["a-b", "a/c", "a", "\udcff", "\u00fc", "B"]
    found = sorted_entries(Entry(path, "file", 0o644) for path in paths)
    assert [entry.path for entry in found] == ["B", "a", "a-b", "a/c", "\u00fc", "\udcff"]
