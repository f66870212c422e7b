"""Requirements that are archives, or are built from source; and of whom nothing is built."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.declarations import NATIVE, sha, source
from support.dependencies import AMD64, Project
from support.github_runner import network_settings
from support.index import Index, make_sdist, make_wheel, serve_index
from support.resolutions import names, whole

from launch_action.builders.layers.lock import Resolution, SourcePackage
from launch_action.builders.layers.target import Target
from launch_action.core.errors import BuildError
from launch_action.core.image import Platform


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
