from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from launch_action.builders.layers.index_auth import (
    environment_indexes,
    index_identities,
    read_logins,
    secrets,
    uv_variables,
)
from launch_action.builders.layers.lock import (
    LockedWheel,
    Resolution,
    SourcePackage,
    dump_resolution,
    load_resolution,
)
from launch_action.builders.layers.pylock_reader import read_lock
from launch_action.builders.layers.source_wheels import canonical_wheel
from launch_action.builders.layers.target import Target
from launch_action.builders.layers.uv_failure import mask, read_failure
from launch_action.core.dependencies import read_dependencies
from launch_action.core.dependency_inputs import DependencyInputs
from launch_action.core.errors import BuildError
from launch_action.core.image import Platform

AMD64 = Target("3.12", Platform("linux", "amd64"), "glibc", "2.28")
ARM64 = Target("3.12", Platform("linux", "arm64"), "glibc", "2.36")
MUSL = Target("3.12.4", Platform("linux", "amd64"), "musl", "1.2")
SHA = "a" * 64


def lock(*files: str, package: str = "") -> str:
    wheels = ",".join(
        f'{{url="https://u:p@h/{name}",size={n + 1},hashes={{sha256="{SHA}"}}}}'
        for n, name in enumerate(files)
    )
    return (
        f'lock-version="1.0"\n[[packages]]\nname="p"\nversion="1"\n{package}\nwheels=[{wheels}]\n'
    )


def chosen(target: Target, *files: str) -> str:
    found = read_lock(lock(*files), target)
    return found.wheels[0].filename if found.wheels else ""


LINUX = "p-1-cp312-cp312-manylinux_2_28_x86_64.whl"
OLDER = "p-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
ABI3 = "p-1-cp38-abi3-manylinux_2_17_x86_64.whl"
PURE = "p-1-py3-none-any.whl"


@pytest.mark.parametrize(
    ("target", "files", "expected"),
    [
        (AMD64, (PURE, OLDER, LINUX), LINUX),
        (AMD64, (PURE, ABI3), ABI3),
        (AMD64, ("p-1-cp311-cp311-manylinux_2_17_x86_64.whl", PURE), PURE),
        (AMD64, ("p-1-cp312-cp312-manylinux_2_34_x86_64.whl",), ""),
        (AMD64, ("p-1-cp312-cp312t-manylinux_2_17_x86_64.whl",), ""),
        (AMD64, ("p-1-cp312-cp312-win_amd64.whl", "p-1-py3-none-macosx_11_0_arm64.whl"), ""),
        (AMD64, ("p-1-py3-none-manylinux1_x86_64.whl",), "p-1-py3-none-manylinux1_x86_64.whl"),
        (AMD64, ("p-1-py2.py3-none-any.whl",), "p-1-py2.py3-none-any.whl"),
        (AMD64, ("p-1-py2-none-any.whl",), ""),
        (AMD64, ("p-1-cp312-cp312-musllinux_1_2_x86_64.whl",), ""),
        (ARM64, (LINUX, "p-1-cp312-cp312-manylinux_2_34_aarch64.whl"),
         "p-1-cp312-cp312-manylinux_2_34_aarch64.whl"),
        (MUSL, (LINUX, "p-1-cp312-cp312-musllinux_1_1_x86_64.whl"),
         "p-1-cp312-cp312-musllinux_1_1_x86_64.whl"),
        (MUSL, ("p-1-cp312-cp312-musllinux_1_3_x86_64.whl",), ""),
        (AMD64, ("p-1-1-py3-none-any.whl", "p-1-10b-py3-none-any.whl", "p-1-2-py3-none-any.whl"),
         "p-1-10b-py3-none-any.whl"),
    ],
)  # fmt: skip
def test_the_best_wheel_that_fits_is_chosen(
    target: Target, files: tuple[str, ...], expected: str
) -> None:
    assert chosen(target, *files) == expected
    assert chosen(target, *reversed(files)) == expected


def test_a_wheel_has_no_credentials_in_its_url() -> None:
    (wheel,) = read_lock(lock(PURE), AMD64).wheels
    assert wheel == LockedWheel("p", "1", PURE, f"https://h/{PURE}", SHA, 1)


