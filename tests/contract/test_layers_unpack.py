"""Unpacking layers: what engines make of them, and nothing outside the directory."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.layers import layer_of
from support.wheels import rich

from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.codec import codec_of
from launch_action.builders.layers.install import wheel_entries
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import with_parents
from launch_action.builders.layers.unpack import extract
from launch_action.builders.layers.wheel import read_wheel
from launch_action.core.compression import Compression
from launch_action.core.errors import StoreError


def file(path: str, content: bytes = b"new", mode: int = 0o644) -> Entry:
    return Entry(path, "file", mode, content)


def link(path: str, target: str) -> Entry:
    return Entry(path, "symlink", 0o777, target=target)


def unpack(entries: Iterable[Entry], destination: Path) -> int:
    return extract(io.BytesIO(layer_of(entries)[0]), destination)


def hostile(*infos: tarfile.TarInfo) -> io.BytesIO:
    """An archive as no builder of ours would write it; files have their own name as content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for info in infos:
            data = info.name.encode() if info.isreg() else b""
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    out.seek(0)
    return out


def info(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = kind, target
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The destination, beside a directory that must stay as it is."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept")
    return tmp_path / "inside"


@pytest.fixture(autouse=True)
def nothing_outside_changes(place: Path) -> Iterable[None]:
    yield
    assert sorted(entry.name for entry in place.parent.iterdir()) in (
        ["inside", "outside"], ["outside"],
    )  # fmt: skip
    assert [p.name for p in (place.parent / "outside").iterdir()] == ["kept"]
    assert (place.parent / "outside/kept").read_text() == "kept"


@pytest.mark.parametrize("compression", ["gzip", "gzip:1", "zstd", "zstd:12"])
def test_a_layer_of_ours_comes_out_as_it_went_in(
    place: Path, tmp_path: Path, compression: str
) -> None:
    wheel = rich(tmp_path)
    entries = wheel_entries(read_wheel(wheel), Scheme("/opt/venv", "3.11"))
    layer, _ = layer_of(with_parents(entries), codec_of(Compression.parse(compression)))
    assert extract(io.BytesIO(layer), place) == len(entries)
    wheel.unlink()
    assert (place / "opt/venv/bin/rich-demo").stat().st_mode & 0o777 == 0o755
    big = place / "opt/venv/lib/python3.11/site-packages/rich_demo/big.bin"
    assert big.read_bytes() == bytes(range(256)) * 800


@pytest.mark.parametrize("end", [3, 40, -1])
def test_a_layer_of_zstd_that_is_cut_off_is_refused(place: Path, end: int) -> None:
    layer, _ = layer_of([file("f", b"new" * 99)], codec_of(Compression.parse("zstd")))
    with pytest.raises(StoreError, match="cannot be read"):
        extract(io.BytesIO(layer[:end]), place)


def test_any_bytes_of_a_name_come_out(place: Path) -> None:
    names = ["a b", "new\nline", "\udcff\udcfe", "\u00fc" * 90, "d/" * 100 + "deep"]
    unpack(with_parents([file(name) for name in names]), place)
    assert all((place / name).read_bytes() == b"new" for name in names)


def test_modes_are_kept_without_set_user_id(place: Path) -> None:
    old = os.umask(0o077)
    try:
        unpack(
            [Entry("d", "directory", 0o2775), file("d/s", b"", 0o6755), file("r", b"", 0o444)],
            place,
        )
    finally:
        os.umask(old)
    modes = {name: stat.S_IMODE((place / name).lstat().st_mode) for name in ("d", "d/s", "r")}
    assert modes == {"d": 0o775, "d/s": 0o755, "r": 0o444}


def test_a_directory_that_may_not_be_written_is_filled_first(place: Path) -> None:
    unpack([Entry("d", "directory", 0o555), file("d/x")], place)
    assert stat.S_IMODE((place / "d").stat().st_mode) == 0o555


def test_links_are_made_and_not_followed(place: Path) -> None:
    unpack([link("abs", "/etc"), link("up", "../outside/kept"), file("f"),
            Entry("hard", "hardlink", 0o644, target="f")], place)  # fmt: skip
    assert (place / "abs").readlink() == Path("/etc")
    assert (place / "hard").samefile(place / "f")


def test_an_upper_layer_replaces_what_a_lower_one_left(place: Path) -> None:
    lower = [file("f", b"old"), link("l", "../outside/kept"), file("d/x"), link("to", "../outside")]
    unpack(with_parents(lower), place)
    unpack([file("f"), file("l"), file("d"), Entry("to", "directory", 0o755), file("to/x")], place)
    assert [(place / name).read_bytes() for name in ("f", "l", "d", "to/x")] == [b"new"] * 4
    assert not (place / "to").is_symlink()


def test_a_hard_linked_file_is_replaced_and_not_written_through(place: Path) -> None:
    unpack([file("a", b"old"), Entry("b", "hardlink", 0o644, target="a")], place)
    unpack([file("b")], place)
    assert ((place / "a").read_bytes(), (place / "b").read_bytes()) == (b"old", b"new")


def test_whiteouts_remove_what_lower_layers_left(place: Path) -> None:
    unpack(with_parents([file("a/b/c"), file("a/keep"), file("gone"), link("l", "a")]), place)
    unpack([file(".wh.gone", b""), file(".wh.l", b""), Entry("a", "directory", 0o755),
            file("a/.wh.b", b"")], place)  # fmt: skip
    assert sorted(p.relative_to(place).as_posix() for p in place.rglob("*")) == ["a", "a/keep"]


