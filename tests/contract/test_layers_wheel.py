"""Wheels as layer content, against pypa's `installer`; hostile and broken wheels."""

from __future__ import annotations

import csv
import io
import posixpath
import stat
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.sources import WheelFile
from support.layers import content, described, layer_of, spliced
from support.wheels import EXECUTABLE, PLAIN, SYMLINK, WheelMaker, damage, hash_of, rich

from launch_action.builders.layers.archive import Entry, Spliced
from launch_action.builders.layers.install import wheel_entries
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import with_parents
from launch_action.builders.layers.wheel import read_wheel
from launch_action.core.errors import BuildError
from launch_action.core.python_name import normal

SCHEME = Scheme("/opt/venv", "3.11")


def entries_of(maker: WheelMaker, tmp_path: Path) -> dict[str, Entry]:
    return {entry.path: entry for entry in wheel_entries(read_wheel(maker.write(tmp_path)), SCHEME)}


def oracle(path: Path, root: Path) -> dict[str, tuple[int, bytes]]:
    """What pypa's installer leaves: paths with mode and content."""
    packages = str(root / SCHEME.site_packages)
    name = read_wheel(path).name
    destination = SchemeDictionaryDestination(
        {
            "purelib": packages,
            "platlib": packages,
            "scripts": str(root / SCHEME.scripts),
            "data": str(root / SCHEME.root),
            "headers": f"{root}/opt/venv/include/site/python3.11/{name}",
        },
        interpreter=SCHEME.interpreter,
        script_kind="posix",
    )
    with warnings.catch_warnings(), WheelFile.open(path) as source:
        warnings.simplefilter("ignore")
        install(source, destination, {"INSTALLER": b"launch-action\n"})
    files = (file for file in root.rglob("*") if file.is_file())
    return {
        file.relative_to(root).as_posix(): (stat.S_IMODE(file.stat().st_mode), file.read_bytes())
        for file in files
    }


def test_the_result_is_that_of_pypas_installer(tmp_path: Path) -> None:
    """Except for the text of generated scripts, and RECORD, which have their own tests."""
    wheel = rich(tmp_path)
    ours = {e.path: (e.mode, content(e)) for e in wheel_entries(read_wheel(wheel), SCHEME)}
    theirs = oracle(wheel, tmp_path / "root")
    assert ours.keys() == theirs.keys()
    generated = {f"opt/venv/bin/rich-{name}" for name in ("demo", "extra", "gui")}
    record = f"{SCHEME.site_packages}/rich_demo-2.5.dist-info/RECORD"
    for path in ours.keys() - generated - {record}:
        assert ours[path] == theirs[path], path
    for path in generated:
        assert ours[path][0] == theirs[path][0] == 0o755
        assert ours[path][1].startswith(b"#!/opt/venv/bin/python\n")


def test_the_record_is_true_and_complete(tmp_path: Path) -> None:
    found = {
        entry.path: content(entry) for entry in wheel_entries(read_wheel(rich(tmp_path)), SCHEME)
    }
    own = f"{SCHEME.site_packages}/rich_demo-2.5.dist-info/RECORD"
    listed = {}
    for path, digest, size in csv.reader(io.StringIO(found[own].decode(), newline="")):
        listed[posixpath.normpath(posixpath.join(SCHEME.site_packages, path))] = (digest, size)
    assert listed.keys() == found.keys()
    assert listed.pop(own) == ("", "")
    for path, (digest, size) in listed.items():
        assert (digest, size) == (hash_of(found[path]), str(len(found[path]))), path


def test_entries_are_sorted_and_owned_by_root(tmp_path: Path) -> None:
    found = wheel_entries(read_wheel(rich(tmp_path)), SCHEME)
    paths = [entry.path.encode() for entry in found]
    assert paths == sorted(paths)
    assert {(entry.kind, entry.uid, entry.gid) for entry in found} == {("file", 0, 0)}


