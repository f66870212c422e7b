"""Images of several platforms from one machine, and on bases with musl: each with its wheels."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.bases import ALPINE_HISTORY, AMD64, OFFICIAL_ENV, OFFICIAL_HISTORY, put_image
from support.index import Index, make_wheel, serve_index
from support.program import Machine, failed, succeeded
from support.repositories import Work

from launch_action.core.image import OCI_INDEX, Descriptor, Manifest, Platform
from launch_action.core.ports import read_blob
from launch_action.core.store import JobStore
from launch_action.core.version import JobVersion
from launch_action.oci.layout import LayoutContent

pytest_plugins = ["support.program_fixtures"]

JOB = "job-https___github.com_acme_mono-train.py"
ARM64 = Platform("linux", "arm64", "v8")
BOTH = ("--platform", "linux/amd64,linux/arm64")
# e_machine of ELF, at byte 18 (System V ABI).
MACHINES = {"amd64": 62, "arm64": 183}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What an official image is to the builder: an index of two platforms, known by its configs."""
    place = tmp_path_factory.mktemp("base")
    content = LayoutContent(place, "base")
    images = [
        (platform, put_image(content, [b"\0" * 1024], env=OFFICIAL_ENV, history=OFFICIAL_HISTORY,
                             platform=platform))
        for platform in (AMD64, ARM64)
    ]  # fmt: skip
    entries = [replace(image.descriptor, platform=one).document() for one, image in images]
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    content.put_manifest(Manifest.make(document), "base")
    return f"oci:{place}:base"


@pytest.fixture(scope="module")
def alpine(tmp_path_factory: pytest.TempPathFactory) -> str:
    place = tmp_path_factory.mktemp("alpine")
    content = LayoutContent(place, "base")
    put_image(content, [b"\0" * 1024], tag="base", env=OFFICIAL_ENV, history=ALPINE_HISTORY)
    return f"oci:{place}:base"


@pytest.fixture
def index() -> Iterator[Index]:
    with serve_index() as found:
        yield found


def build(machine: Machine, work: Work, base: str, *options: str) -> dict[str, Any]:
    arguments = ("-E", "python train.py", "--python", "3.11", "--base-image", base, *options)
    return succeeded(machine.run("build", "--json", *arguments, cwd=work.path)).document


class Stored:
    """The latest version of the local store."""

    def __init__(self, machine: Machine) -> None:
        self.content = LayoutContent(machine.layout(JOB), JOB)
        self.store = JobStore(self.content)
        self.version: JobVersion = self.store.load("latest")

    @property
    def frozen(self) -> str:
        return self.store.job_files(self.version)[1].decode()

    def layers(self, architecture: str) -> tuple[Descriptor, ...]:
        """The layers of a platform's image, without the base's."""
        image = next(
            one for one in self.version.images
            if one.platform and one.platform.architecture == architecture
        )  # fmt: skip
        manifest = self.content.get_manifest(image.digest)
        assert manifest
        return manifest.layers()[1:]

    def files(self, architecture: str) -> dict[str, bytes]:
        """Path and content of every file in the layers."""
        found: dict[str, bytes] = {}
        for layer in self.layers(architecture):
            data = gzip.decompress(read_blob(self.content, layer, 1 << 30))
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                for member in archive:
                    file = archive.extractfile(member) if member.isreg() else None
                    found |= {member.name: file.read()} if file else {}
        return found


def native(name: str, platform: str, content: bytes) -> tuple[str, bytes]:
    tag = f"cp311-cp311-{platform}"
    return make_wheel(name, "1.0", tag=tag, files={f"{name}/native.so": content})


def declare(work: Work, index: Index, *lines: str) -> None:
    text = "".join(f"{line}\n" for line in (f"--index-url {index.url}", *lines))
    work.commit({"requirements.txt": text})


def test_each_image_has_its_own_wheels_and_shares_what_is_the_same(
    machine: Machine, work: Work, base: str, index: Index
) -> None:
    noise = random.Random(1).randbytes(3 << 19)
    index.add(make_wheel("pure", "1.0", files={"pure/data.bin": noise}))
    for architecture, name in (("amd64", "x86_64"), ("arm64", "aarch64")):
        content = architecture.encode() + noise[::-1]
        index.add(native("fast", f"manylinux_2_28_{name}", content))
    declare(work, index, "fast", "pure")

    found = build(machine, work, base, *BOTH)

    stored = Stored(machine)
    by_title = {
        architecture: {
            layer.annotations["org.opencontainers.image.title"]: layer.digest
            for layer in stored.layers(architecture)
        }
        for architecture in ("amd64", "arm64")
    }
    differing = {
        title for title, digest in by_title["amd64"].items() if by_title["arm64"][title] != digest
    }
    assert differing == {"fast 1.0"}
    fetched = [one.path for one in index.seen if one.path.endswith("/pure-1.0-py3-none-any.whl")]
    assert len(fetched) == 1
    for architecture in ("amd64", "arm64"):
        path = "opt/venv/lib/python3.11/site-packages/fast/native.so"
        assert stored.files(architecture)[path].startswith(architecture.encode())
    assert stored.frozen == "fast==1.0\npure==1.0\n"
    assert found["digest"] == found["job_digest"] == str(stored.version.digest)
    assert found["image"] == f"{JOB}@{found['digest']}"
    assert [str(image.platform) for image in stored.version.images] == [
        "linux/amd64", "linux/arm64",
    ]  # fmt: skip
    assert [base["platform"] for base in found["metadata"]["base"]] == [
        "linux/amd64", "linux/arm64",
    ]  # fmt: skip