@pytest.mark.parametrize(
    ("marker", "count"),
    [
        ("sys_platform == 'win32'", 0),
        ("python_full_version >= '3.12' and platform_machine == 'x86_64'", 1),
        ("python_version < '3.12'", 0),
        ("platform_system == 'Linux' and extra != 'x'", 1),
    ],
)
def test_markers_are_those_of_the_target(marker: str, count: int) -> None:
    text = lock(PURE, package=f'marker = "{marker}"')
    assert len(read_lock(text, AMD64).wheels) == count


def test_a_package_with_only_a_source_is_listed_and_refused_by_name() -> None:
    sdist = f'sdist = {{ url = "https://u:p@h/p-1.tar.gz", hashes = {{ sha256 = "{SHA}" }} }}'
    found = read_lock(lock(package=sdist), AMD64)
    assert found.sources == (SourcePackage("p", "1", "sdist", "https://h/p-1.tar.gz", SHA),)
    with pytest.raises(BuildError) as caught:
        found.require_wheels(AMD64)
    assert caught.value.message == "no wheel of p 1 for CPython 3.12 on linux/amd64 (glibc 2.28)"
    assert "--builder buildkit" in caught.value.hint


@pytest.mark.parametrize(
    ("files", "compiled"),
    [
        ((), False),
        ((LINUX,), True),
        ((LINUX, OLDER), True),
        ((LINUX, "p-1-py2-none-any.whl"), False),
    ],
)
def test_a_source_whose_wheels_are_for_other_platforms_is_compiled(
    files: tuple[str, ...], compiled: bool
) -> None:
    """And not built for a platform that this machine is not like: it would be refused then."""
    sdist = f'sdist = {{ url = "https://h/p-1.tar.gz", hashes = {{ sha256 = "{SHA}" }} }}'
    found = read_lock(lock(*files, package=sdist), ARM64)

    assert [one.compiled for one in found.sources] == [compiled]


def test_only_wheels_with_an_allowed_hash_are_taken() -> None:
    text = lock(LINUX, PURE).replace(SHA, "b" * 64, 1)
    (wheel,) = read_lock(text, AMD64, hashes={"p": [f"sha256:{SHA}"]}).wheels
    assert wheel.filename == PURE
    places = {"p": "requirements.txt:3"}
    with pytest.raises(BuildError, match=r"requirements\.txt:3: no wheel of p 1 has a hash"):
        read_lock(text, AMD64, hashes={"p": [f"sha256:{'c' * 64}"]}, places=places)
    with pytest.raises(BuildError, match="no hash is given for p 1"):
        read_lock(text, AMD64, hashes={})


def test_a_source_too_is_taken_only_with_an_allowed_hash() -> None:
    sdist = f'sdist = {{ url = "https://h/p-1.tar.gz", hashes = {{ sha256 = "{SHA}" }} }}'
    found = read_lock(lock(package=sdist), AMD64, hashes={"p": [f"sha256:{SHA}"]})
    assert found.without_wheel == ("p 1",)
    with pytest.raises(BuildError, match=r"no wheel of p 1 has a hash .* p-1\.tar\.gz has"):
        read_lock(lock(package=sdist), AMD64, hashes={"p": [f"sha256:{'0' * 64}"]})


def test_hashes_of_another_kind_are_left_for_the_download() -> None:
    allowed = [f"sha512:{'d' * 128}"]
    (wheel,) = read_lock(lock(PURE), AMD64, hashes={"p": allowed}).wheels
    assert wheel.hashes == tuple(allowed)


def test_a_lock_for_another_python_is_refused() -> None:
    with pytest.raises(BuildError, match=r"the lock is for Python >=3.13, the job has 3.12"):
        read_lock('lock-version="1.0"\nrequires-python=">=3.13"\n', AMD64)


def test_a_wheel_of_the_context_is_a_path_and_one_outside_is_refused() -> None:
    inside = f'[[packages]]\nname="p"\narchive={{path="w/{PURE}",hashes={{sha256="{SHA}"}}}}\n'
    (wheel,) = read_lock(inside, AMD64, root="/tmp/x").wheels
    assert (wheel.url, wheel.path) == ("", f"w/{PURE}")
    with pytest.raises(BuildError, match="outside the build context"):
        read_lock(inside.replace("w/", "../"), AMD64, root="/tmp/x")
    file = f'[[packages]]\nname="p"\nversion="1"\nwheels=[{{url="file:///tmp/x/w%20s/{PURE}"}}]\n'
    assert read_lock(file, AMD64, root="/tmp/x").wheels[0].path == f"w s/{PURE}"