@pytest.mark.parametrize("marker_first", [True, False])
def test_an_opaque_directory_keeps_only_its_own_layers_files(
    place: Path, marker_first: bool
) -> None:
    unpack(with_parents([file("d/old"), file("d/sub/old"), file("d/new", b"old")]), place)
    marker, new = file("d/.wh..wh..opq", b""), [file("d/new"), file("d/sub/new")]
    entries = [
        Entry("d", "directory", 0o755),
        *([marker, *new] if marker_first else [*new, marker]),
    ]
    unpack(entries, place)
    assert sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()) == [
        "d/new", "d/sub/new",
    ]  # fmt: skip
    assert (place / "d/new").read_bytes() == b"new"


@pytest.mark.parametrize(
    "infos",
    [
        [info("../outside/kept")],
        [info("a/../../outside/kept")],
        [info("/outside/kept")],
        [info("..")],
        [info("../outside/new", tarfile.DIRTYPE)],
        [info("l", tarfile.SYMTYPE, "../outside"), info("l/kept")],
        [info("l", tarfile.SYMTYPE, "../outside"), info("l/new", tarfile.DIRTYPE)],
        [info("l", tarfile.SYMTYPE, "../outside"), info("l/new", tarfile.SYMTYPE, "x")],
        [info("l", tarfile.SYMTYPE, "../outside"), info("l/.wh.kept")],
        [info("l", tarfile.SYMTYPE, "../outside"), info("l/.wh..wh..opq")],
        [
            info("d", tarfile.DIRTYPE),
            info("d/l", tarfile.SYMTYPE, "../../outside"),
            info("d/l/a/b"),
        ],
        [info("h", tarfile.LNKTYPE, "../outside/kept")],
        [info("h", tarfile.LNKTYPE, "/etc/passwd")],
        [info("l", tarfile.SYMTYPE, "../outside"), info("h", tarfile.LNKTYPE, "l/kept")],
        [info("l", tarfile.SYMTYPE, "../outside/kept"), info("h", tarfile.LNKTYPE, "l")],
        [info("h", tarfile.LNKTYPE, "nowhere")],
        [info(".wh..")],
        [info(".wh...")],
        [info(".wh.")],
        [info("f"), info("f/below")],
        [info("odd", b"Z")],
    ],
    ids=lambda infos: " then ".join(f"{i.name}>{i.linkname}" for i in infos),
)
def test_an_archive_that_leads_elsewhere_is_refused(
    place: Path, infos: list[tarfile.TarInfo]
) -> None:
    with pytest.raises(StoreError):
        extract(hostile(*infos), place)


def test_a_link_of_a_lower_layer_is_not_written_through(place: Path) -> None:
    unpack([link("l", "../outside")], place)
    with pytest.raises(StoreError, match="'l'"):
        unpack([file("l/kept", b"evil")], place)


def test_a_directory_that_becomes_a_link_is_forgotten(place: Path) -> None:
    """The directory was real when it was looked at; the same layer then swaps it."""
    swapped = [info("d", tarfile.DIRTYPE), info("d/x"), info("d", tarfile.SYMTYPE, "../outside")]
    with pytest.raises(StoreError):
        extract(hostile(*swapped, info("d/kept")), place)


def test_devices_and_pipes_are_passed_over(place: Path) -> None:
    extract(hostile(info("fifo", tarfile.FIFOTYPE), info("dev", tarfile.CHRTYPE), info("f")), place)
    assert [p.name for p in place.iterdir()] == ["f"]


@pytest.mark.parametrize("format_", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT])
def test_archives_of_other_tools_are_read(place: Path, format_: int) -> None:
    long = "n" * 90 + "/" + "m" * 90 if format_ == tarfile.USTAR_FORMAT else "d/" * 120 + "x"
    out = io.BytesIO()
    with tarfile.open(
        fileobj=out, mode="w", format=format_, pax_headers={"comment": "c"}
    ) as archive:
        root = info("./", tarfile.DIRTYPE)
        archive.addfile(root)
        one = info(f"./{long}")
        one.size = 3
        archive.addfile(one, io.BytesIO(b"abc"))
    extract(io.BytesIO(out.getvalue()), place)
    assert (place / long).read_bytes() == b"abc"


def test_plain_and_multi_member_layers_are_read(place: Path) -> None:
    tar = hostile(info("f")).getvalue()
    extract(io.BytesIO(tar), place)
    extract(
        io.BytesIO(b"".join(gzip.compress(tar[at : at + 700]) for at in range(0, len(tar), 700))),
        place,
    )
    assert (place / "f").read_bytes() == b"f"


def test_the_stream_is_read_to_its_end(place: Path) -> None:
    stream = io.BytesIO(hostile(info("f")).getvalue() + bytes(100_000))
    extract(stream, place)
    assert stream.read() == b""


@pytest.mark.parametrize("damage", ["cut", "crc", "header", "not a tar", "empty"])
def test_what_is_damaged_is_refused(place: Path, damage: str) -> None:
    data = bytearray(layer_of([file("f", os.urandom(5000))])[0])
    if damage == "cut":
        del data[len(data) // 2 :]
    elif damage == "crc":
        data[-6] ^= 1
    elif damage == "header":
        tar = bytearray(gzip.decompress(data))
        tar[0] ^= 1
        data = bytearray(gzip.compress(tar))
    elif damage == "not a tar":
        data = bytearray(b"hello" * 300)
    else:
        data = bytearray()
    with pytest.raises(StoreError, match="layer"):
        extract(io.BytesIO(bytes(data)), place)
