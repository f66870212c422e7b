"""Locks that others wrote, pylock.toml and poetry.lock: installed as they say, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.declarations import poetry_files, pylock, sha, source
from support.dependencies import Project
from support.git_remotes import GitServer
from support.index import Index, make_wheel, serve_index
from support.resolutions import names, whole

from launch_action.core.errors import BuildError


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, ["alpha==1.0", "gamma==1.0"]),
        ({"extras": ["x"]}, ["alpha==1.0", "beta==1.0", "gamma==1.0"]),
        ({"groups": ["docs"]}, ["alpha==1.0"]),
    ],
)
def test_a_pylock_is_installed_as_it_says(
    index: Index, tmp_path: Path, selection: dict[str, list[str]], expected: list[str]
) -> None:
    project = Project(tmp_path, {"pylock.toml": pylock(index)}, selection)
    found = project.resolve()
    assert names(found) == expected
    assert index.seen == []
    assert project.downloader.fetch(found.wheels[0]).read_bytes()[:2] == b"PK"


def test_a_named_pylock_finds_its_files_beside_it(index: Index, tmp_path: Path) -> None:
    name, data = make_wheel("local", "3.0")
    entry = (
        '[[packages]]\nname = "local"\nversion = "3.0"\n'
        f'wheels = [{{ path = "w/{name}", hashes = {{ sha256 = "{sha((name, data))}" }} }}]\n'
        '[[packages]]\nname = "loc"\ndirectory = { path = "loc" }\n'
    )
    files: dict[str, str | bytes] = {
        "locks/pylock.gpu.toml": pylock(index, entry),
        f"locks/w/{name}": data,
    }
    files |= source("loc", below="locks/loc/")
    project = Project(tmp_path, files, {"file": "locks/pylock.gpu.toml"})
    assert project.inputs.local == ("locks/loc", f"locks/w/{name}")
    found = whole(project)
    assert names(found) == ["alpha==1.0", "gamma==1.0", "loc==0.1", "local==3.0"]
    assert {one.name for one in found.wheels if one.built} == {"loc"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('lock-version = "1.0"', 'lock-version = "9.0"'), "pylock.toml: not a lock of the"),
        (('created-by = "a test"', ""), "pylock.toml: not a lock of the"),
        (('name = "gamma"', 'name = "alpha"'), "pylock.toml: not a lock of the"),
        (("extras = [", "environments = [\"sys_platform == 'win32'\"]\nextras = ["), "the lock is"),
        (("extras = [", 'requires-python = ">=3.13"\nextras = ['), "the lock is for Python >=3.13"),
    ],
)
def test_a_pylock_that_does_not_fit_is_refused(
    index: Index, tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    with pytest.raises(BuildError) as caught:
        Project(
            tmp_path, {"pylock.toml": pylock(index).replace(*change)}, {"extras": ["x"]}
        ).resolve()
    assert caught.value.message.startswith(words)


@pytest.mark.parametrize("version", ["1.1", "2.0", "2.1"])
@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({}, ["alpha==1.0", "beta==1.0"]),
        ({"extras": ["more"]}, ["alpha==1.0", "beta==1.0", "gamma==1.0"]),
        ({"groups": ["dev"]}, ["alpha==1.0", "beta==1.0", "delta==1.0"]),
    ],
)
def test_a_poetry_lock_of_every_format_gives_its_versions(
    index: Index,
    tmp_path: Path,
    version: str,
    selection: dict[str, list[str]],
    expected: list[str],
) -> None:
    project = Project(tmp_path, poetry_files(index, version), selection)
    assert (project.inputs.kind, project.inputs.pinned) == ("poetry-lock", True)
    assert names(project.resolve()) == expected


def test_a_file_that_a_poetry_lock_does_not_know_is_refused(index: Index, tmp_path: Path) -> None:
    files = poetry_files(index, "2.1")
    files["poetry.lock"] = files["poetry.lock"].replace(
        sha(make_wheel("beta", "1.0", extras={"more": ["gamma"]})), "0" * 64
    )
    found = Project(tmp_path, files).fault()
    assert found.message.startswith("no wheel of beta 1.0 has a hash that is given for it")


def test_a_poetry_lock_that_is_behind_is_told(index: Index, tmp_path: Path) -> None:
    files = poetry_files(index, "2.1")
    files["pyproject.toml"] = files["pyproject.toml"].replace("alpha =", "newer = '*'\nalpha =")
    with pytest.raises(BuildError) as caught:
        Project(tmp_path, files)
    assert "poetry.lock was made without 'newer'" in caught.value.message


def test_a_poetry_project_without_a_lock_is_resolved(index: Index, tmp_path: Path) -> None:
    files = poetry_files(index, "2.1")
    del files["poetry.lock"]
    found = Project(tmp_path, files).resolve()
    assert names(found) == ["alpha==1.0", "beta==2.0"]


def test_a_private_source_of_poetry_is_logged_in_by_its_variables(tmp_path: Path) -> None:
    with serve_index(login=("bob", "hunter2secret")) as private:
        project = Project(
            tmp_path,
            poetry_files(private, "2.1"),
            None,
            POETRY_HTTP_BASIC_IT_USERNAME="bob",
            POETRY_HTTP_BASIC_IT_PASSWORD="hunter2secret",
        )
        found = project.resolve()
        assert names(found) == ["alpha==1.0", "beta==1.0"]
        assert project.downloader.fetch(found.wheels[0]).read_bytes()[:2] == b"PK"
        assert "hunter2secret" not in repr(found)


def test_repositories_and_paths_of_a_poetry_lock_are_built(
    index: Index, server: GitServer, tmp_path: Path
) -> None:
    commit = server.commit("gitty", source("gitty"))
    server.commit("gitty", {"gitty.py": "X = 2\n"})
    files = poetry_files(index, "2.1")
    files["pyproject.toml"] = files["pyproject.toml"].replace(
        "alpha =", f'loc = {{ path = "loc" }}\ngitty = {{ git = "{server.url("gitty")}" }}\nalpha ='
    )
    files["poetry.lock"] = (
        f'[[package]]\nname = "gitty"\nversion = "0.1"\ngroups = ["main"]\nfiles = []\n'
        f'[package.source]\ntype = "git"\nurl = "{server.url("gitty")}"\nreference = "HEAD"\n'
        f'resolved_reference = "{commit}"\n'
        '[[package]]\nname = "loc"\nversion = "0.1"\ngroups = ["main"]\nfiles = []\n'
        '[package.source]\ntype = "directory"\nurl = "loc"\n' + files["poetry.lock"]
    )
    found = whole(Project(tmp_path, files | source("loc", below="loc/")))
    assert names(found) == [
        "alpha==1.0",
        "beta==1.0",
        f"gitty @ git+{server.url('gitty')}@{commit}",
        "loc==0.1",
    ]
