"""Nothing that a repository's configuration names is ever run, and nothing is fetched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.repositories import Work, git, make_repository

from launch_action.core.checkout import Repository
from launch_action.core.errors import LaunchError, SourceError
from launch_action.git import command
from launch_action.git.checkout import inspect
from launch_action.git.tree import open_context

HOOKS = (
    "pre-commit", "post-checkout", "post-index-change", "fsmonitor-watchman", "pre-auto-gc",
    "reference-transaction", "query-watchman",
)  # fmt: skip

COMMANDS = (
    "core.fsmonitor", "core.pager", "core.editor", "core.askPass", "core.sshCommand",
    "core.gitProxy", "core.alternateRefsCommand", "pager.status", "pager.config", "pager.ls-tree",
    "pager.cat-file", "pager.for-each-ref", "credential.helper", "diff.external", "gpg.program",
    "gpg.ssh.program", "gpg.x509.program", "interactive.diffFilter", "sequence.editor",
    "uploadpack.packObjectsHook", "diff.evil.command", "diff.evil.textconv", "merge.evil.driver",
    "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "filter.e.vil.clean",
    "filter.lfs.clean", "filter.lfs.process", "remote.origin.uploadpack",
    "remote.origin.receivepack",
    "alias.status", "alias.config", "alias.cat-file", "alias.ls-tree", "trace2.eventTarget",
    "submodule.vendor/lib.update", "lfs.customtransfer.evil.path", "core.hookspath",
)  # fmt: skip

ATTRIBUTES = "*.py filter=evil diff=evil merge=evil\n*.txt filter=e.vil\n*.bin filter=lfs\n"


def booby_trap(work: Work, marker: Path) -> None:
    """Put a command that leaves a marker wherever git would take one from."""
    for name in COMMANDS:
        command = f"touch {marker}.{name.replace('/', '_')}"
        work.git("config", name, f"!{command}" if name.startswith("alias.") else command)
    work.git("config", "core.hookspath", str(work.path / "hooks"))
    work.git("config", "filter.evil.required", "true")
    work.git("config", "log.showSignature", "true")
    work.git("config", "status.submoduleSummary", "true")
    work.git("config", "diff.submodule", "diff")
    work.git("config", "core.fsmonitorHookVersion", "2")
    work.git("config", "core.untrackedCache", "true")
    (work.path / "hooks").mkdir(exist_ok=True)
    git_dir = Path(work.git("rev-parse", "--absolute-git-dir"))
    for hook in HOOKS:
        for directory in (git_dir / "hooks", work.path / "hooks"):
            directory.mkdir(exist_ok=True)
            (directory / hook).write_text(f"#!/bin/sh\ntouch {marker}.hook-{hook}\n")
            (directory / hook).chmod(0o755)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    directory = tmp_path / "markers"
    directory.mkdir()
    return directory / "m"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    made = make_repository(tmp_path / "work")
    made.commit({"a.py": "a\n", "b.txt": "b\n", "c.bin": "c\n", ".gitattributes": ATTRIBUTES})
    return made


def change(work: Work) -> None:
    """Change files without changing their size, so that git must look into them."""
    work.write({"a.py": "A\n", "b.txt": "B\n", "c.bin": "C\n"})


def left(marker: Path) -> list[str]:
    return sorted(path.name for path in marker.parent.iterdir())


def read_everything(work: Work) -> None:
    checkout = inspect(work.path)
    assert set(checkout.dirty) >= {"a.py", "b.txt", "c.bin"}
    with open_context(checkout) as context:
        for _, chunks in context.contents(context.files):
            b"".join(chunks)
        context.outer("a.py")


def test_the_trap_works_on_a_git_that_is_not_careful(work: Work, marker: Path) -> None:
    booby_trap(work, marker)
    change(work)
    os.system(f"cd {work.path} && git status >/dev/null 2>&1")
    assert any("fsmonitor" in name for name in left(marker))
    assert "m.filter.evil.process" in left(marker)


def test_nothing_in_the_configuration_is_run(work: Work, marker: Path) -> None:
    booby_trap(work, marker)
    change(work)
    read_everything(work)
    assert left(marker) == []


def test_nothing_in_an_included_or_worktree_configuration_is_run(work: Work, marker: Path) -> None:
    (work.path / ".git" / "included").write_text(
        f'[filter "evil"]\n clean = touch {marker}.included\n'
        f"[core]\n fsmonitor = touch {marker}.f\n"
    )
    (work.path / ".git" / "config.worktree").write_text(
        f'[filter "lfs"]\n process = touch {marker}.worktree\n'
    )
    work.git("config", "include.path", "included")
    work.git("config", "core.repositoryFormatVersion", "1")
    work.git("config", "extensions.worktreeConfig", "true")
    change(work)
    read_everything(work)
    assert left(marker) == []


def test_nothing_in_a_submodule_s_configuration_is_run(
    work: Work, marker: Path, tmp_path: Path
) -> None:
    library = make_repository(tmp_path / "library")
    library.commit({"l.py": "l\n", ".gitattributes": ATTRIBUTES})
    work.git("submodule", "add", "--quiet", f"file://{library.path}", "vendor/lib")
    work.commit()
    inner = Work(work.path / "vendor" / "lib")
    booby_trap(inner, marker)
    inner.write({"l.py": "L\n"})
    change(work)
    read_everything(work)
    assert "vendor/lib/l.py" in inspect(work.path).dirty
    assert left(marker) == []


def test_a_filter_that_cannot_be_switched_off_is_refused(work: Work, marker: Path) -> None:
    (work.path / ".git" / "config").open("a").write(
        f'[filter "a=b"]\n clean = touch {marker}.equals\n'
    )
    work.write({"x.odd": "x", ".gitattributes": "*.odd filter=a=b\n"})
    with pytest.raises(SourceError, match="'a=b'"):
        inspect(work.path)
    assert left(marker) == []


def test_files_that_would_block_as_configuration_are_not_opened(work: Work, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    work.git("config", "core.excludesFile", str(tmp_path / "fifo"))
    work.git("config", "core.attributesFile", str(tmp_path / "fifo"))
    assert inspect(work.path).dirty == ()


def test_a_replaced_object_does_not_change_the_commit(work: Work) -> None:
    forged = work.git("hash-object", "-w", "--stdin", stdin=b"forged\n")
    work.git("replace", work.git("rev-parse", "HEAD:a.py"), forged)
    with open_context(inspect(work.path)) as context:
        assert context.read("a.py") == b"a\n"


# Partial clones


@pytest.fixture
def partial(work: Work, tmp_path: Path, marker: Path) -> Work:
    """A clone without the files outside `in/`, whose transport would leave a marker."""
    work.commit({"in/x.py": "x\n", "out/y.py": "y\n"})
    work.git("config", "uploadpack.allowFilter", "true")
    work.git("config", "uploadpack.allowAnySHA1InWant", "true")
    url = f"file://{work.path}"
    git(tmp_path, "clone", "--quiet", "--filter=blob:none", "--no-checkout", url, "partial")
    clone = Work(tmp_path / "partial")
    clone.git("sparse-checkout", "set", "--no-cone", "/in")
    clone.git("checkout", "--quiet", "main")
    clone.git("remote", "set-url", "origin", f"ext::touch {marker}.ext")
    clone.git("config", "protocol.ext.allow", "always")
    clone.git("config", "protocol.allow", "always")
    return clone


def test_the_trap_works_when_a_careless_git_fetches(partial: Work, marker: Path) -> None:
    os.system(f"cd {partial.path} && git cat-file -p main:out/y.py 2>/dev/null")
    assert left(marker) == ["m.ext"]


def test_a_partial_clone_is_inspected_and_listed_without_fetching(
    partial: Work, marker: Path
) -> None:
    checkout = inspect(partial.path)
    assert checkout.partial
    assert checkout.dirty == ()
    with open_context(checkout, "in") as context:
        assert context.read("x.py") == b"x\n"
    with open_context(checkout) as context:
        assert "out/y.py" in [file.path for file in context.files]
    assert left(marker) == []


def test_content_that_a_partial_clone_lacks_is_an_error_that_names_the_file(
    partial: Work, marker: Path
) -> None:
    with open_context(inspect(partial.path)) as context:
        for attempt in (
            lambda: context.read("out/y.py"),
            lambda: context.check(context.files),
            lambda: list(context.contents(context.files)),
        ):
            with pytest.raises(SourceError, match=r"left out of this partial clone"):
                attempt()
        wanted = [file for file in context.files if file.path.startswith("in/")]
        assert [file.path for file, _ in context.contents(wanted)] == ["in/x.py"]
    assert left(marker) == []


def test_a_file_above_the_context_that_a_partial_clone_lacks_is_an_error_without_a_fetch(
    partial: Work, marker: Path
) -> None:
    with open_context(inspect(partial.path), "in") as context, pytest.raises(LaunchError):
        context.outer("out/y.py")
    assert left(marker) == []


def test_no_fetch_even_where_git_does_not_know_how_to_be_told(
    partial: Work, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = command._environment

    def older(repository: Repository) -> dict[str, str]:
        return {k: v for k, v in known(repository).items() if k != "GIT_NO_LAZY_FETCH"}

    monkeypatch.setattr(command, "_environment", older)
    with open_context(inspect(partial.path), "in") as context, pytest.raises(LaunchError):
        context.outer("out/y.py")
    assert left(marker) == []
