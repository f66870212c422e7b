"""Base images out of a registry and out of an OCI layout, with what is known of them."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from support.bases import (
    ALPINE_HISTORY,
    AMD64,
    GLIBC_SAYS,
    OFFICIAL_ENV,
    OFFICIAL_HISTORY,
    PROGRAM,
    File,
    Remembered,
    layer,
    put_image,
)
from support.registry import Logins, Running, running

from launch_action.builders.layers.base import Base, resolve_base
from launch_action.cache import Cache
from launch_action.core.base import LayoutBase, RegistryBase, parse_base
from launch_action.core.errors import BuildError, LaunchError, StoreError
from launch_action.core.image import (
    DOCKER_INDEX,
    DOCKER_LAYER_GZIP,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_LAYER_GZIP,
    OCI_LAYER_ZSTD,
    Manifest,
    Platform,
)
from launch_action.core.ports import Content
from launch_action.core.reference import Reference, Repository
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

ARM64 = Platform("linux", "arm64")
SYSTEM = {
    "usr/lib/x86_64-linux-gnu/libc.so.6": File(GLIBC_SAYS, 0o755),
    "lib": File(target="usr/lib"),
    "bin": File(target="usr/bin"),
}
PYTHON = {"usr/bin/python3.11": PROGRAM, "usr/bin/python3": File(target="python3.11")}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("bases")) as found:
        yield found


class Place:
    """A repository to put bases into, and the way a user names what is in it."""

    def __init__(self, content: Content, name: Callable[[str], RegistryBase | LayoutBase]) -> None:
        self.content = content
        self.name = name
        self.reporter = Remembered()

    def resolve(self, cache: Path, selector: str, python: str = "3.11") -> Base:
        return resolve_base(
            self.name(selector),
            AMD64,
            python,
            open_content=lambda repository: self.content,
            open_layout=lambda directory: self.content,
            cache=Cache(cache),
            reporter=self.reporter,
        )


@pytest.fixture(
    params=[pytest.param("registry", marks=pytest.mark.registry), pytest.param("layout")]
)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "layout":
        folder = tmp_path / "layout"
        yield Place(LayoutContent(folder, "layout"), lambda tag: LayoutBase(str(folder), tag))
        return
    found: Running = request.getfixturevalue("server")
    repository = found.repository(f"base/{tmp_path.name.lower().replace('_', '-').strip('-')}")
    with Registries(Logins()) as registries:
        content = registries.open(repository, writable=True)
        yield Place(content, lambda tag: RegistryBase(_reference(repository, tag)))


def _reference(repository: Repository, selector: str) -> Reference:
    joint = "@" if selector.startswith("sha256:") else ":"
    return Reference.parse(f"{repository}{joint}{selector}")


def test_an_official_image_is_known_by_its_config_alone(place: Place, tmp_path: Path) -> None:
    image = put_image(
        place.content, [b"no tar at all"], tag="p", env=OFFICIAL_ENV, history=OFFICIAL_HISTORY
    )

    base = place.resolve(tmp_path / "cache", "p")

    assert base.facts.identity == image.descriptor.digest
    assert base.facts.python.executable == "/usr/local/bin/python3.11"
    assert base.facts.python.version == "3.11.9"
    assert (base.facts.libc, base.facts.libc_version) == ("glibc", "2.36")
    assert base.facts.created == "2024-01-01T00:00:00Z"
    assert [one.descriptor.digest for one in base.layers] == [d.digest for d in image.layers()]
    assert base.origin is place.content


def test_an_alpine_image_has_musl(place: Place, tmp_path: Path) -> None:
    put_image(place.content, [b"x"], tag="a", env=OFFICIAL_ENV, history=ALPINE_HISTORY)

    facts = place.resolve(tmp_path / "cache", "a").facts

    assert (facts.libc, facts.libc_version) == ("musl", "1.2")


MUSL_SAYS = b"\x7fELF...\0musl libc (x86_64)\nVersion %s\n\0 0 1.5\0/proc/self/fd/\0"


@pytest.mark.parametrize(
    ("loader", "version"),
    [(MUSL_SAYS + b"1.1.24\0", "1.1"), (MUSL_SAYS + b"1.2.5\0", "1.2"), (b"\x7fELF", "1.2")],
)
def test_musl_is_found_in_the_files_with_its_version(
    place: Place, tmp_path: Path, loader: bytes, version: str
) -> None:
    files = {"lib/ld-musl-x86_64.so.1": File(loader, 0o755), **PYTHON}
    put_image(place.content, [layer(files)], tag="musl", env=("CUDA_VERSION=12.4",))

    facts = place.resolve(tmp_path / "cache", "musl").facts

    assert (facts.libc, facts.libc_version) == ("musl", version)


def test_the_platform_is_chosen_from_an_index(place: Place, tmp_path: Path) -> None:
    ours, _ = put_index(place.content, OCI_INDEX)

    assert place.resolve(tmp_path / "cache", "i").facts.identity == ours.descriptor.digest


def put_index(content: Content, kind: str, *, tag: str = "i") -> tuple[Manifest, Manifest]:
    images = [
        put_image(content, [b"x"], env=OFFICIAL_ENV, history=OFFICIAL_HISTORY, platform=platform)
        for platform in (AMD64, ARM64)
    ]
    entries = [
        replace(image.descriptor, platform=platform).document()
        for image, platform in zip(images, (AMD64, ARM64), strict=True)
    ]
    index = Manifest.make({"schemaVersion": 2, "mediaType": kind, "manifests": entries[::-1]})
    content.put_manifest(index, tag)
    return images[0], index


def test_a_pinned_digest_that_was_seen_needs_no_request(place: Place, tmp_path: Path) -> None:
    ours, index = put_index(place.content, OCI_INDEX)
    place.resolve(tmp_path / "cache", "i")
    before = place.content.traffic.requests, place.content.traffic.received

    again = place.resolve(tmp_path / "cache", str(index.descriptor.digest))

    assert again.facts.identity == ours.descriptor.digest
    assert (place.content.traffic.requests, place.content.traffic.received) == before


def test_a_damaged_cache_entry_is_read_again(place: Place, tmp_path: Path) -> None:
    ours, index = put_index(place.content, OCI_INDEX)
    place.resolve(tmp_path / "cache", "i")
    for path in (tmp_path / "cache" / "manifests").rglob("*"):
        if path.is_file():
            path.write_bytes(b"{}")

    again = place.resolve(tmp_path / "cache", str(index.descriptor.digest))

    assert again.facts.identity == ours.descriptor.digest


def test_a_platform_that_is_not_there_is_an_error_with_those_that_are(
    place: Place, tmp_path: Path
) -> None:
    image = put_image(place.content, [b"x"], platform=ARM64)
    entry = replace(image.descriptor, platform=ARM64).document()
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
    place.content.put_manifest(Manifest.make(document), "arm")

    with pytest.raises(BuildError, match=r"no linux/amd64 in .*: it has linux/arm64"):
        place.resolve(tmp_path / "cache", "arm")


def test_an_image_of_another_platform_without_an_index_is_refused(
    place: Place, tmp_path: Path
) -> None:
    put_image(place.content, [b"x"], tag="arm", platform=ARM64)

    with pytest.raises(BuildError, match=r"no linux/amd64 in .*: it has linux/arm64"):
        place.resolve(tmp_path / "cache", "arm")


def test_docker_schema_2_is_read_and_its_layers_get_the_oci_names(
    place: Place, tmp_path: Path
) -> None:
    put_image(
        place.content, [b"x", b"y"], tag="d", env=OFFICIAL_ENV, history=OFFICIAL_HISTORY,
        manifest={"mediaType": DOCKER_MANIFEST}, layer_type=DOCKER_LAYER_GZIP,
    )  # fmt: skip

    layers = place.resolve(tmp_path / "cache", "d").layers

    assert {one.descriptor.media_type for one in layers} == {OCI_LAYER_GZIP}


def test_a_docker_manifest_list_is_read(place: Place, tmp_path: Path) -> None:
    ours, _ = put_index(place.content, DOCKER_INDEX, tag="list")

    assert place.resolve(tmp_path / "cache", "list").facts.identity == ours.descriptor.digest


def test_a_tag_that_does_not_exist_is_an_error_that_names_it(place: Place, tmp_path: Path) -> None:
    put_image(place.content, [b"x"], tag="there")

    with pytest.raises(BuildError, match=r"no such base image: .*:absent"):
        place.resolve(tmp_path / "cache", "absent")


def test_a_foreign_layer_is_refused(place: Place, tmp_path: Path) -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    put_image(place.content, [b"x"], tag="f", layer_type=foreign)

    with pytest.raises(BuildError, match=r"cannot be taken over: '.*foreign"):
        place.resolve(tmp_path / "cache", "f")


def test_a_config_with_too_few_diff_ids_is_refused(place: Place, tmp_path: Path) -> None:
    put_image(place.content, [b"x"], tag="r", config={"rootfs": {"type": "layers"}})

    with pytest.raises(BuildError, match="has 1 layers, but its config names 0"):
        place.resolve(tmp_path / "cache", "r")


def test_another_python_than_wanted_is_an_error_that_names_both(
    place: Place, tmp_path: Path
) -> None:
    put_image(place.content, [b"x"], tag="p", env=OFFICIAL_ENV, history=OFFICIAL_HISTORY)

    with pytest.raises(BuildError, match=r"has Python 3\.11, not 3\.12"):
        place.resolve(tmp_path / "cache", "p", python="3.12")


def test_the_layers_are_read_once_where_the_config_does_not_tell(
    place: Place, tmp_path: Path
) -> None:
    patch = {"usr/include/python3.11/patchlevel.h": File(b'#define PY_VERSION   "3.11.4"\n')}
    layers = [layer(SYSTEM), layer(PYTHON | patch)]
    put_image(place.content, layers, tag="own", env=("CUDA_VERSION=12.4",))

    first = place.resolve(tmp_path / "cache", "own")
    read = place.reporter.bytes
    second = place.resolve(tmp_path / "cache", "own")

    assert (first.facts.python.version, first.facts.python.executable) == (
        "3.11.4",
        "/usr/bin/python3.11",
    )
    assert (first.facts.libc, first.facts.libc_version) == ("glibc", "2.36")
    assert read == sum(one.descriptor.size for one in first.layers)
    assert place.reporter.bytes == read
    assert second.facts == first.facts


def zstd_frames(data: bytes) -> bytes:
    """Two frames, and what partial pulls are made of: a frame without content."""
    half = len(data) // 2
    index = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"toc."
    return zstandard.compress(data[:half]) + index + zstandard.compress(data[half:]) + index


def test_layers_of_zstd_are_read(place: Place, tmp_path: Path) -> None:
    put_image(
        place.content, [layer(SYSTEM), layer(PYTHON)], tag="z", env=("CUDA_VERSION=12.4",),
        layer_type=OCI_LAYER_ZSTD, pack=zstd_frames,
    )  # fmt: skip

    found = place.resolve(tmp_path / "cache", "z")

    assert {one.descriptor.media_type for one in found.layers} == {OCI_LAYER_ZSTD}
    assert (found.facts.python.version, found.facts.libc_version) == ("3.11", "2.36")


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: b"no zstd" + data])
def test_a_damaged_layer_of_zstd_is_an_error(
    place: Place, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    put_image(
        place.content, [layer(SYSTEM)], tag="z", env=("CUDA_VERSION=12.4",),
        layer_type=OCI_LAYER_ZSTD, pack=lambda data: damage(zstandard.compress(data)),
    )  # fmt: skip

    with pytest.raises(BuildError, match=r"a layer cannot be read: .*zstd"):
        place.resolve(tmp_path / "cache", "z")


def test_a_base_without_python_is_an_error(place: Place, tmp_path: Path) -> None:
    put_image(place.content, [layer(SYSTEM)], tag="none", env=("CUDA_VERSION=12.4",))

    with pytest.raises(BuildError, match=r"no python in .*:none"):
        place.resolve(tmp_path / "cache", "none")


def test_a_python_that_an_upper_layer_removed_is_not_there(place: Place, tmp_path: Path) -> None:
    removal = layer({"usr/bin/.wh.python3.11": File(), "usr/bin/.wh.python3": File()})
    put_image(place.content, [layer(SYSTEM | PYTHON), removal], tag="gone")

    with pytest.raises(BuildError, match="no python in"):
        place.resolve(tmp_path / "cache", "gone")


def test_an_opaque_folder_hides_what_lies_below_and_not_what_is_beside(
    place: Place, tmp_path: Path
) -> None:
    upper = {"opt/.wh..wh..opq": File(), "opt/conda/bin/python3.12": PROGRAM}
    lower = SYSTEM | {"opt/other/bin/python3.11": PROGRAM}
    put_image(place.content, [layer(lower), layer(upper)], tag="opaque")

    base = place.resolve(tmp_path / "cache", "opaque", python="3.12")

    assert base.facts.python.executable == "/opt/conda/bin/python3.12"
    with pytest.raises(BuildError, match=r"has Python 3\.12, not 3\.11"):
        place.resolve(tmp_path / "cache", "opaque")


def test_a_damaged_layer_is_an_error_and_nothing_is_remembered(
    place: Place, tmp_path: Path
) -> None:
    put_image(place.content, [layer(SYSTEM | PYTHON)[:1600]], tag="cut")

    with pytest.raises(LaunchError):
        place.resolve(tmp_path / "cache", "cut")
    assert not (tmp_path / "cache" / "base-facts").exists()


def test_names_longer_than_a_tar_header_are_read_in_every_format(
    place: Place, tmp_path: Path
) -> None:
    deep = "opt/" + "long-" * 40 + "/bin/python3.11"
    for number, kind in enumerate((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT)):
        put_image(place.content, [layer(SYSTEM | {deep: PROGRAM}, kind)], tag=f"long{number}")

        base = place.resolve(tmp_path / "cache", f"long{number}")

        assert base.facts.python.executable == f"/{deep}"


def test_a_layout_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    reference = parse_base(f"oci:{tmp_path / 'absent'}")

    with pytest.raises((BuildError, StoreError), match="absent"):
        resolve_base(
            reference, AMD64, "3.11", open_content=_no_registry,
            open_layout=lambda directory: LayoutContent.base(Path(directory)),
            cache=Cache(tmp_path / "cache"), reporter=Remembered(),
        )  # fmt: skip


def _no_registry(repository: Repository) -> Content:
    raise AssertionError(repository)


def test_a_real_debian_system_is_read_from_its_layers(
    python_base_layout: Path, tmp_path: Path
) -> None:
    base = resolve_base(
        LayoutBase(str(python_base_layout), "base"), AMD64, "3.11", open_content=_no_registry,
        open_layout=lambda directory: LayoutContent.base(Path(directory)),
        cache=Cache(tmp_path / "cache"), reporter=Remembered(),
    )  # fmt: skip

    assert base.facts.python.minor == "3.11"
    assert base.facts.python.executable == "/usr/bin/python3.11"
    assert (base.facts.libc, base.facts.libc_version) == ("glibc", "2.36")