def test_what_deflate_holds_is_spliced(tmp_path: Path) -> None:
    found = spliced(wheel_entries(read_wheel(rich(tmp_path)), SCHEME))
    packages = SCHEME.site_packages
    assert f"{packages}/rich_demo/big.bin" in found
    assert f"{packages}/rich_demo/stored.bin" not in found


def test_a_wheel_with_data_descriptors_gives_the_same_layer(tmp_path: Path) -> None:
    """Sizes come from the central directory, so the streamed spelling of a zip is no obstacle."""
    layers = []
    for streamed in (False, True):
        place = tmp_path / str(streamed)
        place.mkdir()
        maker = WheelMaker(files={"demo.py": b"x = 1\n" * 2000}, streamed=streamed)
        wheel = read_wheel(maker.write(place))
        assert wheel.spliceable
        layers.append(layer_of(with_parents(wheel_entries(wheel, SCHEME)))[0])
    assert layers[0] == layers[1]


def test_other_prefix_and_python_give_other_places(tmp_path: Path) -> None:
    found = {e.path for e in wheel_entries(read_wheel(rich(tmp_path)), Scheme("env", "3.13"))}
    assert "env/lib/python3.13/site-packages/rich_demo/__init__.py" in found
    assert "env/include/site/python3.13/rich-demo/rich.h" in found
    assert "env/etc/rich.conf" in found


def test_a_wheels_own_bytecode_is_left_out(tmp_path: Path) -> None:
    maker = WheelMaker(files={"a/__pycache__/x.pyc": b"", "__pycache__/y.pyc": b"", "a/z.py": b""})
    assert not [path for path in entries_of(maker, tmp_path) if "__pycache__" in path]


def test_only_regular_files_with_an_executable_bit_are_executable(tmp_path: Path) -> None:
    maker = WheelMaker(
        files=dict.fromkeys(("a", "b", "c"), b""),
        modes={"a": EXECUTABLE, "b": 0o755, "c": PLAIN},
    )
    found = entries_of(maker, tmp_path)
    assert [found[f"{SCHEME.site_packages}/{name}"].mode for name in "abc"] == [0o755, 0o644, 0o644]


def test_a_script_is_executable_whatever_the_zip_says(tmp_path: Path) -> None:
    maker = WheelMaker(files={"demo-1.0.data/scripts/run": b"#!/bin/sh\n"})
    assert entries_of(maker, tmp_path)["opt/venv/bin/run"].mode == 0o755


def test_a_program_that_is_no_text_goes_in_as_it_is_however_large(tmp_path: Path) -> None:
    program = b"\x7fELF" + b"\0" * (17 << 20)
    maker = WheelMaker(files={"demo-1.0.data/scripts/run": program})
    entry = entries_of(maker, tmp_path)["opt/venv/bin/run"]
    assert entry.mode == 0o755
    assert isinstance(entry.content, Spliced)
    assert content(entry) == program


def test_a_generated_script_stands_in_for_a_shipped_one(tmp_path: Path) -> None:
    maker = WheelMaker(
        files={"demo-1.0.data/scripts/demo": b"#!python\nshipped\n"},
        entry_points="[console_scripts]\ndemo = m:f\n",
    )
    assert b"from m import f" in content(entries_of(maker, tmp_path)["opt/venv/bin/demo"])


def test_a_file_that_record_leaves_out_is_installed_and_listed(tmp_path: Path) -> None:
    maker = WheelMaker(files={"demo.py": b"x"}, record={"demo.py": None})
    found = entries_of(maker, tmp_path)
    record = content(found[f"{SCHEME.site_packages}/demo-1.0.dist-info/RECORD"])
    assert f"demo.py,{hash_of(b'x')},1".encode() in record


def test_a_file_that_only_record_has_is_dropped_from_it(tmp_path: Path) -> None:
    maker = WheelMaker(files={"demo.py": b""})
    own = f"{maker.dist_info}/RECORD"
    maker.record[own] = f"gone.py,,\ndemo.py,,\n{own},,\n"
    found = entries_of(maker, tmp_path)
    assert b"gone.py" not in content(found[f"{SCHEME.site_packages}/{own}"])


