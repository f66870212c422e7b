"""Resolution by the real uv, against an index on loopback."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.dependencies import AMD64, Project
from support.index import Index, make_sdist, make_wheel, serve_index

from launch_action.builders.layers.download import OnlyUvCan
from launch_action.builders.layers.lock import Resolution
from launch_action.builders.layers.resolve import find_uv
from launch_action.builders.layers.target import Target
from launch_action.builders.layers.uv_install import install_tree
from launch_action.core.dependencies import DependencyInputs, read_dependencies
from launch_action.core.errors import BuildError
from launch_action.core.image import Platform

ARM64 = replace(AMD64, platform=Platform("linux", "arm64"))
EARLY, LATE = "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z"
BETWEEN = "2024-06-01T00:00:00Z"


@pytest.fixture
def index() -> Iterator[Index]:
    with serve_index() as found:
        found.add(make_wheel("alpha", "1.0", requires=["beta"]), uploaded=EARLY)
        found.add(make_wheel("alpha", "2.0", requires=["beta"]), uploaded=LATE)
        found.add(make_wheel("beta", "1.0", extras={"more": ["gamma"]}), uploaded=EARLY)
        found.add(make_wheel("gamma", "1.0"), uploaded=EARLY)
        yield found


def names(found: Resolution) -> list[str]:
    return list(found.frozen)


def test_the_cutoff_decides_what_is_newest(index: Index, tmp_path: Path) -> None:
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nalpha\n"})
    assert names(project.resolve(cutoff=BETWEEN)) == ["alpha==1.0", "beta==1.0"]
    assert names(project.resolve()) == ["alpha==2.0", "beta==1.0"]


def test_extras_markers_and_constraints_are_followed(index: Index, tmp_path: Path) -> None:
    project = Project(
        tmp_path,
        {
            "requirements.txt": f"-i {index.url}\n-c limits.txt\nalpha\n-r sub/more.txt\n",
            "sub/more.txt": "beta[more]; sys_platform == 'linux'\nnope; python_version < '3'\n",
            "limits.txt": "alpha<2\n",
        },
    )
    assert names(project.resolve()) == ["alpha==1.0", "beta==1.0", "gamma==1.0"]


def test_wheels_are_those_of_the_target(index: Index, tmp_path: Path) -> None:
    for tag in ("manylinux_2_28_x86_64", "manylinux_2_28_aarch64", "musllinux_1_2_aarch64"):
        index.add(make_wheel("native", "1.0", tag=f"cp312-cp312-{tag}"))
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nnative\n"})

    def tag_for(architecture: str, libc: str, version: str) -> str:
        target = Target("3.12.1", Platform("linux", architecture), libc, version)  # type: ignore[arg-type]
        return project.resolve(target).wheels[0].filename.rpartition("-")[2]

    assert tag_for("amd64", "glibc", "2.36") == "manylinux_2_28_x86_64.whl"
    assert tag_for("arm64", "glibc", "2.28") == "manylinux_2_28_aarch64.whl"
    assert tag_for("arm64", "musl", "1.2") == "musllinux_1_2_aarch64.whl"


def test_a_package_for_other_targets_only_is_an_error_that_names_both(
    index: Index, tmp_path: Path
) -> None:
    index.add(make_wheel("native", "1.0", tag="cp311-cp311-manylinux_2_28_x86_64"))
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nnative\n"})
    found = project.fault()
    assert found.message.startswith("requirements.txt:2: no wheel of native for CPython 3.12 on")
    assert "--builder buildkit" in found.hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nope", "requirements.txt:2: no package 'nope' in the index"),
        ("alpha==9", "requirements.txt:2: no version of alpha fits: there is no version of alpha"),
        ("alpha\nbeta<1", "requirements.txt:3: no version of beta fits: only beta==1.0"),
        ("alpha==1\nalpha==2", "the requirements contradict each other: you require alpha==1"),
    ],
)
def test_what_cannot_be_met_is_said_in_one_line(
    index: Index, tmp_path: Path, text: str, words: str
) -> None:
    found = Project(tmp_path, {"requirements.txt": f"-i {index.url}\n{text}\n"}).fault()
    assert found.message.startswith(words)
    assert "\n" not in found.message
    assert "No solution found" in found.context


def test_a_cutoff_that_is_the_reason_is_told(index: Index, tmp_path: Path) -> None:
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nalpha==2.0\n"})
    found = project.fault(cutoff=BETWEEN)
    assert "cannot be met as of 2024-06-01" in found.message
    assert "--resolve-date latest" in found.hint


def test_an_index_without_upload_times_is_told(tmp_path: Path) -> None:
    with serve_index(upload_times=False) as index:
        index.add(make_wheel("alpha", "1.0"))
        project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nalpha\n"})
        found = project.fault(cutoff=BETWEEN)
        assert "tells no upload times" in found.message
        assert "--resolve-date latest" in found.hint
        assert names(project.resolve()) == ["alpha==1.0"]


def test_a_python_that_is_too_old_is_told(index: Index, tmp_path: Path) -> None:
    index.add(make_wheel("new", "1.0", requires_python=">=3.13"))
    found = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nnew==1.0\n"}).fault()
    assert found.message == "requirements.txt:2: new==1.0 needs Python >=3.13, the job has 3.12"


def test_a_full_version_of_python_decides_about_patch_releases(
    index: Index, tmp_path: Path
) -> None:
    index.add(make_wheel("new", "1.0", requires_python=">=3.12.4"))
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nnew\n"})
    assert names(project.resolve(replace(AMD64, python="3.12.4"))) == ["new==1.0"]
    project.fault(AMD64)


def test_an_index_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    project = Project(tmp_path, {"requirements.txt": "-i http://127.0.0.1:1/simple\nalpha\n"})
    found = project.fault()
    assert found.message.startswith("cannot fetch http://127.0.0.1:1/simple/alpha/: Connection")


@pytest.mark.parametrize("status", [500, 503])
def test_an_index_that_fails_is_told(index: Index, tmp_path: Path, status: int) -> None:
    index.faults["/simple/alpha"] = [status] * 9
    found = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nalpha\n"}).fault()
    assert f"HTTP status server error ({status}" in found.message


LOGIN = ("bob", "hunter2secret")


@pytest.fixture
def private() -> Iterator[Index]:
    with serve_index(login=LOGIN) as found:
        found.add(make_wheel("alpha", "1.0"))
        yield found


@pytest.mark.parametrize("place", ["url", "variable", "named", "netrc"])
def test_a_login_is_taken_from_every_place_and_never_kept(
    private: Index, tmp_path: Path, place: str
) -> None:
    text, environment = f"-i {private.url}\nalpha\n", {}
    if place == "url":
        text = f"-i {private.url_with(*LOGIN)}\nalpha\n"
    elif place == "variable":
        text = f"-i {private.url_with('${USER_NAME}', '${PASS_WORD}')}\nalpha\n"
        environment = {"USER_NAME": LOGIN[0], "PASS_WORD": LOGIN[1]}
    elif place == "named":
        text = "alpha\n"
        environment = {
            "UV_DEFAULT_INDEX": f"acme={private.url}",
            "UV_INDEX_ACME_USERNAME": LOGIN[0],
            "UV_INDEX_ACME_PASSWORD": LOGIN[1],
        }
    else:
        netrc = tmp_path / "logins"
        netrc.write_text(f"machine 127.0.0.1 login {LOGIN[0]} password {LOGIN[1]}\n")
        netrc.chmod(0o600)
        environment = {"NETRC": str(netrc)}
    project = Project(tmp_path, {"requirements.txt": text}, **environment)
    found = project.resolve(cache=project.cache, key="k" * 64, cutoff=BETWEEN)
    assert LOGIN[1] not in repr(found)
    path = project.downloader.fetch(found.wheels[0])
    assert path.read_bytes()[:2] == b"PK"
    kept = [p for kind in ("resolutions", "wheels") for p in (tmp_path / "cache" / kind).rglob("*")]
    assert kept
    assert all(LOGIN[1].encode() not in p.read_bytes() for p in kept if p.is_file())


def test_a_wrong_login_is_told_without_it(private: Index, tmp_path: Path) -> None:
    text = f"-i {private.url_with('bob', '${PASS_WORD}')}\nalpha\n"
    project = Project(tmp_path, {"requirements.txt": text}, PASS_WORD="wrongsecret")
    found = project.fault()
    assert found.message == f"the index {private.url} refused: 401 Unauthorized"
    assert "UV_INDEX_<NAME>_PASSWORD" in found.hint
    assert "wrongsecret" not in f"{found.message}{found.hint}{found.context}"


def test_the_machines_own_settings_do_not_matter(index: Index, tmp_path: Path) -> None:
    project = Project(
        tmp_path, {"requirements.txt": f"-i {index.url}\nalpha\n"}, UV_RESOLUTION="lowest"
    )
    settings = tmp_path / "home/.config/uv"
    settings.mkdir(parents=True)
    (settings / "uv.toml").write_text('resolution = "lowest"\n')
    assert "alpha==2.0" in names(project.resolve())


def digest(file: tuple[str, bytes]) -> str:
    return hashlib.sha256(file[1]).hexdigest()


def test_hashes_are_checked_for_every_package(index: Index, tmp_path: Path) -> None:
    alpha = digest(make_wheel("alpha", "2.0", requires=["beta"]))
    beta = digest(make_wheel("beta", "1.0", extras={"more": ["gamma"]}))
    good = f"-i {index.url}\nalpha==2.0 --hash=sha256:{alpha}\n"
    both = Project(tmp_path, {"requirements.txt": f"{good}beta==1.0 --hash=sha256:{beta}\n"})
    assert names(both.resolve()) == ["alpha==2.0", "beta==1.0"]
    assert (
        "no hash is given for beta" in Project(tmp_path, {"requirements.txt": good}).fault().message
    )
    wrong = Project(tmp_path, {"requirements.txt": f"{good}beta==1.0 --hash=sha256:{alpha}\n"})
    assert wrong.fault().message.startswith("requirements.txt:3: no wheel of beta 1.0 has a hash")


def test_a_direct_url_is_frozen_without_its_login(private: Index, tmp_path: Path) -> None:
    name, _ = make_wheel("alpha", "1.0")
    url = f"{private.url_with(*LOGIN).removesuffix('simple/')}files/alpha/{name}"
    project = Project(tmp_path, {"requirements.txt": f"alpha @ {url}\n"})
    found = project.resolve()
    assert names(found) == [f"alpha @ {private.root}/files/alpha/{name}"]
    assert project.downloader.fetch(found.wheels[0]).stat().st_size == project.downloader.size(
        found.wheels[0]
    )


def test_uv_finds_the_hash_where_the_index_gives_none(tmp_path: Path) -> None:
    with serve_index(html=True, hashes=False) as index:
        file = make_wheel("alpha", "1.0")
        index.add(file)
        project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nalpha\n"})
        (wheel,) = project.resolve().wheels
        assert wheel.sha256 == digest(file)
        assert project.downloader.fetch(wheel).read_bytes() == file[1]


def test_local_wheels_and_directories_of_wheels_are_found(index: Index, tmp_path: Path) -> None:
    name, data = make_wheel("local", "3.0", requires=["beta"])
    other, more = make_wheel("linked", "1.0")
    project = Project(
        tmp_path,
        {
            "requirements.txt": f"-i {index.url}\n./w s/{name}\n-f ./links\nlinked\n",
            f"w s/{name}": data,
            f"links/{other}": more,
            "links/README": b"",
        },
    )
    found = project.resolve()
    assert names(found) == ["beta==1.0", "linked==1.0", "local==3.0"]
    by_name = {one.name: one for one in found.wheels}
    assert (by_name["local"].path, by_name["linked"].path) == (f"w s/{name}", f"links/{other}")
    assert project.downloader.fetch(by_name["local"]).read_bytes() == data
    assert project.downloader.fetch(by_name["linked"]).read_bytes() == more


def test_a_local_wheel_that_is_not_committed_is_named(index: Index, tmp_path: Path) -> None:
    project = Project(tmp_path, {"requirements.txt": "\n./w-1-py3-none-any.whl\n"})
    assert project.fault().message.startswith("requirements.txt:2: no such path in the build")


PROJECT = '[project]\nname = "loc"\nversion = "0.1"\ndependencies = ["beta"]\n'
# A back end of one file, so that no index is needed to build.
BACKEND = """
import zipfile
METADATA = "Metadata-Version: 2.1\\nName: loc\\nVersion: 0.1\\n"
def build_wheel(where, config_settings=None, metadata_directory=None):
    name = "loc-0.1-py3-none-any.whl"
    with zipfile.ZipFile(where + "/" + name, "w") as out:
        out.writestr("loc.py", open("loc.py").read())
        out.writestr("loc-0.1.dist-info/METADATA", METADATA)
        out.writestr("loc-0.1.dist-info/WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        out.writestr("loc-0.1.dist-info/RECORD", "loc.py,,\\n")
    return name
"""
BUILD = '[build-system]\nrequires = []\nbuild-backend = "made"\nbackend-path = ["."]\n'


def test_a_directory_is_built_once_and_its_dependencies_resolved(
    index: Index, tmp_path: Path
) -> None:
    files = {
        "requirements.txt": f"-i {index.url}\n-e ./loc\n",
        "loc/pyproject.toml": PROJECT + BUILD,
        "loc/made.py": BACKEND,
        "loc/loc.py": "X = 1\n",
    }
    project = Project(tmp_path, files)
    found = project.resolve()
    assert found.without_wheel == ("loc",)
    whole = project.builder().complete(found)
    assert names(whole) == ["beta==1.0", "loc==0.1"]
    assert project.builder().complete(found) == whole
    changed = Project(tmp_path, files | {"loc/loc.py": "X = 2\n"})
    assert changed.builder().complete(found).wheels[1].sha256 != whole.wheels[1].sha256


def test_a_build_back_end_sees_no_login(private: Index, tmp_path: Path) -> None:
    spy = f"import os; open({str(tmp_path / 'seen')!r}, 'w').write(repr(dict(os.environ)))\n"
    files = {
        "requirements.txt": f"-i {private.url_with('bob', '${PASS_WORD}')}\n./loc\n",
        "loc/pyproject.toml": PROJECT.replace('"beta"', "") + BUILD,
        "loc/made.py": spy + BACKEND,
        "loc/loc.py": "",
    }
    project = Project(
        tmp_path, files, PASS_WORD=LOGIN[1], UV_INDEX_X_PASSWORD=LOGIN[1], AWS_SECRET="aws"
    )
    project.builder().complete(project.resolve())
    seen = (tmp_path / "seen").read_text()
    assert "PATH" in seen
    assert LOGIN[1] not in seen
    assert "AWS_SECRET" not in seen


def test_an_sdist_is_built_from_its_checked_file(index: Index, tmp_path: Path) -> None:
    content = {"pyproject.toml": PROJECT.replace('"beta"', "") + BUILD, "made.py": BACKEND,
               "loc.py": "X = 1\n"}  # fmt: skip
    index.add(make_sdist("loc", "0.1", content))
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nloc\n"})
    found = project.resolve()
    assert found.without_wheel == ("loc 0.1",)
    (wheel,) = project.builder().complete(found).wheels
    assert project.downloader.fetch(wheel).stat().st_size == wheel.size
    wrong = replace(found, sources=(replace(found.sources[0], sha256="0" * 64),))
    with pytest.raises(BuildError, match="is not the file that was locked"):
        project.builder().complete(wrong)


def test_compiled_code_for_another_machine_is_refused(index: Index, tmp_path: Path) -> None:
    native = BACKEND.replace("py3-none-any", "cp312-cp312-linux_x86_64")
    files = {
        "requirements.txt": f"-i {index.url}\n./loc\n",
        "loc/pyproject.toml": PROJECT + BUILD,
        "loc/made.py": native,
        "loc/loc.py": "",
    }
    project = Project(tmp_path, files)
    for target in (ARM64, replace(AMD64, libc="musl", libc_version="1.2")):
        with pytest.raises(BuildError, match=r"loc \(loc\) .* \(this machine is not like it\)"):
            project.builder(target).complete(project.resolve(target))


def test_sources_can_be_passed_over(index: Index, tmp_path: Path) -> None:
    index.add(make_sdist("beta", "9.0", {"setup.py": "raise SystemExit('ran')\n"}))
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nbeta\n"})
    assert names(project.resolve(build_metadata=False)) == ["beta==1.0"]


def uv_project(tmp_path: Path, index: Index, requires_python: str = ">=3.9") -> dict[str, str]:
    from launch_action import process

    place = tmp_path / "project"
    place.mkdir()
    (place / "pyproject.toml").write_text(
        f'[project]\nname = "app"\nversion = "1"\nrequires-python = "{requires_python}"\n'
        'dependencies = ["alpha", "nope; sys_platform == \'win32\'"]\n'
        '[project.optional-dependencies]\nmore = ["gamma"]\n'
        '[dependency-groups]\ndev = ["beta[more]"]\n'
        f'[[tool.uv.index]]\nname = "it"\nurl = "{index.url}"\ndefault = true\n'
    )
    index.add(make_wheel("nope", "1.0"))
    done = process.run([find_uv(), "lock", "--no-cache"], cwd=place)
    assert done.code == 0, done.complaint
    return {name: (place / name).read_text() for name in ("pyproject.toml", "uv.lock")}


def test_a_lock_is_used_without_the_index(index: Index, tmp_path: Path) -> None:
    project = Project(tmp_path, uv_project(tmp_path, index))
    index.seen.clear()
    assert names(project.resolve()) == ["alpha==2.0", "beta==1.0"]
    more = Project(tmp_path, {k: v.decode() for k, v in project.context.content.items()})
    more.inputs = read_dependencies(more.context.read, extras=["more"])
    assert names(more.resolve()) == ["alpha==2.0", "beta==1.0", "gamma==1.0"]
    assert index.seen == []


def test_a_lock_for_a_newer_python_than_ours_is_usable(index: Index, tmp_path: Path) -> None:
    files = uv_project(tmp_path, index, ">=3.9")
    newer = {k: v.replace(">=3.9", ">=3.15") for k, v in files.items()}
    project = Project(tmp_path, newer)
    assert len(project.resolve(replace(AMD64, python="3.15")).wheels) == 2
    assert "the lock is for Python >=3.15" in project.fault(AMD64).message


def test_a_project_without_a_lock_is_resolved_with_its_own_indexes(
    index: Index, tmp_path: Path
) -> None:
    files = uv_project(tmp_path, index)
    del files["uv.lock"]
    project = Project(tmp_path, files)
    assert project.inputs.kind == "pyproject"
    assert names(project.resolve(cutoff=BETWEEN)) == ["alpha==1.0", "beta==1.0"]


def test_a_resolution_that_cannot_change_is_kept(index: Index, tmp_path: Path) -> None:
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\nalpha\n"})
    kept: dict[str, Any] = {"cutoff": BETWEEN, "cache": project.cache, "key": "a" * 64}
    first = project.resolve(**kept)
    index.seen.clear()
    assert project.resolve(**kept) == first
    assert index.seen == []
    (found,) = (tmp_path / "cache/resolutions").rglob("a" * 64)
    found.write_text("{}")
    assert project.resolve(**kept) == first
    assert project.resolve(cutoff=None, cache=project.cache, key="b" * 64)
    assert not list((tmp_path / "cache/resolutions").rglob("b" * 64))


def test_nothing_declared_needs_nothing(tmp_path: Path) -> None:
    project = Project(tmp_path, {})
    assert project.inputs == DependencyInputs("none")
    assert project.resolve() == Resolution(())


def test_a_login_that_only_uv_has_leads_to_an_installed_tree(
    private: Index, tmp_path: Path
) -> None:
    data = {
        "alpha/__init__.py": b"",
        "alpha-3.0.data/data/share/x.txt": b"x",
        "alpha-3.0.data/headers/a.h": b"h",
    }
    private.add(make_wheel("alpha", "3.0", files=data, scripts={"alpha-cli": "alpha:main"}))
    keyring = tmp_path / "bin" / "keyring"
    keyring.parent.mkdir()
    keyring.write_text(f"#!/bin/sh\necho {LOGIN[1]}\n")
    keyring.chmod(0o755)
    project = Project(
        tmp_path,
        {"requirements.txt": f"-i {private.url.replace('//', '//bob@')}\nalpha\n"},
        UV_KEYRING_PROVIDER="subprocess",
        PATH=f"{keyring.parent}:{os.environ['PATH']}",
    )
    found = project.resolve()
    with pytest.raises(OnlyUvCan):
        project.downloader.fetch(found.wheels[0])
    packages = install_tree(found.wheels, project.inputs, AMD64, tmp_path / "tree", uv=project.uv)
    assert packages == tmp_path / "tree/lib/python3.12/site-packages"
    record = (packages / "alpha-3.0.dist-info/RECORD").read_text()
    paths = [line.split(",")[0] for line in record.splitlines()]
    assert "../../../bin/alpha-cli" in paths
    assert "../../../include/site/python3.12/alpha/a.h" in paths
    assert all((packages / path).is_file() for path in paths)
    assert not (tmp_path / "tree/.lock").exists()


def test_an_install_checks_hashes(index: Index, tmp_path: Path) -> None:
    project = Project(tmp_path, {"requirements.txt": f"-i {index.url}\ngamma\n"})
    wheels = [replace(one, sha256="0" * 64) for one in project.resolve().wheels]
    with pytest.raises(BuildError) as caught:
        install_tree(wheels, project.inputs, AMD64, tmp_path / "tree", uv=project.uv)
    assert "hash" in caught.value.context.lower()


def test_wheels_without_a_url_are_installed_from_their_files(index: Index, tmp_path: Path) -> None:
    name, data = make_wheel("local", "3.0", requires=["beta"])
    text = f"-i {index.url}\n./w/{name}\n"
    project = Project(tmp_path, {"requirements.txt": text, f"w/{name}": data})
    wheels = project.resolve().wheels
    tree = tmp_path / "tree"
    packages = install_tree(
        wheels, project.inputs, AMD64, tree, uv=project.uv, fetch=project.downloader.fetch
    )
    assert {path.name for path in packages.glob("*.dist-info")} == {
        "beta-1.0.dist-info",
        "local-3.0.dist-info",
    }
    with pytest.raises(BuildError, match="has no URL"):
        install_tree(wheels, project.inputs, AMD64, tmp_path / "other", uv=project.uv)