def test_frozen_requirements_are_sorted_and_name_direct_urls() -> None:
    found = Resolution(
        (
            LockedWheel("zlib-ng", "1", "z", "https://h/z", SHA),
            LockedWheel("a", "2", "a.whl", "https://h/a.whl", SHA, direct=True),
            LockedWheel("local", "3", "l.whl", "", SHA, path="w/l.whl", direct=True),
        )
    )
    assert found.frozen == ("a @ https://h/a.whl", "local==3", "zlib-ng==1")


def test_a_resolution_survives_the_cache() -> None:
    found = Resolution(
        (LockedWheel("a", "2", "a.whl", "https://h/a.whl", SHA, 7, hashes=("sha512:0",)),),
        (SourcePackage("b", "1", "directory", path="."),),
    )
    assert load_resolution(dump_resolution(found)) == found


@pytest.mark.parametrize(
    ("libc_version", "level"),
    [("2.17", "2_17"), ("2.27", "2_17"), ("2.29", "2_28"), ("2.36", "2_36"), ("2.43", "2_40")],
)
def test_uv_is_asked_for_the_level_at_or_below_ours(libc_version: str, level: str) -> None:
    target = Target("3.12", Platform("linux", "arm64"), "glibc", libc_version)
    assert target.uv_platform == f"aarch64-manylinux_{level}"


def test_platforms_without_wheels_are_refused() -> None:
    with pytest.raises(BuildError, match="linux/s390x"):
        _ = Target("3.12", Platform("linux", "s390x")).uv_platform
    with pytest.raises(BuildError, match=r"glibc 2\.12"):
        _ = Target("3.12", Platform("linux", "amd64"), "glibc", "2.12").uv_platform


@pytest.mark.parametrize(
    ("stderr", "kind", "words"),
    [
        (
            "error: No solution found when resolving dependencies\n  cause: Because nope was not "
            "found in the package registry and you require nope, we can conclude that your "
            "requirements are unsatisfiable.\n",
            "missing",
            "no package 'nope' in the index",
        ),
        (
            "error: No solution found\n  cause: Because only p==1.0 is available and you require "
            "p>5,\n         we can conclude that your requirements are unsatisfiable.\n",
            "version",
            "no version of p fits: only p==1.0 is available and you require p>5",
        ),
        (
            "error: No solution found\n  cause: Because all versions of torch have no wheels with "
            "a matching Python ABI tag (e.g., `cp311`) and you require torch, we can conclude that "
            "your requirements are unsatisfiable.\n",
            "wheel",
            "no wheel of torch for CPython",
        ),
        (
            "error: No solution found\n  cause: Because pandas==0.18.1 has invalid metadata and "
            "you require pandas==0.18.1, we can conclude that your requirements are "
            "unsatisfiable.\n",
            "source",
            "pandas 0.18.1 has metadata that break the rules",
        ),
        (
            "error: No solution found\n  cause: Because a==1 depends on c<1 and b==1 depends on "
            "c>1, we can conclude that a==1 and b==1 are incompatible.\n",
            "conflict",
            "the requirements contradict each other: a==1 depends on c<1",
        ),
        (
            "error: Failed to fetch: https://h/simple/p/\n  cause: error sending request\n"
            "  cause: failed to lookup address information: Name or service not known\n",
            "network",
            "cannot fetch https://h/simple/p/: failed to lookup address",
        ),
        ("error: something new\n  cause: x\n", "other", "uv: something new"),
        ("", "other", "uv: no message"),
    ],
)
def test_uvs_words_become_one_line(stderr: str, kind: str, words: str) -> None:
    found = read_failure(stderr, AMD64)
    assert found.kind == kind
    assert found.message.startswith(words)
    assert "\n" not in found.message


def test_secrets_are_masked_the_longest_first() -> None:
    text = mask("https://u:abc@h and abcdef and abc", ["abc", "abcdef", ""])
    assert text == "https://h and *** and ***"


