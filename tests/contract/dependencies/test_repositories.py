"""Requirements of git repositories: at a recorded commit, with the login of their address."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.declarations import BACKEND, source
from support.dependencies import Project
from support.git_remotes import GitServer, http_server
from support.resolutions import names, whole

from launch_action.core.dependencies import fingerprint
from launch_action.core.errors import BuildError


def test_a_branch_is_recorded_by_its_commit_and_part_of_the_key(
    server: GitServer, tmp_path: Path
) -> None:
    first = server.commit("gitty", source("gitty"), tag="v1")
    files = {"requirements.txt": f"gitty @ git+{server.url('gitty')}@main\n"}
    before = Project(tmp_path, files)
    assert names(whole(before)) == [f"gitty @ git+{server.url('gitty')}@{first}"]
    second = server.commit("gitty", {"gitty.py": "X = 2\n"})
    after = Project(tmp_path, files)
    assert names(whole(after)) == [f"gitty @ git+{server.url('gitty')}@{second}"]
    keys = [
        fingerprint(one.inputs, python="3.12", platform="", cutoff=None) for one in (before, after)
    ]
    assert keys[0] != keys[1]
    # An annotated tag is the commit that it names, not its own object.
    tagged = Project(tmp_path, {"requirements.txt": f"git+{server.url('gitty')}@v1#egg=gitty\n"})
    assert names(whole(tagged)) == [f"gitty @ git+{server.url('gitty')}@{first}"]
    short = {"requirements.txt": f"-e git+{server.url('gitty')}@{first[:9]}#egg=gitty\n"}
    assert names(whole(Project(tmp_path, short))) == names(whole(tagged))


def test_a_revision_that_is_not_there_is_told(server: GitServer, tmp_path: Path) -> None:
    server.commit("gitty", source("gitty"))
    for revision in ("nope", "refs/pull/1/head"):
        with pytest.raises(BuildError) as caught:
            Project(tmp_path, {"requirements.txt": f"git+{server.url('gitty')}@{revision}\n"})
        assert f"no branch, tag or commit '{revision}'" in caught.value.message
    with pytest.raises(BuildError, match="cannot read the git repository"):
        Project(tmp_path, {"requirements.txt": f"git+{server.url('gone')}\n"})
    with pytest.raises(BuildError, match="not the address of a git repository"):
        Project(tmp_path, {"requirements.txt": "git+https://[x/y\n"})


def test_a_private_repository_is_read_by_the_login_of_its_url(tmp_path: Path) -> None:
    secret = "hunter2secret"
    with http_server(tmp_path / "git", login=("bob", secret)) as private:
        commit = private.commit("gitty", source("gitty"))
        url = private.url("gitty", "bob:${GIT_TOKEN}@")
        files = {"requirements.txt": f"gitty @ git+{url}@main\n"}
        project = Project(tmp_path, files, None, GIT_TOKEN=secret)
        found = whole(project)
        assert names(found) == [f"gitty @ git+{private.url('gitty')}@{commit}"]
        assert secret not in repr(found) + repr(project.inputs)
        kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
        assert all(secret.encode() not in path.read_bytes() for path in kept)
        with pytest.raises(BuildError) as caught:
            Project(tmp_path, files, None, GIT_TOKEN="wrongsecret")
        told = f"{caught.value.message}{caught.value.hint}{caught.value.context}"
        assert "wrongsecret" not in told


def test_a_version_that_is_made_of_tags_has_the_history_to_be_made_of(
    server: GitServer, tmp_path: Path
) -> None:
    dynamic = source("gitty")
    dynamic["pyproject.toml"] = dynamic["pyproject.toml"].replace(
        'version = "0.1"', 'dynamic = ["version"]'
    )
    dynamic["made.py"] = (
        "import subprocess\n"
        "VERSION = subprocess.check_output(['git', 'describe', '--tags'], text=True).strip()\n"
    ) + BACKEND.format(name="gitty").replace("0.1", "@").replace(
        "import zipfile", "import zipfile, builtins"
    ).replace("@", '" + VERSION + "')
    server.commit("gitty", dynamic, tag="7.5")
    found = whole(Project(tmp_path, {"requirements.txt": f"git+{server.url('gitty')}@7.5\n"}))
    assert found.wheels[0].version == "7.5"


def test_a_version_of_tags_is_no_part_of_a_directory_of_the_commit(tmp_path: Path) -> None:
    files = source("loc", below="loc/")
    files["loc/pyproject.toml"] = files["loc/pyproject.toml"].replace(
        'version = "0.1"', 'dynamic = ["version"]'
    )
    asked = "os.environ.get('SETUPTOOLS_SCM_PRETEND_VERSION_FOR_LOC') or os.environ"
    files["loc/made.py"] = (
        f"import os\nVERSION = {asked}['SETUPTOOLS_SCM_PRETEND_VERSION']\n"
        + BACKEND.format(name="loc").replace("0.1", '" + VERSION + "')
    )
    project = Project(tmp_path, {"requirements.txt": "-e ./loc\n"} | files)
    warned: list[str] = []
    builder = replace(project.builder(), warn=warned.append)
    assert names(builder.complete(project.resolve())) == ["loc==0.0.0"]
    assert "git's tags" in warned[0]
