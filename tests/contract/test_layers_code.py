"""The project's files as a layer, from real commits."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from support.layers import checked_tar, layer_of, members
from support.repositories import Work, make_repository

from launch_action.builders.layers.code import code_entries, code_recipe, import_paths
from launch_action.builders.layers.unpack import extract
from launch_action.core.context import TreeFile
from launch_action.git.checkout import inspect
from launch_action.git.tree import CommitContext, open_context

ODD = {
    "a b.txt": b"space",
    "new\nline.py": b"newline",
    "caf\u00e9.py": b"utf-8",
    "raw-\udcff\udcfe.bin": b"not utf-8",
    "deep/" * 60 + "file.py": b"deep",
}


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = make_repository(tmp_path / "work")
    made.write({"run.sh": "#!/bin/sh\n", "pkg/mod.py": "x = 1\n", "pkg-b": "", "empty": "", **ODD})
    made.write({"big": os.urandom(3_000_000)})
    (made.path / "run.sh").chmod(0o755)
    (made.path / "pkg/link").symlink_to("../run.sh")
    (made.path / "out").symlink_to("/etc/passwd")
    made.commit()
    return made


def context(work: Work) -> CommitContext:
    return open_context(inspect(work.path))


def test_files_come_out_as_they_were_committed(work: Work, tmp_path: Path) -> None:
    found = context(work)
    root = tmp_path / "root"
    extract(io.BytesIO(layer_of(code_entries(found, found.files))[0]), root)
    for name in ("pkg/mod.py", "empty", "big", *ODD):
        assert (root / "app" / name).read_bytes() == (work.path / name).read_bytes(), name
    assert (root / "app/pkg/link").readlink() == Path("../run.sh")
    assert (root / "app/out").readlink() == Path("/etc/passwd")
    assert not (root / "app/.git").exists()


def test_files_have_one_owner_their_modes_and_one_order(work: Work) -> None:
    found = context(work)
    listed = members(checked_tar(*layer_of(code_entries(found, found.files))))
    assert {(one.uid, one.gid) for one in listed} == {(1000, 0)}
    modes = {one.name: one.mode for one in listed}
    assert modes["app"] == modes["app/pkg"] == 0o775
    assert (modes["app/run.sh"], modes["app/pkg/mod.py"], modes["app/out"]) == (0o755, 0o644, 0o777)
    names = [one.name for one in listed]
    assert names.index("app") == 0
    assert names.index("app/pkg") < names.index("app/pkg/link") < names.index("app/pkg/mod.py")
    assert len(names) == len(set(names))


def test_an_empty_context_is_an_empty_directory() -> None:
    class Empty:
        files: tuple[TreeFile, ...] = ()

        def read(self, path: str) -> bytes | None:
            return None

        def contents(self, files: object) -> object:
            return iter(())

    entries = list(code_entries(Empty(), ()))  # type: ignore[arg-type]
    assert [(entry.path, entry.kind) for entry in entries] == [("app", "directory")]


def test_the_same_files_have_one_key_and_one_layer(work: Work) -> None:
    first = context(work)
    before = code_recipe(first, first.files)
    work.commit()  # another commit with the same tree
    second = context(work)
    after = code_recipe(second, reversed(second.files))
    assert before.key == after.key
    assert layer_of(before.entries())[1] == layer_of(after.entries())[1]


@pytest.mark.parametrize("change", ["content", "mode", "name", "fewer"])
def test_any_change_is_another_key(work: Work, change: str) -> None:
    before = context(work)
    key = code_recipe(before, before.files).key
    if change == "content":
        work.write({"pkg/mod.py": "x = 2\n"})
    elif change == "mode":
        (work.path / "pkg/mod.py").chmod(0o755)
    elif change == "name":
        (work.path / "empty").rename(work.path / "void")
    else:
        (work.path / "empty").unlink()
    work.commit()
    after = context(work)
    assert code_recipe(after, after.files).key != key


def test_the_root_is_part_of_the_key(work: Work) -> None:
    found = context(work)
    assert code_recipe(found, found.files).key != code_recipe(found, found.files, root="srv").key


def files(*paths: str) -> list[TreeFile]:
    return [TreeFile(path, "file", "git:0", 1) for path in paths]


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["src/pkg/__init__.py", "train.py"], ("/app/src",)),
        (["src/module.py"], ("/app/src",)),
        (["src/namespace/module.py"], ("/app/src",)),
        (["src/__init__.py", "src/pkg/__init__.py"], ()),
        (["src/data.csv", "src/web/app.js"], ()),
        (["source/pkg/__init__.py", "train.py"], ()),
        (["sub/src/pkg/__init__.py"], ()),
        ([], ()),
    ],
)
def test_a_src_layout_is_importable(paths: list[str], found: tuple[str, ...]) -> None:
    assert import_paths(files(*paths)) == found
