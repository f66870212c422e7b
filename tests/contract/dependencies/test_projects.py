"""What a project declares besides requirements: groups, sources of uv, the project itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.declarations import pylock, source
from support.dependencies import Project
from support.git_remotes import GitServer
from support.index import Index, make_wheel, serve_index
from support.resolutions import names, whole

GROUPS = """
[dependency-groups]
test = ["gamma"]
Dev_All = ["beta<2", { include-group = "test" }]
"""


def pyproject(index: Index, more: str = "", project: str = "") -> str:
    listed = project or '[project]\nname = "app"\nversion = "1"\ndependencies = ["alpha"]\n'
    return f'{listed}{more}[[tool.uv.index]]\nurl = "{index.url}"\ndefault = true\n'


def test_groups_are_added_to_the_project(index: Index, tmp_path: Path) -> None:
    files = {"pyproject.toml": pyproject(index, GROUPS)}
    found = Project(tmp_path, files, {"groups": ["dev-all"]}).resolve()
    assert names(found) == ["alpha==2.0", "beta==1.0", "gamma==1.0"]
    assert names(Project(tmp_path, files).resolve()) == ["alpha==2.0", "beta==2.0"]


def test_a_file_of_groups_alone_declares_them(index: Index, tmp_path: Path) -> None:
    files = {"pyproject.toml": pyproject(index, project=GROUPS)}
    found = Project(tmp_path, files, {"groups": ["test"]}).resolve()
    assert names(found) == ["gamma==1.0"]
    assert Project(tmp_path, files).inputs.kind == "none"


def test_sources_of_uv_are_followed(index: Index, server: GitServer, tmp_path: Path) -> None:
    commit = server.commit("mono", source("gitty", "gamma", below="py/"), tag="v1")
    server.commit("mono", {"py/gitty.py": "X = 2\n"})
    wheel = make_wheel("linked", "1.0")
    with serve_index() as other:
        other.add(make_wheel("beta", "9.0"))
        other.add(wheel)
        sources = (
            "[tool.uv.sources]\n"
            f'gitty = {{ git = "{server.url("mono")}", tag = "v1", subdirectory = "py" }}\n'
            'loc = { path = "lib/loc", editable = true }\n'
            f'linked = {{ url = "{other.root}/files/linked/{wheel[0]}" }}\n'
            'beta = { index = "other" }\n'
            f'[[tool.uv.index]]\nname = "other"\nurl = "{other.url}"\nexplicit = true\n'
        )
        listed = (
            '[project]\nname = "app"\nversion = "1"\n'
            'dependencies = ["gitty", "loc", "linked", "beta"]\n'
        )
        files = {"pyproject.toml": pyproject(index, sources, listed)}
        found = whole(Project(tmp_path, files | source("loc", below="lib/loc/")))
    assert names(found) == [
        "beta==9.0",
        "gamma==1.0",
        f"gitty @ git+{server.url('mono')}@{commit}#subdirectory=py",
        f"linked @ {other.root}/files/linked/{wheel[0]}",
        "loc==0.1",
    ]


@pytest.mark.parametrize("kind", ["requirements.txt", "pyproject.toml", "pylock.toml", "setup.py"])
def test_the_project_itself_is_installed_where_asked_for(
    index: Index, tmp_path: Path, kind: str
) -> None:
    own = source("app", "gamma", more=f'[[tool.uv.index]]\nurl = "{index.url}"\ndefault = true\n')
    files = own | {
        "requirements.txt": {"requirements.txt": f"-i {index.url}\nalpha\n"},
        "pylock.toml": {"pylock.toml": pylock(index)},
    }.get(kind, {})
    project = Project(tmp_path, files, {"project": True})
    expected = {
        "requirements.txt": ["alpha==2.0", "app==0.1", "beta==2.0", "gamma==1.0"],
        "pylock.toml": ["alpha==1.0", "app==0.1", "gamma==1.0"],
    }.get(kind, ["app==0.1", "gamma==1.0"])
    found = whole(project)
    assert names(found) == expected
    assert [one.name for one in found.wheels if one.built] == ["app"]


def test_dependencies_that_setuptools_reads_from_files_are_read_from_them(
    index: Index, tmp_path: Path
) -> None:
    text = (
        '[project]\nname = "app"\nversion = "1"\ndynamic = ["dependencies"]\n'
        '[tool.setuptools.dynamic]\ndependencies = { file = ["deps/base.txt"] }\n'
    )
    files = {"pyproject.toml": text, "deps/base.txt": f"-i {index.url}\ngamma\n"}
    assert names(Project(tmp_path, files).resolve()) == ["gamma==1.0"]
