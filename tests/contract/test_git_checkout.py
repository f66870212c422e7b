"""What `inspect` finds in real checkouts of every kind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support.repositories import COMMIT_TIME, REMOTE, Work, git, make_repository

from launch_action.core.errors import InputError, SourceError
from launch_action.git.checkout import inspect


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = make_repository(tmp_path / "work")
    made.commit({"a.py": "a\n", "jobs/train/b.py": "b\n"})
    return made


def test_a_plain_checkout_gives_commit_time_remote_and_branch(work: Work) -> None:
    found = inspect(work.path)
    assert found.commit == work.git("rev-parse", "HEAD")
    assert found.commit_time == COMMIT_TIME
    assert (found.remote_name, found.remote) == ("origin", REMOTE)
    assert (found.branch, found.default_branch, found.tags) == ("main", None, ())
    assert (found.top, found.subdirectory) == (str(work.path), "")
    assert (found.dirty, found.untracked, found.shallow, found.partial) == ((), 0, False, False)


def test_a_subdirectory_is_told_relative_to_the_top(work: Work) -> None:
    found = inspect(work.path / "jobs" / "train")
    assert (found.top, found.subdirectory) == (str(work.path), "jobs/train")


def test_a_link_to_a_subdirectory_is_seen_where_it_leads(work: Work, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(work.path / "jobs")
    assert inspect(tmp_path / "link").subdirectory == "jobs"


@pytest.mark.parametrize("name", ["with space", "line\nfeed", "caf\udce9", "-c", "a=b", "'\"$x"])
def test_a_path_may_hold_any_bytes(tmp_path: Path, name: str) -> None:
    work = make_repository(tmp_path / name)
    commit = work.commit({f"{name}/{name}.py": "x"})
    found = inspect(work.path / name)
    assert (found.commit, found.subdirectory, found.dirty) == (commit, name, ())
    work.write({f"{name}/{name}.py": "y!"})
    assert inspect(work.path).dirty == (f"{name}/{name}.py",)


def test_sha256_repositories_have_64_digits(tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work", "--object-format=sha256")
    commit = work.commit({"a": "a"})
    assert len(commit) == 64
    assert inspect(work.path).commit == commit


def test_a_linked_worktree_is_a_checkout_of_its_own(work: Work, tmp_path: Path) -> None:
    work.git("worktree", "add", "--quiet", "-b", "topic", str(tmp_path / "linked"))
    linked = Work(tmp_path / "linked")
    linked.commit({"only-here.py": "x"})
    linked.write({"a.py": "changed\n"})
    found = inspect(linked.path)
    assert (found.branch, found.remote, found.dirty) == ("topic", REMOTE, ("a.py",))
    assert found.commit == linked.git("rev-parse", "HEAD")
    assert inspect(work.path).dirty == ()


def test_a_checkout_of_a_tag_has_its_tags_and_no_branch(work: Work) -> None:
    work.git("tag", "v1.0")
    work.git("tag", "-a", "-m", "annotated", "release/1")
    work.git("checkout", "--quiet", "--detach")
    found = inspect(work.path)
    assert (found.branch, found.tags) == (None, ("release/1", "v1.0"))


def test_a_branch_that_is_at_a_tag_stays_a_branch(work: Work) -> None:
    work.git("tag", "v1.0")
    found = inspect(work.path)
    assert (found.branch, found.tags) == ("main", ("v1.0",))


def test_tags_of_other_commits_are_left_out(work: Work) -> None:
    work.git("tag", "old")
    work.git("pack-refs", "--all")
    work.commit({"a.py": "new\n"})
    assert inspect(work.path).tags == ()


def test_a_shallow_clone_knows_that_it_is_one(work: Work, tmp_path: Path) -> None:
    work.commit({"a.py": "second\n"})
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{work.path}", "shallow")
    found = inspect(tmp_path / "shallow")
    assert found.shallow
    assert (found.default_branch, found.branch) == ("main", "main")


def test_a_submodule_is_a_checkout_itself(work: Work, tmp_path: Path) -> None:
    library = make_repository(tmp_path / "library")
    commit = library.commit({"lib/x.py": "x"})
    work.git("submodule", "add", "--quiet", f"file://{library.path}", "vendor/lib")
    found = inspect(work.path / "vendor" / "lib" / "lib")
    assert (found.commit, found.subdirectory) == (commit, "lib")
    assert found.top == str(work.path / "vendor" / "lib")


def test_a_checkout_of_another_user_is_read_without_any_configuration(work: Work) -> None:
    work.write({"a.py": "changed\n"})
    for path in (work.path, *work.path.rglob("*")):
        os.chown(path, 1001, 1001, follow_symlinks=False)
    refused = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        cwd=work.path,
        env={"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"},
        capture_output=True,
    )
    assert b"dubious ownership" in refused.stderr  # git alone would not
    assert inspect(work.path).dirty == ("a.py",)


def test_inherited_git_variables_change_nothing(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other", remote="https://example.com/other")
    other.commit({"x": "x"})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.path))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other.path / ".git" / "index"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "remote.origin.url")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://example.com/injected")
    found = inspect(work.path)
    assert (found.remote, found.dirty) == (REMOTE, ())


# Remotes


def test_the_remote_is_recorded_as_configured_without_insteadof(work: Work) -> None:
    work.git("config", "url.https://token@mirror.example/.insteadOf", "https://github.com/")
    assert inspect(work.path).remote == REMOTE


def test_a_password_in_the_remote_is_not_in_the_repr(work: Work) -> None:
    work.git("remote", "set-url", "origin", "https://user:s3cr3t@github.com/acme/mono")
    found = inspect(work.path)
    assert "s3cr3t" in found.remote
    assert "s3cr3t" not in repr(found)


def test_origin_wins_over_the_upstream(work: Work) -> None:
    work.git("remote", "add", "fork", "https://example.com/fork")
    work.git("config", "branch.main.remote", "fork")
    assert inspect(work.path).remote_name == "origin"


def test_the_upstream_remote_of_the_branch_is_next(work: Work) -> None:
    work.git("remote", "rename", "origin", "upstream")
    work.git("remote", "add", "fork", "https://example.com/fork")
    work.git("config", "branch.main.remote", "fork")
    assert inspect(work.path).remote == "https://example.com/fork"


def test_the_only_remote_is_taken_under_any_name(work: Work) -> None:
    work.git("remote", "rename", "origin", "git.hub")
    assert inspect(work.path).remote_name == "git.hub"


def test_several_remotes_and_no_choice_is_an_error_that_names_them(work: Work) -> None:
    work.git("remote", "rename", "origin", "one")
    work.git("remote", "add", "two", "https://user:s3cr3t@example.com/two")
    with pytest.raises(SourceError, match="'one', 'two'") as caught:
        inspect(work.path)
    assert "s3cr3t" not in str(caught.value)


def test_no_remote_is_an_error_with_the_command_to_add_one(tmp_path: Path) -> None:
    work = make_repository(tmp_path / "work", remote=None)
    work.commit({"a": "a"})
    with pytest.raises(SourceError, match="no remote") as caught:
        inspect(work.path)
    assert "git remote add origin URL" in caught.value.hint


# A given ref


def test_a_ref_may_be_a_branch_a_tag_or_a_commit(work: Work) -> None:
    first = work.git("rev-parse", "HEAD")
    work.git("tag", "-a", "-m", "x", "v1")
    work.git("branch", "old")
    second = work.commit({"a.py": "second\n"})
    assert inspect(work.path, ref="HEAD").commit == second
    found = inspect(work.path, ref="old")
    assert (found.commit, found.branch) == (first, "old")
    found = inspect(work.path, ref="v1")
    assert (found.commit, found.branch, found.tags) == (first, None, ("v1",))
    assert inspect(work.path, ref=first).commit == first
    assert inspect(work.path, ref=first[:10]).commit == first


def test_a_branch_that_only_the_remote_has_is_found(work: Work, tmp_path: Path) -> None:
    work.git("branch", "feature/x")
    git(tmp_path, "clone", "--quiet", f"file://{work.path}", "clone")
    found = inspect(tmp_path / "clone", ref="feature/x")
    assert (found.commit, found.branch) == (work.git("rev-parse", "HEAD"), "feature/x")


def test_changed_files_do_not_matter_for_another_commit(work: Work) -> None:
    first = work.git("rev-parse", "HEAD")
    work.commit({"a.py": "second\n"})
    work.write({"a.py": "changed\n"})
    assert inspect(work.path, ref=first).dirty == ()
    assert inspect(work.path, ref="main").dirty == ("a.py",)


def test_an_unknown_ref_is_a_source_error(work: Work) -> None:
    with pytest.raises(SourceError, match="'nowhere'"):
        inspect(work.path, ref="nowhere")


@pytest.mark.parametrize("ref", ["", "a b", "a\nHEAD", "HEAD~1", "main:a.py", "@{-1}", "a\0b"])
def test_a_ref_that_is_no_name_is_an_input_error(work: Work, ref: str) -> None:
    with pytest.raises(InputError):
        inspect(work.path, ref=ref)


@pytest.mark.parametrize("ref", ["--output=x", "-n", "--help"])
def test_a_ref_is_never_an_option(work: Work, ref: str) -> None:
    with pytest.raises(SourceError, match="no branch"):
        inspect(work.path, ref=ref)


# What is no checkout


def test_no_commit_yet(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no commit yet"):
        inspect(make_repository(tmp_path / "work").path)


def test_not_a_repository(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="not a git repository"):
        inspect(tmp_path)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such directory"):
        inspect(tmp_path / "missing")


def test_a_bare_repository_and_the_inside_of_dot_git_are_no_checkout(
    work: Work, tmp_path: Path
) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    for place in (tmp_path / "bare.git", work.path / ".git", work.path / ".git" / "objects"):
        with pytest.raises(SourceError, match="without a working tree"):
            inspect(place)


def test_core_bare_in_a_checkout_is_named_as_the_reason(work: Work) -> None:
    work.git("config", "core.bare", "true")
    with pytest.raises(SourceError, match=r"core\.bare"):
        inspect(work.path)


def test_a_worktree_whose_repository_is_gone_is_not_taken_for_the_one_around_it(work: Work) -> None:
    work.write({"inner/.git": "gitdir: /nonexistent/repository\n"})
    with pytest.raises(SourceError, match="names no repository"):
        inspect(work.path / "inner")


def test_a_core_worktree_that_points_elsewhere_is_noticed(work: Work, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    work.git("config", "core.worktree", str(tmp_path / "elsewhere"))
    with pytest.raises(SourceError, match=r"core\.worktree"):
        inspect(work.path)


def test_a_machine_without_git_is_told_so(
    work: Work, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="git is not installed"):
        inspect(work.path)


def test_a_broken_configuration_is_an_error_with_git_s_words(work: Work) -> None:
    (work.path / ".git" / "config").write_text("[core\n")
    with pytest.raises(SourceError) as caught:
        inspect(work.path)
    assert "bad config line 1" in caught.value.context


def test_few_processes_are_started(
    work: Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = subprocess.check_output(["which", "git"], text=True).strip()
    log = tmp_path / "log"
    shim = tmp_path / "bin" / "git"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\necho x >> {log}\nexec {real} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
    inspect(work.path)
    assert len(log.read_text().split()) == 4