def test_a_stronger_hash_is_checked_and_replaced(tmp_path: Path) -> None:
    good = WheelMaker(files={"demo.py": b"x"}, record={"demo.py": f"{hash_of(b'x', 'sha512')},1"})
    found = entries_of(good, tmp_path)
    record = content(found[f"{SCHEME.site_packages}/demo-1.0.dist-info/RECORD"])
    assert f"demo.py,{hash_of(b'x')},1".encode() in record
    bad = WheelMaker(files={"demo.py": b"x"}, record={"demo.py": f"{hash_of(b'y', 'sha512')},1"})
    with pytest.raises(BuildError, match=r"demo-1\.0.*'demo\.py' is not what RECORD says"):
        entries_of(bad, tmp_path)


@pytest.mark.parametrize("line", [f"{hash_of(b'other')},5", f"{hash_of(b'other')},"])
@pytest.mark.parametrize("path", ["demo.py", "demo-1.0.data/scripts/run"])
def test_a_file_that_is_not_what_record_says_is_refused(
    tmp_path: Path, line: str, path: str
) -> None:
    maker = WheelMaker(files={path: b"#!python\n" + b"x" * 6000}, record={path: line})
    with pytest.raises(BuildError, match=rf"demo-1\.0-py3-none-any\.whl.*{path}"):
        layer_of(entries_of(maker, tmp_path).values())


def test_a_weak_hash_is_refused(tmp_path: Path) -> None:
    maker = WheelMaker(files={"demo.py": b"x"}, record={"demo.py": f"{hash_of(b'x', 'md5')},1"})
    with pytest.raises(BuildError, match="'md5'"):
        entries_of(maker, tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.py", "a/../../evil.py", "/etc/evil", "..", "a/./b", "a//b", "C:/evil", "c:evil",
        "a\\b", "..\\evil", "demo-1.0.data/scripts/../../evil", "demo-1.0.data/data/../evil", "",
    ],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BuildError, match="not a path inside the package"):
        read_wheel(WheelMaker(extra=[(name, b"evil")]).write(tmp_path))


def test_a_name_with_a_nul_is_refused(tmp_path: Path) -> None:
    path = WheelMaker(extra=[("evilXname", b"")]).write(tmp_path)
    with pytest.raises(BuildError, match=r"not a path|not a wheel|another name"):
        read_wheel(damage(path, b"evilXname", b"evil\0name"))


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    maker = WheelMaker(extra=[("link", b"/etc")], modes={"link": SYMLINK})
    with pytest.raises(BuildError, match="'link' is a symbolic link"):
        read_wheel(maker.write(tmp_path))


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = WheelMaker(files={"demo.py": b"x"}).write(tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(BuildError, match="encrypted"):
        read_wheel(path)


def test_overlapping_members_are_refused(tmp_path: Path) -> None:
    path = WheelMaker(files={"a.py": b"x" * 5000, "b.py": b"x" * 5000}).write(tmp_path)
    data = bytearray(path.read_bytes())
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 4)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    path.write_bytes(data)
    with pytest.raises(BuildError, match="overlaps"):
        read_wheel(path)


def test_another_name_in_the_local_header_is_refused(tmp_path: Path) -> None:
    path = WheelMaker(files={"good.py": b"x"}).write(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"good.py", b"evil.py", 1))
    with pytest.raises(BuildError, match=r"'good\.py' has another name"):
        read_wheel(path)