def inputs(text: str, **files: str):  # type: ignore[no-untyped-def]
    content = {"requirements.txt": text.encode()}
    return read_dependencies(content.get)


def test_logins_come_from_urls_variables_and_netrc(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine n.example login nn password np\n")
    environment = {
        "HOME": str(tmp_path),
        "UV_INDEX": "my-co=https://named.example/simple https://x:y@plain.example/a",
        "UV_INDEX_MY_CO_USERNAME": "cu",
        "UV_INDEX_MY_CO_PASSWORD": "cp",
        "TOKEN": "tok",
    }
    found = read_logins(inputs("-i https://t:${TOKEN}@file.example/simple\n"), environment)
    basic = {
        "https://named.example/files/a.whl": b"cu:cp",
        "https://plain.example/other": b"x:y",
        "https://file.example/a.whl": b"t:tok",
        "https://n.example/a.whl": b"nn:np",
    }
    import base64

    for url, login in basic.items():
        assert found.header(url) == f"Basic {base64.b64encode(login).decode()}"
    assert found.header("https://other.example/") is None
    assert found.header("http://named.example/") is None
    assert found.header("https://named.example:8443/") is None


@pytest.mark.parametrize("url", ["https://me:hunter2@[x/simple", "https://me:hunter2@h:port/"])
def test_what_is_no_index_s_url_is_told_without_its_login(url: str) -> None:
    for given, environment in ((f"-i {url}\n", {}), ("six\n", {"UV_INDEX_URL": url})):
        with pytest.raises(BuildError, match="not the URL of an index") as caught:
            read_logins(inputs(given), environment)
        assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("settings", ["[tool]\nuv = 1\n", "[tool.uv]\nindex = ['x']\n"])
def test_settings_of_another_shape_name_no_index(settings: str) -> None:
    files = (("pyproject.toml", settings.encode()),)
    assert read_logins(DependencyInputs("pyproject", files=files), {}).known == ()


def test_two_logins_of_one_host_are_told_apart_by_the_path() -> None:
    found = read_logins(
        inputs("-i https://a:1@h/one/simple\n--extra-index-url https://b:2@h/two/simple\n"), {}
    )
    assert found.header("https://h/two/files/x.whl") != found.header("https://h/one/files/x.whl")


def test_what_uv_may_see_leaves_out_what_changes_a_resolution() -> None:
    environment = {"UV_INDEX_A_PASSWORD": "p", "UV_RESOLUTION": "lowest", "T": "t", "AWS_KEY": "k"}
    names = set(uv_variables(inputs("-i https://${T}@h/\n"), environment))
    assert {"UV_INDEX_A_PASSWORD", "T", "UV_INDEX", "NETRC"} <= names
    assert not {"UV_RESOLUTION", "UV_EXCLUDE_NEWER", "AWS_KEY"} & names


def test_secrets_of_the_environment_are_known_and_indexes_have_an_identity() -> None:
    environment = {
        "UV_INDEX_A_PASSWORD": "hunter2",
        "UV_DEFAULT_INDEX": "https://me:pass123@h/simple",
        "T": "token",
    }
    assert set(secrets(inputs("-i https://${T}@i/\n"), environment)) >= {
        "hunter2",
        "pass123",
        "token",
    }
    assert index_identities(environment) == ("https://h/simple",)
    assert "pass123" not in repr(environment_indexes(environment))


def test_a_canonical_wheel_depends_on_its_content_alone(tmp_path: Path) -> None:
    def made(name: str, order: list[str], date: tuple[int, ...], mode: int, method: int) -> str:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            for path in order:
                info = zipfile.ZipInfo(path, date)  # type: ignore[arg-type]
                info.external_attr = mode << 16
                archive.writestr(info, path.encode(), method)
        (tmp_path / name).write_bytes(out.getvalue())
        return hashlib.sha256(canonical_wheel(tmp_path / name)).hexdigest()

    first = made("a", ["x", "y"], (2020, 1, 1, 0, 0, 0), 0o100664, zipfile.ZIP_DEFLATED)
    second = made("b", ["y", "x"], (2021, 1, 1, 0, 0, 0), 0o100600, zipfile.ZIP_STORED)
    third = made("c", ["y", "x"], (2021, 1, 1, 0, 0, 0), 0o100700, zipfile.ZIP_STORED)
    assert first == second != third
