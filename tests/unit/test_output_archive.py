"""A job's output is taken out of an archive that anybody may have made: it stays in its place."""

from __future__ import annotations

import errno
import io
import os
import stat
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launch_action.runners.output_archive import TruncatedError, Unpacked, unpack_output

ROOT = "launch-output"
TYPES = {
    "file": tarfile.REGTYPE, "directory": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE,
    "link": tarfile.LNKTYPE, "fifo": tarfile.FIFOTYPE, "char": tarfile.CHRTYPE,
    "block": tarfile.BLKTYPE, "odd": b"Q",
}  # fmt: skip
Row = tuple[str, str, str | bytes] | tuple[str, str, str | bytes, int]


def archive(*rows: Row) -> bytes:
    """An archive of rows: name, kind, content or target, and mode."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", errors="surrogateescape") as made:
        for name, kind, content, *mode in rows:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = TYPES[kind], mode[0] if mode else 0o644
            entry.uid, entry.uname, entry.mtime = 4711, "somebody", 1_600_000_000
            if isinstance(content, bytes):
                entry.size = len(content)
                made.addfile(entry, io.BytesIO(content))
            else:
                entry.linkname = content
                made.addfile(entry)
    return out.getvalue()


def unpack(
    data: bytes, place: Path, stop: Callable[[], bool] = lambda: False, size: int = 700
) -> Unpacked:
    chunks: Iterator[bytes] = (data[at : at + size] for at in range(0, len(data), size))
    return unpack_output(chunks, place, root=ROOT, renamed={"log.txt": "log.txt.job"}, stop=stop)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made = tmp_path / "within" / "outputs"
    made.mkdir(parents=True)
    (tmp_path / "outside").write_text("untouched")
    return made


def test_files_folders_and_links_come_out_as_the_caller_s(place: Path) -> None:
    found = unpack(
        archive(
            (ROOT, "directory", "", 0o777),
            (f"{ROOT}/wandb", "directory", "", 0o500),
            (f"{ROOT}/wandb/run", "directory", "", 0o755),
            (f"{ROOT}/wandb/run/log", "file", b"x" * 5000, 0o644),
            (f"{ROOT}/wandb/latest", "symlink", "run"),
            (f"{ROOT}/wandb/absolute", "symlink", f"/{ROOT}/wandb/run/log"),
            (f"{ROOT}/top", "symlink", f"/{ROOT}"),
            (f"{ROOT}/again", "link", f"{ROOT}/wandb/run/log"),
            (f"{ROOT}/tool", "file", b"#!", 0o6755),
            (f"{ROOT}/secret", "file", b"s", 0o000),
            (f"{ROOT}/\udcff\u00e9", "file", b"any bytes"),
            (f"{ROOT}/" + "long" * 60, "file", b""),
        ),
        place,
    )

    assert found.left_out == []
    assert (place / "wandb/latest/log").read_bytes() == b"x" * 5000
    assert (place / "wandb/absolute").readlink() == Path("../wandb/run/log")
    assert (place / "top").resolve() == place
    assert (place / "again").read_bytes() == b"x" * 5000
    assert stat.S_IMODE((place / "tool").stat().st_mode) == 0o755
    assert stat.S_IMODE((place / "secret").stat().st_mode) == 0o600
    assert stat.S_IMODE((place / "wandb").stat().st_mode) == 0o700
    assert (place / "tool").stat().st_uid == os.getuid()
    assert (place / "tool").stat().st_mtime == 1_600_000_000
    assert (place / "\udcff\u00e9").read_bytes() == b"any bytes"
    assert (place / ("long" * 60)).exists()


HOSTILE: tuple[tuple[Row, str], ...] = (
    (("/etc/passwd", "file", b"x"), "outside"),
    ((f"/{ROOT}/x", "file", b"x"), "outside"),
    (("../x", "file", b"x"), "outside"),
    ((f"{ROOT}/../x", "file", b"x"), "outside"),
    ((f"{ROOT}/a/../../x", "file", b"x"), "outside"),
    ((f"{ROOT}/a/..", "directory", ""), "outside"),
    ((f"{ROOT}//x", "file", b"x"), "outside"),
    (("other/x", "file", b"x"), "outside"),
    ((ROOT, "file", b"x"), "is not the output directory"),
    ((ROOT, "symlink", "/"), "is not the output directory"),
    ((f"{ROOT}/l", "symlink", "/etc"), "links to"),
    ((f"{ROOT}/l", "symlink", "../.."), "links to"),
    ((f"{ROOT}/l", "symlink", ".."), "links to"),
    ((f"{ROOT}/l", "symlink", f"/{ROOT}/../.."), "links to"),
    ((f"{ROOT}/l", "symlink", "up/../x"), "links to"),
    ((f"{ROOT}/l", "symlink", ""), "links to nothing"),
    ((f"{ROOT}/h", "link", "/etc/passwd"), "outside"),
    ((f"{ROOT}/h", "link", f"{ROOT}/none"), "no file"),
    ((f"{ROOT}/h", "link", f"{ROOT}/../../outside"), "outside"),
    ((f"{ROOT}/p", "fifo", ""), "neither"),
    ((f"{ROOT}/p", "char", ""), "neither"),
    ((f"{ROOT}/p", "block", ""), "neither"),
)


@pytest.mark.parametrize(("row", "why"), HOSTILE, ids=lambda found: repr(found)[:50])
def test_what_would_leave_its_place_is_left_out_and_named(
    place: Path, tmp_path: Path, row: Row, why: str
) -> None:
    found = unpack(archive((ROOT, "directory", ""), row, (f"{ROOT}/after", "file", b"x")), place)

    assert [name for name, _ in found.left_out] == [row[0]]
    assert why in found.left_out[0][1]
    assert {path.name for path in place.iterdir()} == {"after"}
    assert (tmp_path / "outside").read_text() == "untouched"


def test_nothing_is_written_through_a_link_or_over_a_file(place: Path, tmp_path: Path) -> None:
    found = unpack(
        archive(
            (f"{ROOT}/deep/er", "directory", ""),
            (f"{ROOT}/deep/er/up", "symlink", "../.."),
            (f"{ROOT}/deep/er/up/x", "file", b"through"),
            (f"{ROOT}/deep/er/up", "file", b"over"),
            (f"{ROOT}/a", "file", b"first"),
            (f"{ROOT}/a", "file", b"second"),
            (f"{ROOT}/a", "directory", ""),
            (f"{ROOT}/a/b", "file", b"below"),
            (f"{ROOT}/s", "symlink", "a"),
            (f"{ROOT}/h", "link", f"{ROOT}/s"),
        ),
        place,
    )

    assert len(found.left_out) == 6
    assert (place / "a").read_bytes() == b"first"
    assert not (place / "x").exists()


def test_a_log_of_the_job_s_own_does_not_take_the_run_s_place(place: Path) -> None:
    (place / "log.txt").write_text("the run's")
    unpack(archive((f"{ROOT}/log.txt", "file", b"the job's")), place)

    assert (place / "log.txt").read_text() == "the run's"
    assert (place / "log.txt.job").read_text() == "the job's"


@pytest.mark.parametrize("cut", [0, 100, 511, 513, 1000, 1600])
def test_an_archive_that_breaks_off_is_no_whole_output(place: Path, cut: int) -> None:
    data = archive((ROOT, "directory", ""), (f"{ROOT}/x", "file", b"x" * 3000))
    if cut in (0, 511):
        with pytest.raises(TruncatedError):
            unpack(data[:cut] if cut else b"no archive" * 100, place)
    elif cut > 1000:
        with pytest.raises(TruncatedError):
            unpack(data[:cut], place)
        assert not (place / "x").exists()


def test_it_ends_when_it_is_told_to_without_half_a_file(place: Path) -> None:
    told = iter([False, False, False, True, True, True, True])
    data = archive(
        (f"{ROOT}/a", "file", b"a"),
        (f"{ROOT}/b", "file", b"b" * (3 << 20)),
        (f"{ROOT}/c", "file", b"c"),
    )
    found = unpack(data, place, stop=lambda: next(told), size=1 << 20)

    assert found.stopped
    assert [path.name for path in place.iterdir()] == ["a"]


def test_a_full_disk_is_an_error_and_leaves_no_half_file(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # /dev/full is a disk that is full; the file system of a test is not.
    real = os.open

    def full(path: str, flags: int, *rest: int, dir_fd: int | None = None) -> int:
        handle = real(path, flags, *rest, dir_fd=dir_fd)
        if path != "big":
            return handle
        os.close(handle)
        return real("/dev/full", os.O_WRONLY)

    monkeypatch.setattr("os.open", full)
    with pytest.raises(OSError, match="No space") as caught:
        unpack(archive((f"{ROOT}/a", "file", b"a"), (f"{ROOT}/big", "file", b"b" * 9999)), place)
    assert caught.value.errno == errno.ENOSPC
    assert [path.name for path in place.iterdir()] == ["a"]


NAMES = st.lists(
    st.sampled_from([ROOT, "a", "b", "..", ".", "", "log.txt", "/", "ü"]), min_size=1, max_size=5
).map("/".join)
ROWS = st.tuples(
    NAMES, st.sampled_from(sorted(TYPES)), st.sampled_from(["", "a", "..", "a/b", "../a", "/etc",
    f"/{ROOT}/a", "b/../..", "../../x", f"{ROOT}/a"]),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(ROWS, max_size=12))
def test_whatever_comes_no_path_leads_out(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> None:
    outer = tmp_path_factory.mktemp("any")
    place = outer / "within" / "outputs"
    place.mkdir(parents=True)
    unpack(archive((ROOT, "directory", ""), *rows), place)

    assert [entry.name for entry in outer.iterdir()] == ["within"]
    assert [entry.name for entry in (outer / "within").iterdir()] == ["outputs"]
    for folder, folders, files in os.walk(place):
        for name in (*folders, *files):
            resolved = os.path.realpath(f"{folder}/{name}")
            assert resolved == str(place) or resolved.startswith(f"{place}/")
