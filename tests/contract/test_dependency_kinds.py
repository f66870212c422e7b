"""Every kind of declaration, from its files to the distributions, against a real index and git."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.declarations import BACKEND, NATIVE, poetry_files, pylock, sha, source
from support.dependencies import AMD64, Project
from support.git_remotes import GitServer, http_server
from support.github_runner import network_settings
from support.index import Index, make_sdist, make_wheel, serve_index

from launch_action.builders.layers.lock import Resolution, SourcePackage
from launch_action.builders.layers.target import Target
from launch_action.core.dependencies import fingerprint
from launch_action.core.errors import BuildError
from launch_action.core.image import Platform


@pytest.fixture
def index() -> Iterator[Index]:
    with serve_index() as found:
        found.add(make_wheel("alpha", "1.0", requires=["beta"]))
        found.add(make_wheel("alpha", "2.0", requires=["beta"]))
        found.add(make_wheel("beta", "1.0", extras={"more": ["gamma"]}))
        found.add(make_wheel("beta", "2.0", extras={"more": ["gamma"]}))
        found.add(make_wheel("gamma", "1.0"))
        yield found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with http_server(tmp_path / "git") as found:
        yield found


def whole(project: Project, target: Target = AMD64) -> Resolution:
    """The resolution with what has no wheel built."""
    return project.builder(target).complete(project.resolve(target))


def names(found: Resolution) -> list[str]:
    return list(found.frozen)


# ---- pylock.toml ---------------------------------------------------------------------------------


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


# ---- poetry.lock ---------------------------------------------------------------------------------


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


# ---- groups, sources, the project itself ---------------------------------------------------------

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


# ---- repositories --------------------------------------------------------------------------------


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


# ---- paths, archives, URLs, indexes --------------------------------------------------------------


def test_archives_of_the_context_and_of_urls_are_built(index: Index, tmp_path: Path) -> None:
    local, remote = make_sdist("loc", "0.1", source("loc")), make_sdist("far", "0.1", source("far"))
    url = index.add(remote)
    text = f"-i {index.url}\n./d/{local[0]}\n{url} --hash=sha256:{sha(remote)}\n"
    hashed = text.replace(local[0], f"{local[0]} --hash=sha256:{sha(local)}")
    for written in (text.replace(f" --hash=sha256:{sha(remote)}", ""), hashed):
        files: dict[str, str | bytes] = {"requirements.txt": written, f"d/{local[0]}": local[1]}
        assert names(whole(Project(tmp_path, files))) == [f"far @ {url}", "loc==0.1"]
    wrong = hashed.replace(sha(remote), "0" * 64)
    project = Project(tmp_path, {"requirements.txt": wrong, f"d/{local[0]}": local[1]})
    assert "has a hash that is given for it" in project.fault().message


def test_sdists_of_find_links_are_built(index: Index, tmp_path: Path) -> None:
    name, data = make_sdist("loc", "0.1", source("loc"))
    project = Project(
        tmp_path,
        {"requirements.txt": "--no-index\n-f ./links\nloc\n", f"links/{name}": data},
    )
    assert names(whole(project)) == ["loc==0.1"]


def test_a_page_of_links_is_an_index(index: Index, tmp_path: Path) -> None:
    with serve_index(html=True) as flat:
        flat.add(make_wheel("alpha", "7.0"))
        text = f"-i {index.url}\n-f {flat.root}/simple/alpha/\nalpha\n"
        found = Project(tmp_path, {"requirements.txt": text}).resolve()
        assert "alpha==7.0" in names(found)


def test_constraints_with_hashes_hold(index: Index, tmp_path: Path) -> None:
    alpha = make_wheel("alpha", "1.0", requires=["beta"])
    beta = make_wheel("beta", "1.0", extras={"more": ["gamma"]})
    limits = f"alpha==1.0 --hash=sha256:{sha(alpha)}\nbeta==1.0 --hash=sha256:{sha(beta)}\n"
    files = {
        "requirements.txt": f"-i {index.url}\n--require-hashes\n-c limits.txt\nalpha\n",
        "limits.txt": limits,
    }
    assert names(Project(tmp_path, files).resolve()) == ["alpha==1.0", "beta==1.0"]
    files["limits.txt"] = limits.replace(sha(beta), "0" * 64)
    assert "has a hash that is given" in Project(tmp_path, files).fault().message


def test_the_files_of_an_extra_index_are_taken_by_what_it_says_of_them(tmp_path: Path) -> None:
    """As for a CUDA wheel of gigabytes: nothing but the index's pages and metadata is read."""
    with serve_index() as first, serve_index() as extra:
        first.add(make_wheel("gamma", "1.0"))
        big = make_wheel("torch", "2.9.0+cu130", requires=["gamma"], tag="cp312-cp312-linux_x86_64")
        extra.add(big)
        text = f"-i {first.url}\n--extra-index-url {extra.url}\ntorch==2.9.0+cu130\n"
        found = Project(tmp_path, {"requirements.txt": text}).resolve()
        assert names(found) == ["gamma==1.0", "torch==2.9.0+cu130"]
        assert found.wheels[1].sha256 == sha(big)
        assert not [one for one in extra.seen if one.path.endswith(".whl")]


