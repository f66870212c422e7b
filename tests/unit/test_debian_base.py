"""The pure parts of a distribution base: lists, sources, certificates, the loader's cache."""

from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path

import pytest
from support.bases import File, layer

from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.debian_certificates import subject_hash
from launch_action.builders.layers.debian_libraries import Library, loader_cache, search_directories
from launch_action.builders.layers.debian_list import Package, PackageList
from launch_action.builders.layers.debian_machine import Machine, Source
from launch_action.builders.layers.debian_suites import distribution_of, suite_sources
from launch_action.builders.layers.debian_system import system_entries
from launch_action.core.errors import BuildError

DEBIAN = "http://deb.debian.org/debian/"
MIRROR = "http://mirror.corp/debian/"
FIRST = Package("a", "1:2.0-1+b1", "amd64", "a" * 64)
SECOND = Package("b", "3~rc1", "all", "b" * 64)


def test_the_identity_does_not_depend_on_the_order_of_the_packages() -> None:
    assert PackageList.of([FIRST, SECOND]).identity == PackageList.of([SECOND, FIRST]).identity


def test_a_list_is_read_as_it_was_written() -> None:
    found = PackageList.of([SECOND, FIRST])

    assert PackageList.read(found.text) == found


def test_nonsense_is_no_list() -> None:
    with pytest.raises(BuildError, match="not a line of a package list"):
        PackageList.read("a 1 amd64 " + "z" * 64)


def test_the_changes_say_what_is_newer_gone_added_and_other() -> None:
    old = PackageList.of([FIRST, SECOND])
    new = PackageList.of(
        [Package("a", "1:2.1-1", "amd64", "c" * 64), Package("c", "1", "all", "d" * 64)]
    )

    assert old.changes(new) == ("a: 1:2.0-1+b1 -> 1:2.1-1", "b: gone", "c: added")
    other = PackageList.of([FIRST, Package("b", "3~rc1", "all", "e" * 64)])
    assert old.changes(other) == ("b: 3~rc1, but with other content",)


def test_an_unknown_suite_is_an_error_with_those_there_are() -> None:
    with pytest.raises(BuildError, match="unknown suite in base image: 'deb:potato'") as caught:
        distribution_of("potato")
    assert "bookworm" in caught.value.hint


def machine(*sources: Source) -> Machine:
    return Machine("debian", "bookworm", sources)


def test_the_mirrors_of_the_machine_are_taken_for_its_suite() -> None:
    here = machine(
        Source(MIRROR, "bookworm", "main", "amd64"),
        Source(MIRROR, "bookworm", "contrib", "amd64"),
        Source(MIRROR, "bookworm-backports", "main", "amd64"),
        Source("https://apt.releases.example.com/", "bookworm", "main", "amd64", "Example"),
        Source("https://packages.example.com/", "bookworm", "main", "amd64"),
    )

    assert suite_sources("bookworm", "amd64", here) == (
        Source(MIRROR, "bookworm", "main", "amd64"),
    )


def test_public_archives_are_taken_for_a_suite_that_the_machine_has_not() -> None:
    found = suite_sources("trixie", "amd64", machine(Source(MIRROR, "bookworm", "main", "amd64")))

    assert [(s.uri, s.suite) for s in found] == [
        (DEBIAN, "trixie"),
        (DEBIAN, "trixie-updates"),
        ("http://deb.debian.org/debian-security/", "trixie-security"),
    ]


def test_ubuntu_has_its_other_architectures_elsewhere() -> None:
    found = suite_sources("noble", "arm64", machine())

    assert {s.uri for s in found} == {"http://ports.ubuntu.com/ubuntu-ports/"}


def test_the_loader_finds_names_by_halving_from_the_largest() -> None:
    names = ["libz.so.1", "liba.so.10", "liba.so.9", "liba.so", "libA.so.1"]

    cache = loader_cache([Library(n, f"/lib/{n}") for n in names], "amd64")

    count, strings, flags = struct.unpack_from("<IIB", cache, 20)
    entries = [struct.unpack_from("<iIIIQ", cache, 48 + 24 * i) for i in range(count)]
    order = [cache[key : cache.index(b"\0", key)].decode() for _, key, *_ in entries]
    assert order == ["libz.so.1", "liba.so.10", "liba.so.9", "liba.so", "libA.so.1"]
    assert (count, strings, flags) == (5, len(cache) - 48 - 24 * 5, 2)
    assert {entry[0] for entry in entries} == {0x0303}


