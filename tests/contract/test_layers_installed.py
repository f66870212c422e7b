"""A tree that uv installed, split by RECORD: the same entries as the wheel itself gives."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.layers import checked_tar, described, layer_of
from support.wheels import WheelMaker, rich
from uv import find_uv_bin

from launch_action.builders.layers.install import wheel_entries
from launch_action.builders.layers.installed import installed, installed_entries
from launch_action.builders.layers.record import read_record
from launch_action.builders.layers.scheme import Scheme
from launch_action.builders.layers.tar import with_parents
from launch_action.builders.layers.wheel import read_wheel
from launch_action.core.errors import BuildError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
SCHEME = Scheme("/opt/venv", PYTHON)
PACKAGES = f"lib/python{PYTHON}/site-packages"


def uv(*arguments: object, cwd: Path) -> None:
    command = [
        find_uv_bin(),
        *map(str, arguments),
        "--no-config",
        "--cache-dir",
        str(cwd / "cache"),
    ]
    subprocess.run(command, check=True, capture_output=True, cwd=cwd)


def install(tmp_path: Path, *wheels: Path, python: str = sys.executable) -> Path:
    tree = tmp_path / "tree"
    uv("pip", "install", "--prefix", tree, "--python", python, "--no-index", "--no-deps", *wheels,
       cwd=tmp_path)  # fmt: skip
    return tree


def test_both_ways_give_the_same_entries_and_the_same_tar(tmp_path: Path) -> None:
    wheel = rich(tmp_path)
    (one,) = installed(install(tmp_path, wheel), PYTHON)
    ours = wheel_entries(read_wheel(wheel), SCHEME)
    theirs = installed_entries(one, SCHEME, interpreter=sys.executable)
    assert described(theirs) == described(ours)
    tars = [checked_tar(*layer_of(with_parents(entries))) for entries in (ours, theirs)]
    assert tars[0] == tars[1]


def test_an_interpreter_with_a_space_in_its_path_leaves_no_trace(tmp_path: Path) -> None:
    place = tmp_path / "with space"
    place.mkdir()
    uv("venv", place / "env", "--python", sys.executable, cwd=tmp_path)
    python = f"{place}/env/bin/python"
    wheel = rich(tmp_path)
    tree = install(tmp_path, wheel, python=python)
    assert (tree / "bin/run-me").read_bytes().startswith(b"#!/bin/sh")
    (one,) = installed(tree, PYTHON)
    theirs = installed_entries(one, SCHEME, interpreter=python)
    assert described(theirs) == described(wheel_entries(read_wheel(wheel), SCHEME))


def test_a_virtual_environment_is_split_by_distribution(tmp_path: Path) -> None:
    first, second = (
        WheelMaker(
            name=name,
            files={f"{name}.py": name.encode(), f"shared/{name}.py": b"", f"{name}/x.py": b""},
        )
        for name in ("zeta", "alpha_beta")
    )
    tree = tmp_path / "env"
    uv("venv", tree, "--python", sys.executable, cwd=tmp_path)
    uv("pip", "install", "--python", tree / "bin/python", "--no-index", "--no-deps",
       first.write(tmp_path), second.write(tmp_path), cwd=tmp_path)  # fmt: skip
    found = installed(tree, PYTHON)
    assert [(one.name, one.version) for one in found] == [("alpha-beta", "1.0"), ("zeta", "1.0")]
    paths = [e.path for e in installed_entries(found[1], SCHEME, interpreter=sys.executable)]
    assert f"{SCHEME.site_packages}/shared/zeta.py" in paths
    assert not [path for path in paths if "alpha" in path]


def test_a_file_that_record_leaves_out_belongs_to_its_directory(tmp_path: Path) -> None:
    maker = WheelMaker(files={"demo/a.py": b"a", "demo/b.py": b"b"}, record={"demo/b.py": None})
    wheel = maker.write(tmp_path)
    (one,) = installed(install(tmp_path, wheel), PYTHON)
    theirs = installed_entries(one, SCHEME, interpreter=sys.executable)
    assert described(theirs) == described(wheel_entries(read_wheel(wheel), SCHEME))


def test_a_file_that_is_nobodys_is_an_error(tmp_path: Path) -> None:
    tree = install(tmp_path, rich(tmp_path))
    (tree / PACKAGES / "stray.py").write_text("")
    with pytest.raises(BuildError, match=r"stray\.py"):
        installed(tree, PYTHON)


@pytest.mark.parametrize("hostile", ["../../../../evil", "/etc/passwd", "a/../../../../../evil"])
def test_a_record_that_names_files_outside_is_refused(tmp_path: Path, hostile: str) -> None:
    tree = install(tmp_path, rich(tmp_path))
    (tmp_path / "evil").write_text("secret")
    record = tree / PACKAGES / "rich_demo-2.5.dist-info/RECORD"
    record.write_text(record.read_text() + f"{hostile},,\n")
    with pytest.raises(BuildError, match="outside its place"):
        installed(tree, PYTHON)


def test_a_file_that_changed_since_is_refused(tmp_path: Path) -> None:
    tree = install(tmp_path, rich(tmp_path))
    big = tree / PACKAGES / "rich_demo/big.bin"
    data = big.read_bytes()
    big.unlink()
    big.write_bytes(b"X" + data[1:])
    (one,) = installed(tree, PYTHON)
    with pytest.raises(BuildError, match=r"big\.bin"):
        layer_of(installed_entries(one, SCHEME, interpreter=sys.executable))


@pytest.mark.parametrize("replacement", ["nothing", "link"])
def test_a_file_that_is_gone_or_a_link_is_refused(tmp_path: Path, replacement: str) -> None:
    tree = install(tmp_path, rich(tmp_path))
    big = tree / PACKAGES / "rich_demo/big.bin"
    big.unlink()
    if replacement == "link":
        big.symlink_to("/etc/passwd")
    (one,) = installed(tree, PYTHON)
    with pytest.raises(BuildError, match=r"big\.bin"):
        installed_entries(one, SCHEME, interpreter=sys.executable)


def test_a_record_that_is_missing_is_an_error(tmp_path: Path) -> None:
    tree = install(tmp_path, rich(tmp_path))
    (tree / PACKAGES / "rich_demo-2.5.dist-info/RECORD").unlink()
    with pytest.raises(BuildError, match=r"rich_demo-2\.5\.dist-info has no RECORD"):
        installed(tree, PYTHON)


def test_uv_writes_no_line_that_we_do_not_know(tmp_path: Path) -> None:
    """What uv adds to a distribution about its installation; more of it would be taken over."""
    tree = install(tmp_path, rich(tmp_path))
    text = (tree / PACKAGES / "rich_demo-2.5.dist-info/RECORD").read_text()
    about = {
        path.partition("/")[2] for path in read_record(text) if path.startswith("rich_demo-2.5")
    }
    assert about <= {
        "METADATA", "WHEEL", "RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json",
        "entry_points.txt",
    }  # fmt: skip