# ---- builds --------------------------------------------------------------------------------------

HERE = Target(
    f"{sys.version_info.major}.{sys.version_info.minor}",
    Platform.parse(f"linux/{os.uname().machine}"),
    "glibc",
    "2.40",
)


@pytest.mark.network
def test_compiled_code_is_built_once_where_the_machine_is_like_the_target(tmp_path: Path) -> None:
    files = {"requirements.txt": "./native\n"} | {f"native/{k}": v for k, v in NATIVE.items()}
    project = Project(tmp_path, files, None, **network_settings())
    notes: list[str] = []
    builder = replace(project.builder(HERE), note=notes.append)
    (wheel,) = builder.complete(project.resolve(HERE)).wheels
    assert wheel.built
    assert wheel.filename.endswith(f"linux_{HERE.machine}.whl")
    assert any("nothing says that it comes out the same" in one for one in notes)
    notes.clear()
    assert builder.complete(project.resolve(HERE)).wheels == (wheel,)
    assert notes == []
    old = replace(HERE, libc_version="2.1")
    with pytest.raises(BuildError, match=r"its code needs glibc 2\.\d+, the base has 2\.1"):
        project.builder(old).build(project.resolve(HERE).sources[0])


def test_a_compiled_source_is_not_built_for_another_kind_of_machine(tmp_path: Path) -> None:
    """Nothing is fetched nor run: what came out would be refused."""
    source = SourcePackage("p", "1", "sdist", "https://nowhere.invalid/p-1.tar.gz", compiled=True)
    builder = Project(tmp_path, {"requirements.txt": ""}).builder(
        replace(HERE, libc="musl", libc_version="1.2")
    )
    with pytest.raises(BuildError, match=r"no wheel of p 1 for .* \(musl 1\.2\)"):
        builder.complete(Resolution((), (source,)))


def test_a_build_that_fails_is_told_with_its_words(index: Index, tmp_path: Path) -> None:
    broken = source("loc", below="loc/")
    broken["loc/made.py"] = "def build_wheel(*a, **k):\n    raise SystemExit('no compiler')\n"
    project = Project(tmp_path, {"requirements.txt": "./loc\n"} | broken)
    with pytest.raises(BuildError) as caught:
        whole(project)
    assert caught.value.message.startswith("loc (loc) has no wheel for CPython 3.12 on linux/amd64")
    assert "no compiler" in caught.value.context
    assert "--builder buildkit" in caught.value.hint


def test_what_only_another_machine_compiles_is_refused_before_it_is_tried(
    index: Index, tmp_path: Path
) -> None:
    files = source("loc")
    files["pyproject.toml"] = files["pyproject.toml"].replace('"made"', '"mesonpy"')
    index.add(make_sdist("loc", "0.1", files))
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nloc\n"})
    arm = replace(AMD64, platform=Platform("linux", "arm64"))
    sdist = replace(project.resolve(arm).sources[0], version="0.1")
    with pytest.raises(BuildError, match=r"\(by mesonpy\) is compiled, which needs a machine like"):
        project.builder(arm).build(sdist)


EVIL = """
open({mark!r}, "w").write("ran")
raise SystemExit("ran")
"""


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "./loc\n"},
        {"requirements.txt": "-e ./loc\n"},
        {"requirements.txt": "--no-binary loc\n./loc\n"},
        {"requirements.txt": "--only-binary :none:\n--no-binary :all:\n./loc\n"},
        {"pyproject.toml": ""},
        {"pyproject.toml": '[tool.uv]\nno-binary-package = ["loc"]\n'},
        {"pyproject.toml": "[tool.uv]\nno-build = false\n"},
        {"pyproject.toml": '[tool.uv.pip]\nno-build = false\nno-binary = ["loc"]\n'},
        {"pyproject.toml": "", "uv.toml": 'no-binary-package = ["loc"]\n'},
        {"pyproject.toml": "", "uv.toml": '[pip]\nno-binary = ["loc"]\n'},
    ],
    ids=lambda files: " ".join(f"{k}: {v!r}" for k, v in files.items()),
)
def test_an_untrusted_event_runs_no_back_end_whatever_the_project_says(
    tmp_path: Path, files: dict[str, str]
) -> None:
    mark = tmp_path / "mark"
    content = source("loc", below="loc/") | files
    content["loc/made.py"] = EVIL.format(mark=str(mark))
    content["loc/pyproject.toml"] = content["loc/pyproject.toml"].replace(
        'version = "0.1"\ndependencies = []', 'dynamic = ["version", "dependencies"]'
    )
    if "pyproject.toml" in files:
        content["pyproject.toml"] = (
            '[project]\nname = "app"\nversion = "1"\ndependencies = ["loc"]\n'
            '[tool.uv.sources]\nloc = { path = "loc", editable = true }\n' + files["pyproject.toml"]
        )
    project = Project(tmp_path, content)
    with pytest.raises(BuildError):
        project.resolve(build_metadata=False).require_wheels(AMD64, trusted=False)
    assert not mark.exists()
    with pytest.raises(BuildError):
        project.resolve()
    assert mark.exists(), "the test's own check: where the event is trusted it runs"