def test_the_order_of_platforms_and_another_spelling_of_one_change_nothing(
    machine: Machine, work: Work, base: str
) -> None:
    first = build(machine, work, base, *BOTH)

    again = build(machine, work, base, "--platform", "linux/aarch64,linux/arm64/v8",
                  "--platform", "linux/x86_64")  # fmt: skip

    assert (first["cache_hit"], again["cache_hit"]) == (False, True)
    assert again["digest"] == first["digest"]


def test_an_image_among_others_is_the_image_alone(
    machine: Machine, work: Work, base: str, tmp_path: Path
) -> None:
    build(machine, work, base, *BOTH)
    other = Machine(tmp_path / "other")

    alone = build(other, work, base, "--platform", "linux/arm64")

    images = {image.platform: image.digest for image in Stored(machine).version.images}
    assert alone["digest"] == str(images[Platform("linux", "arm64")])


def test_what_differs_between_machines_is_frozen_with_its_marker(
    machine: Machine, work: Work, base: str, index: Index
) -> None:
    for name, version in (("old", "1.0"), ("old", "2.0"), ("same", "1.0"), ("only", "1.0")):
        index.add(make_wheel(name, version))
    declare(
        work, index, "same", "old==1.0 ; platform_machine == 'x86_64'",
        "old==2.0 ; platform_machine == 'aarch64'", "only ; platform_machine == 'aarch64'",
    )  # fmt: skip

    build(machine, work, base, *BOTH)

    assert Stored(machine).frozen == (
        'old==1.0 ; platform_machine == "x86_64"\n'
        'old==2.0 ; platform_machine == "aarch64"\n'
        'only==1.0 ; platform_machine == "aarch64"\n'
        "same==1.0\n"
    )


def test_a_package_without_a_wheel_for_one_platform_names_both_and_leaves_nothing(
    machine: Machine, work: Work, base: str, index: Index
) -> None:
    index.add(native("fast", "manylinux_2_28_x86_64", b"x" * 100))
    declare(work, index, "fast")

    ended = failed(machine.run("build", "-E", "python train.py", "--python", "3.11",
                               "--base-image", base, *BOTH, cwd=work.path), 4)  # fmt: skip

    assert "no wheel of fast for CPython 3.11.9 on linux/arm64 (glibc 2.36)" in ended.error
    assert not machine.layout(JOB).exists() or not LayoutContent(machine.layout(JOB), JOB).tags()
    assert machine.leftovers() == []


def test_a_base_that_lacks_a_platform_says_which_it_has(
    machine: Machine, work: Work, base: str
) -> None:
    ended = failed(machine.run("build", "-E", "python train.py", "--python", "3.11",
                               "--base-image", base, "--platform", "linux/amd64,linux/s390x",
                               cwd=work.path), 4)  # fmt: skip

    assert ended.error == f"no linux/s390x in base image {base}: it has linux/amd64, linux/arm64/v8"


@pytest.mark.network
def test_real_libraries_are_of_the_images_machine(machine: Machine, work: Work, base: str) -> None:
    work.commit({"requirements.txt": "markupsafe==2.1.3\n"})

    build(machine, work, base, *BOTH)

    stored = Stored(machine)
    for architecture, machine_number in MACHINES.items():
        files = stored.files(architecture)
        libraries = {path: data for path, data in files.items() if data.startswith(b"\x7fELF")}
        assert [Path(path).name.split(".")[0] for path in libraries] == ["_speedups"]
        assert {data[18] for data in libraries.values()} == {machine_number}


def test_a_base_with_musl_gets_the_newest_musllinux_it_can_load(
    machine: Machine, work: Work, alpine: str, index: Index
) -> None:
    for tag in ("manylinux_2_17", "musllinux_1_1", "musllinux_1_2", "musllinux_1_3"):
        index.add(native("fast", f"{tag}_x86_64", tag.encode()))
    declare(work, index, "fast")

    build(machine, work, alpine, "--platform", "linux/amd64")

    files = Stored(machine).files("amd64")
    path = "opt/venv/lib/python3.11/site-packages/fast/native.so"
    assert files[path] == b"musllinux_1_2"


def test_a_package_without_a_wheel_for_musl_is_an_error_that_says_so(
    machine: Machine, work: Work, alpine: str, index: Index
) -> None:
    for tag in ("manylinux_2_17", "musllinux_1_3"):
        index.add(native("fast", f"{tag}_x86_64", b"x"))
    declare(work, index, "fast")

    ended = failed(machine.run("build", "-E", "python train.py", "--python", "3.11",
                               "--base-image", alpine, "--platform", "linux/amd64",
                               cwd=work.path), 4)  # fmt: skip

    assert "no wheel of fast for CPython 3.11.9 on linux/amd64 (musl 1.2)" in ended.error