def test_a_name_that_comes_twice_is_an_obstacle_to_splicing(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = WheelMaker(files={"a.py": b"1"}, extra=[("a.py", b"2")]).write(tmp_path)
    wheel = read_wheel(path)
    assert not wheel.spliceable
    assert wheel.obstacle == "'a.py' is in it twice"


def test_another_compression_is_an_obstacle_to_splicing(tmp_path: Path) -> None:
    maker = WheelMaker(files={"a.py": b"1" * 99}, methods={"a.py": zipfile.ZIP_LZMA})
    assert read_wheel(maker.write(tmp_path)).obstacle == "'a.py' is not compressed by deflate"


def test_names_that_differ_only_in_case_are_two_files(tmp_path: Path) -> None:
    """Images are for Linux; a tree on a file system that folds case would lose one."""
    found = entries_of(WheelMaker(files={"a/A.py": b"1", "a/a.py": b"2"}), tmp_path)
    assert {f"{SCHEME.site_packages}/a/{name}.py" for name in "aA"} <= found.keys()


def test_two_files_for_one_place_are_refused(tmp_path: Path) -> None:
    maker = WheelMaker(files={"a.py": b"1", "demo-1.0.data/purelib/a.py": b"2"})
    with pytest.raises(BuildError, match="place of another file"):
        entries_of(maker, tmp_path)


@pytest.mark.parametrize("name", ["demo-1.0.data/evil/x", "demo-1.0.data/x", "demo-1.0.data/data/"])
def test_an_unknown_data_directory_is_refused(tmp_path: Path, name: str) -> None:
    maker = WheelMaker(files={name: b""})
    if name.endswith("/"):
        assert entries_of(maker, tmp_path)
        return
    with pytest.raises(BuildError, match="directory that wheels may have"):
        entries_of(maker, tmp_path)


@pytest.mark.parametrize(
    ("maker", "message"),
    [
        (
            WheelMaker(record={"demo-1.0.dist-info/RECORD": None}),
            "has no demo-1.0.dist-info/RECORD",
        ),
        (
            WheelMaker(record={"demo-1.0.dist-info/RECORD": "a,b\nc,d,e,f\n"}),
            "RECORD cannot be read",
        ),
        (WheelMaker(extra=[("other-1.dist-info/WHEEL", b"")]), "2 .dist-info directories"),
        (WheelMaker(entry_points="[console_scripts]\n../x = m:f\n"), "entry_points.txt cannot"),
        (WheelMaker(entry_points="nonsense\n"), "entry_points.txt cannot"),
    ],
)
def test_metadata_that_is_missing_or_wrong_is_refused(
    tmp_path: Path, maker: WheelMaker, message: str
) -> None:
    with pytest.raises(BuildError, match=message) as caught:
        read_wheel(maker.write(tmp_path))
    assert caught.value.message.startswith("demo-1.0-py3-none-any.whl")
    assert caught.value.hint


@pytest.mark.parametrize("data", [b"", b"not a zip", b"PK\5\6" + bytes(18)])
def test_what_is_no_wheel_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x-1-py3-none-any.whl"
    path.write_bytes(data)
    with pytest.raises(BuildError, match="x-1-py3-none-any"):
        read_wheel(path)


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_a_truncated_wheel_is_refused(tmp_path: Path, keep: float) -> None:
    path = rich(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(BuildError):
        read_wheel(path)


def test_a_size_that_lies_is_found_when_the_layer_is_written(tmp_path: Path) -> None:
    path = WheelMaker(files={"a.py": b"x" * 9000}, record={"a.py": ","}).write(tmp_path)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    assert struct.unpack_from("<L", data, at + 24) == (9000,)
    struct.pack_into("<L", data, at + 24, 8999)
    path.write_bytes(data)
    with pytest.raises(BuildError, match=r"a\.py"):
        layer_of(wheel_entries(read_wheel(path), SCHEME))


def test_names_are_compared_normalised() -> None:
    assert normal("Foo._Bar--baz") == "foo-bar-baz"


def test_reading_twice_gives_the_same(tmp_path: Path) -> None:
    path = rich(tmp_path)
    first, second = (described(wheel_entries(read_wheel(path), SCHEME)) for _ in range(2))
    assert first == second