def test_the_configured_directories_come_before_the_trusted_ones() -> None:
    files = {
        "etc/ld.so.conf": b"include /etc/ld.so.conf.d/*.conf\n",
        "etc/ld.so.conf.d/b.conf": b"# comment\n/usr/local/lib\n",
        "etc/ld.so.conf.d/a.conf": b"/opt/lib\n",
        "etc/ld.so.conf.d/c.disabled": b"/never\n",
    }

    found = search_directories(files, "x86_64-linux-gnu")

    assert found[:3] == ("opt/lib", "usr/local/lib", "lib/x86_64-linux-gnu")
    assert "never" not in found


def test_what_is_no_certificate_has_no_hash() -> None:
    assert subject_hash(b"nothing") is None
    assert subject_hash(b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n") is None


def deb(folder: Path, name: str, files: dict[str, File]) -> tuple[Package, Path]:
    """A package file: an ar of uncompressed archives."""
    control = f"Package: {name}\nVersion: 1\nArchitecture: amd64\n".encode()
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": layer({"./control": File(control)}, tarfile.GNU_FORMAT),
        "data.tar": layer(files, tarfile.GNU_FORMAT),
    }
    out = io.BytesIO(b"!<arch>\n")
    out.seek(0, io.SEEK_END)
    for part, data in parts.items():
        out.write(f"{part:<16}{7:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode())
        out.write(data + b"\n" * (len(data) % 2))
    path = folder / f"{name}.deb"
    path.write_bytes(out.getvalue())
    return Package(name, "1", "amd64", name[0] * 64), path


def entries(folder: Path, **packages: dict[str, File]) -> dict[str, Entry]:
    made = [deb(folder, name, files) for name, files in sorted(packages.items())]
    listed = PackageList(tuple(package for package, _ in made))
    found = list(system_entries(listed, [path for _, path in made], "amd64", "debian"))
    assert len({entry.path for entry in found}) == len(found)
    before: set[str] = {""}
    for entry in found:
        assert entry.path.rpartition("/")[0] in before, f"{entry.path} comes before its folder"
        before.add(entry.path)
    return {entry.path: entry for entry in found}


def test_what_packages_put_into_bin_and_lib_lies_below_usr(tmp_path: Path) -> None:
    found = entries(tmp_path, a={"./bin/": File(None), "./bin/dash": File(b"x", 0o755)})

    assert found["bin"].target == "usr/bin"
    assert found["usr/bin/dash"].content == b"x"
    assert found["usr/bin/sh"].target == "dash"
    assert "bin/dash" not in found


def test_set_id_bits_are_dropped_and_the_sticky_bit_stays(tmp_path: Path) -> None:
    found = entries(tmp_path, a={"./usr/bin/su": File(b"x", 0o4755), "./tmp": File(None, 0o1777)})

    assert found["usr/bin/su"].mode == 0o755
    assert found["tmp"].mode == 0o1777


def test_of_the_documentation_only_copyright_files_stay(tmp_path: Path) -> None:
    files = {
        f"./usr/share/{name}": File(b"x")
        for name in ("doc/a/copyright", "doc/a/NEWS", "man/man1/a.1", "locale/de/a.mo", "info/a")
    }

    found = entries(tmp_path, a=files)

    assert "usr/share/doc/a/copyright" in found
    assert not {
        "usr/share/doc/a/NEWS",
        "usr/share/man",
        "usr/share/locale",
        "usr/share/info",
    } & set(found)


def test_a_path_out_of_the_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="out of the system"):
        entries(tmp_path, a={"../evil": File(b"x")})


def test_accounts_come_from_the_master_copies_with_a_shell_that_is_there(tmp_path: Path) -> None:
    master = b"root:*:0:0:root:/root:/bin/bash\n"

    found = entries(tmp_path, a={"./usr/share/base-passwd/passwd.master": File(master)})

    assert found["etc/passwd"].content == b"root:*:0:0:root:/root:/bin/sh\n"


def test_the_image_names_its_packages(tmp_path: Path) -> None:
    found = entries(tmp_path, a={}, b={})

    status = found["var/lib/dpkg/status"].content
    assert isinstance(status, bytes)
    assert status.count(b"Status: install ok installed\n") == 2
    assert found["usr/share/launch-action/base-packages"].content == (
        b"a 1 amd64 " + b"a" * 64 + b"\nb 1 amd64 " + b"b" * 64 + b"\n"
    )
