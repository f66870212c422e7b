"""Which changes of a working tree are seen, and which differences are none."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.repositories import Work, lfs_pointer, make_repository

from launch_action.git.checkout import inspect


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = make_repository(tmp_path / "work")
    made.commit({"a.py": "a\n", "b.py": "b\n", "run.sh": "run\n", ".gitignore": "*.log\n"})
    return made


def dirty(work: Work) -> tuple[str, ...]:
    return inspect(work.path).dirty


def test_changed_staged_deleted_and_mode_changes_are_dirty(work: Work) -> None:
    work.write({"a.py": "A\n", "new.py": "new\n"})
    work.git("add", "new.py")
    (work.path / "b.py").unlink()
    (work.path / "run.sh").chmod(0o755)
    assert dirty(work) == ("a.py", "b.py", "new.py", "run.sh")


def test_a_staged_change_undone_on_disk_is_dirty(work: Work) -> None:
    work.write({"a.py": "A\n"})
    work.git("add", "a.py")
    work.write({"a.py": "a\n"})
    assert dirty(work) == ("a.py",)


def test_a_file_that_became_a_link_is_dirty(work: Work) -> None:
    (work.path / "a.py").unlink()
    (work.path / "a.py").symlink_to("b.py")
    assert dirty(work) == ("a.py",)


def test_a_conflict_is_dirty(work: Work) -> None:
    work.git("checkout", "--quiet", "-b", "other")
    work.commit({"a.py": "theirs\n"})
    work.git("checkout", "--quiet", "main")
    work.commit({"a.py": "ours\n"})
    with pytest.raises(AssertionError):
        work.git("merge", "--quiet", "other")
    assert dirty(work) == ("a.py",)


def test_a_touched_file_is_clean(work: Work) -> None:
    os.utime(work.path / "a.py", (1, 1))
    assert dirty(work) == ()


def test_untracked_files_are_counted_and_ignored_ones_are_not(work: Work) -> None:
    work.write({"new.py": "", "directory/one": "", "directory/two": "", "x.log": ""})
    found = inspect(work.path)
    assert (found.dirty, found.untracked) == ((), 2)


def test_line_endings_that_git_converts_are_clean(work: Work) -> None:
    work.commit({".gitattributes": "*.txt text eol=crlf\n", "x.txt": "one\ntwo\n"})
    (work.path / "x.txt").unlink()
    work.git("checkout", "x.txt")
    assert (work.path / "x.txt").read_bytes() == b"one\r\ntwo\r\n"
    os.utime(work.path / "x.txt", (1, 1))
    assert dirty(work) == ()


# Filters


SMUDGED = b"the real content, not the pointer\n" * 40


@pytest.fixture
def lfs(work: Work) -> Work:
    """A repository whose LFS file has its content on disk, as after `git lfs checkout`."""
    work.commit({".gitattributes": "*.bin filter=lfs\n", "x.bin": lfs_pointer(SMUDGED)})
    work.write({"x.bin": SMUDGED})
    return work


def test_an_lfs_file_with_its_content_is_clean(lfs: Work) -> None:
    assert "x.bin" in lfs.git("diff", "--name-only")  # plain git without its filter says dirty
    assert dirty(lfs) == ()


def test_an_lfs_file_that_is_still_a_pointer_is_clean(lfs: Work) -> None:
    lfs.write({"x.bin": lfs_pointer(SMUDGED)})
    assert dirty(lfs) == ()


def test_an_lfs_file_with_another_content_of_the_same_size_is_dirty(lfs: Work) -> None:
    lfs.write({"x.bin": SMUDGED.replace(b"real", b"fake")})
    assert dirty(lfs) == ("x.bin",)


def test_an_lfs_file_that_was_deleted_is_dirty(lfs: Work) -> None:
    (lfs.path / "x.bin").unlink()
    assert dirty(lfs) == ("x.bin",)


def filtered(work: Work) -> None:
    """A file that another filter changed at checkout (rot13 here), as git-crypt does."""
    work.git("config", "filter.rot.clean", "tr a-z n-za-m")
    work.git("config", "filter.rot.smudge", "tr a-z n-za-m")
    work.write({".gitattributes": "*.rot filter=rot\n", "x.rot": "secret\n"})
    time.sleep(0.02)  # the file must be older than the index, as after a checkout
    work.commit()


def test_a_filtered_file_with_the_time_of_the_index_is_clean(work: Work) -> None:
    filtered(work)
    assert work.git("show", "HEAD:x.rot") == "frperg"
    assert dirty(work) == ()


def test_a_filtered_file_that_changed_is_dirty(work: Work) -> None:
    filtered(work)
    work.write({"x.rot": "SECRET\n"})
    assert dirty(work) == ("x.rot",)


# Submodules


@pytest.fixture
def outer(work: Work, tmp_path: Path) -> Work:
    library = make_repository(tmp_path / "library")
    library.commit({"lib.py": "x\n"})
    work.git("submodule", "add", "--quiet", f"file://{library.path}", "vendor/lib")
    work.commit()
    return work


def test_a_clean_submodule_is_clean(outer: Work) -> None:
    assert dirty(outer) == ()


def test_a_changed_file_in_a_submodule_is_dirty_by_its_whole_path(outer: Work) -> None:
    outer.write({"vendor/lib/lib.py": "changed\n", "vendor/lib/untracked": ""})
    assert dirty(outer) == ("vendor/lib/lib.py",)


def test_a_submodule_at_another_commit_is_dirty(outer: Work) -> None:
    Work(outer.path / "vendor" / "lib").commit({"lib.py": "newer\n"})
    assert dirty(outer) == ("vendor/lib",)
    outer.git("add", "vendor/lib")
    assert dirty(outer) == ("vendor/lib",)


def test_a_submodule_that_is_not_initialised_is_clean(outer: Work, tmp_path: Path) -> None:
    outer.git("submodule", "deinit", "--quiet", "--force", "vendor/lib")
    assert dirty(outer) == ()
