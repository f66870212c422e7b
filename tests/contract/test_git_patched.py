"""A commit with a patch on it: what is built of a run whose checkout had changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.repositories import REMOTE, Work, make_repository

from launch_action.core.errors import SourceError
from launch_action.git.checkout import inspect
from launch_action.git.patched import patched
from launch_action.git.tree import open_context


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = make_repository(tmp_path / "checkout")
    made.commit({"jobs/[a]/train.py": "1\n", "jobs/b/train.py": "1\n", "README": "1\n"})
    return made


def changed(work: Work) -> bytes:
    """The diff of every file, and the workspace as it was."""
    for name in ("jobs/[a]/train.py", "jobs/b/train.py", "README"):
        (work.path / name).write_text("2\n")
    diff = work.git("diff") + "\n"
    work.git("checkout", "--quiet", "--", ".")
    return diff.encode()


def read(work: Work, patch: bytes, path: str) -> dict[str, bytes]:
    checkout = patched(inspect(work.path), patch, path)
    with open_context(checkout, "") as context:
        return {file.path: context.read(file.path) or b"" for file in context.files}


def test_the_commit_is_read_with_what_the_patch_changes(work: Work) -> None:
    commit = work.git("rev-parse", "HEAD")

    assert set(read(work, changed(work), "").values()) == {b"2\n"}
    assert work.git("rev-parse", "HEAD") == commit
    assert (work.path / "README").read_text() == "1\n"  # nothing is written beside git's objects


def test_below_a_build_context_alone(work: Work) -> None:
    found = read(work, changed(work), "jobs/[a]")

    assert found == {"jobs/[a]/train.py": b"2\n", "jobs/b/train.py": b"1\n", "README": b"1\n"}


def test_a_patch_of_other_files_changes_nothing(work: Work) -> None:
    assert set(read(work, changed(work), "jobs/c").values()) == {b"1\n"}


@pytest.mark.parametrize(
    "patch",
    [
        b"no patch\n",
        b"--- a/README\n+++ b/README\n@@ -1 +1 @@\n-other\n+2\n",
        b"--- /dev/null\n+++ b/../x\n@@ -0,0 +1 @@\n+2\n",
        b"--- /dev/null\n+++ b/.git/hooks/post-checkout\n@@ -0,0 +1 @@\n+2\n",
        b"diff --git a/README b/README\nBinary files a/README and b/README differ\n",
    ],
)
def test_a_patch_that_does_not_apply_is_told(work: Work, patch: bytes) -> None:
    with pytest.raises(SourceError, match=r"diff\.patch of the job does not apply to commit"):
        patched(inspect(work.path), patch, "")

    assert not list(work.path.glob("../x"))
    assert work.git("remote", "get-url", "origin") == REMOTE
