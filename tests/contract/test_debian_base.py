"""`deb:` bases by the machine's apt and a real mirror: they run, they repeat, they are signed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.bases import AMD64, Remembered

from launch_action.builders.layers.archive import Entry
from launch_action.builders.layers.base import Base
from launch_action.builders.layers.debian import available, resolve_debian
from launch_action.builders.layers.debian_list import PackageList
from launch_action.builders.layers.debian_machine import Machine, Source
from launch_action.builders.layers.writer import write_layer
from launch_action.cache import Cache
from launch_action.core.base import DebianBase
from launch_action.core.errors import BuildError
from launch_action.core.image import Platform
from launch_action.core.reference import Digest

pytestmark = pytest.mark.network
MIRROR = "http://deb.debian.org/debian"
LIST = "usr/share/launch-action/base-packages"


def resolve(
    cache: Cache,
    python: str = "3.11",
    *,
    suite: str = "bookworm",
    identity: Digest | None = None,
    machine: Machine | None = None,
    platform: Platform = AMD64,
    fresh: float = 3600.0,
) -> Base:
    reference = DebianBase(suite, identity)
    facts, recipe = resolve_debian(
        reference, platform, python, cache=cache, reporter=Remembered(), machine=machine,
        fresh=fresh,
    )  # fmt: skip
    return Base(facts, recipes=(recipe,))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """A cache that the tests of this file share."""
    return Cache(tmp_path_factory.mktemp("debian"))


@pytest.fixture(scope="module")
def base(cache: Cache) -> Base:
    return resolve(cache)


@pytest.fixture(scope="module")
def entries(base: Base) -> dict[str, Entry]:
    return {entry.path: entry for entry in base.recipes[0].entries()}


@pytest.fixture(scope="module")
def layer(base: Base, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The file of the base's layer, and its digest."""
    archive = tmp_path_factory.mktemp("layer") / "layer.tar.gz"
    with archive.open("wb") as out:
        return archive, write_layer(base.recipes[0].entries(), out).digest


@pytest.fixture(scope="module")
def root(layer: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The base, unpacked."""
    folder = tmp_path_factory.mktemp("root")
    (folder / "root").mkdir()
    subprocess.run(["tar", "-xpf", layer[0], "-C", folder / "root"], check=True)
    (folder / "root/dev/null").touch()
    return folder / "root"


def inside(root: Path, *arguments: str) -> str:
    """What a program of the base prints, started in it."""
    become_root = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
    done = subprocess.run(
        [*become_root, "chroot", root, *arguments], capture_output=True, text=True, check=False,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LANG": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_machine_can_make_one() -> None:
    assert available() is None


def test_the_facts_come_from_the_packages(base: Base) -> None:
    assert base.facts.name == "deb:bookworm"
    assert base.facts.python.version.startswith("3.11.")
    assert base.facts.python.executable == "/usr/bin/python3.11"
    assert (base.facts.libc, base.facts.libc_version) == ("glibc", "2.36")
    assert base.facts.created.startswith("20")
    assert not base.layers


def test_the_facts_name_every_package_for_a_bill_of_materials(base: Base) -> None:
    system = base.facts.system
    assert system is not None
    named = {name: (version, sha256) for name, version, _, sha256 in system.packages}
    assert (system.vendor, system.suite) == ("debian", "bookworm")
    assert named["python3.11"][0].startswith("3.11.")
    assert len(named["libc6"][1]) == 64


def test_python_runs_in_it_with_what_programs_use(root: Path) -> None:
    program = (
        "import asyncio, bz2, ctypes, ctypes.util, curses, dbm, lzma, multiprocessing, pwd,"
        "readline, socket, sqlite3, ssl, subprocess, uuid, venv, zoneinfo, locale;"
        "locale.setlocale(locale.LC_ALL, 'C.UTF-8');"
        "print(pwd.getpwuid(0).pw_shell, zoneinfo.ZoneInfo('Europe/Berlin'), "
        "socket.getservbyname('https'), ctypes.util.find_library('z'))"
    )

    assert inside(root, "python", "-c", program) == "/bin/sh Europe/Berlin 443 libz.so.1\n"


def test_it_has_the_libraries_that_wheels_may_count_on(root: Path) -> None:
    """PEP 600: what manylinux wheels link to without bringing it, as far as Python's image goes."""
    names = ("libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libz.so.1")
    program = f"import ctypes\nfor name in {names}: ctypes.CDLL(name)"
    inside(root, "python", "-c", program)


def test_a_shell_and_the_usual_tools_run_in_it(root: Path) -> None:
    told = inside(
        root, "sh", "-c", "id -un; which ls; awk 'BEGIN { print 6 * 7 }'; readlink -f /bin"
    )

    assert told.split() == ["root", "/usr/bin/ls", "42", "/usr/bin"]


def test_a_virtual_environment_can_be_made_in_it(root: Path) -> None:
    inside(root, "python3", "-m", "venv", "/tmp/venv")

    assert "pip" in inside(root, "/tmp/venv/bin/pip", "--version")


def test_openssl_trusts_every_certificate_by_bundle_and_by_hash(root: Path) -> None:
    names = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    inputs = [f"/usr/share/ca-certificates/mozilla/{path.name}" for path in names]

    by_hash = inside(
        root, "openssl", "verify", "-no_check_time", "-no-CAfile", "-CApath", "/etc/ssl/certs",
        *inputs,
    )  # fmt: skip
    by_file = inside(root, "python3", "-c", (
        "import ssl; print(len(ssl.create_default_context("
        "cafile='/etc/ssl/certs/ca-certificates.crt').get_ca_certs()))"
    ))  # fmt: skip

    assert by_hash.count(": OK\n") == len(names) > 100
    assert int(by_file) == len(names)


def test_the_loader_cache_is_what_ldconfig_would_write(root: Path) -> None:
    ours = sorted(inside(root, "ldconfig", "-p").splitlines())
    shutil.copy(root / "etc/ld.so.cache", root.parent / "ours")
    inside(root, "ldconfig")
    theirs = [
        line for line in inside(root, "ldconfig", "-p").splitlines() if "generated" not in line
    ]
    shutil.copy(root.parent / "ours", root / "etc/ld.so.cache")

    assert ours == sorted(theirs)
    assert len(ours) > 50


def test_the_identity_is_the_digest_of_the_list_inside(
    base: Base, entries: dict[str, Entry]
) -> None:
    listed = entries[LIST].content

    assert isinstance(listed, bytes)
    assert base.facts.identity == f"sha256:{hashlib.sha256(listed).hexdigest()}"
    assert PackageList.read(listed.decode()).find("python3.11")


def test_nothing_in_it_has_a_set_id_bit_or_another_owner(entries: dict[str, Entry]) -> None:
    assert not [e.path for e in entries.values() if e.mode & 0o6000 or e.uid or e.gid]


def test_dpkg_reads_its_own_list_in_it(root: Path, entries: dict[str, Entry]) -> None:
    listed = entries[LIST].content
    assert isinstance(listed, bytes)

    told = inside(root, "dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\n")

    expected = {" ".join(line.split()[:2]) for line in listed.decode().splitlines()}
    assert {line.removesuffix(" ii ") for line in told.splitlines()} == expected


def in_a_child(folder: Path, uid: int, umask: int) -> bytes:
    """The digest of the layer that a process of this user makes with a cache of its own."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            os.umask(umask)
            os.environ |= {"HOME": "/nonexistent", "TZ": "Asia/Tokyo"}
            found = resolve(Cache(folder / "cache"))
            with (folder / "layer").open("wb") as out:
                os.write(write, write_layer(found.recipes[0].entries(), out).digest.encode())
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with open(read, "rb") as pipe:  # noqa: PTH123 - a descriptor, not a path
        told = pipe.read()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    return told


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that another user can use; pytest's own are closed."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_with_another_umask_and_cache_makes_the_same_layer(
    layer: tuple[Path, str], public_folder: Path
) -> None:
    assert in_a_child(public_folder, 65534, 0o077).decode() == layer[1]


def test_two_runs_at_once_share_a_cold_cache(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from launch_action.cache import Cache\n"
        "from launch_action.builders.layers.debian import resolve_debian\n"
        "from launch_action.core.base import DebianBase\n"
        "from support.bases import AMD64, Remembered\n"
        "facts, recipe = resolve_debian(DebianBase('bookworm'), AMD64, '3.11',"
        " cache=Cache(Path(sys.argv[1])), reporter=Remembered())\n"
        "print(facts.identity, sum(1 for _ in recipe.entries()))\n"
    )
    paths = os.pathsep.join(str(Path(__file__).parents[n] / d) for n, d in ((1, ""), (2, "src")))
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program, tmp_path / "cache"], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths},
        )
        for _ in range(2)
    ]  # fmt: skip
    told = [run.communicate() for run in runs]

    assert [run.returncode for run in runs] == [0, 0], told
    assert told[0][0] == told[1][0] != b""


def test_a_list_that_was_just_resolved_is_taken_without_apt(
    base: Base, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launch_action.process.run", None)

    assert resolve(cache).facts == base.facts


def test_an_older_list_is_asked_for_again(base: Base, cache: Cache) -> None:
    assert resolve(cache, fresh=0).facts == base.facts


def test_a_pin_that_still_holds_resolves(base: Base, tmp_path: Path) -> None:
    pinned = resolve(Cache(tmp_path), identity=Digest(base.facts.identity))

    assert pinned.facts == base.facts
    assert pinned.recipes[0].key == base.recipes[0].key


def test_a_pin_that_is_no_more_says_what_changed(base: Base, tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    now = PackageList.read(_list_of(base, cache))
    old = PackageList.of(p for p in now.packages if p.name != "netbase")
    with cache.write("base-packages", old.identity.hex) as path:
        path.write_text(old.text)

    with pytest.raises(BuildError, match=f"is {now.identity} now, not {old.identity}") as caught:
        resolve(cache, identity=old.identity)
    assert caught.value.context == "netbase: added"


def _list_of(base: Base, cache: Cache) -> str:
    found = resolve(cache)
    assert found.facts.identity == base.facts.identity
    path = cache.find("base-packages", Digest(found.facts.identity).hex)
    assert path
    return path.read_text()


def test_another_python_than_the_suites_is_an_error_that_names_both(cache: Cache) -> None:
    with pytest.raises(BuildError, match=r"deb:bookworm has Python 3\.11, not 3\.12"):
        resolve(cache, "3.12")


def test_a_platform_that_debian_has_not_is_an_error(cache: Cache) -> None:
    with pytest.raises(BuildError, match="no linux/mips in base image deb:bookworm"):
        resolve(cache, platform=Platform("linux", "mips"))


def test_another_suite_has_another_python(cache: Cache) -> None:
    facts = resolve(cache, "3.13", suite="trixie").facts

    assert facts.python.minor == "3.13"
    assert facts.libc_version == "2.41"


def mirror(folder: Path, release: bytes) -> Machine:
    """A machine whose mirror is a folder with this InRelease file."""
    place = folder / "mirror" / "dists" / "bookworm"
    place.mkdir(parents=True)
    (place / "InRelease").write_bytes(release)
    source = Source(f"file:{folder / 'mirror'}", "bookworm", "main", "amd64", "Debian")
    return Machine("debian", "bookworm", (source,))


@pytest.fixture(scope="module")
def release() -> bytes:
    with urllib.request.urlopen(f"{MIRROR}/dists/bookworm/InRelease") as found:
        data: bytes = found.read()
    return data


def test_a_release_file_that_was_changed_is_refused(release: bytes, tmp_path: Path) -> None:
    changed = release.replace(b"Origin: Debian", b"Origin: Debiam", 1)
    assert changed != release

    with pytest.raises(BuildError, match=r"is not signed by 'debian-archive-keyring\.gpg'"):
        resolve(Cache(tmp_path / "cache"), machine=mirror(tmp_path, changed))


def test_a_release_file_without_a_signature_is_refused(release: bytes, tmp_path: Path) -> None:
    bare = release.split(b"\n\n", 1)[1].split(b"-----BEGIN PGP SIGNATURE")[0]

    with pytest.raises(BuildError, match="is not signed by"):
        resolve(Cache(tmp_path / "cache"), machine=mirror(tmp_path, bare))


def test_a_mirror_that_is_not_there_is_an_error_without_its_password(tmp_path: Path) -> None:
    source = Source(
        "http://robot:hunter2@127.0.0.1:9/debian", "bookworm", "main", "amd64", "Debian"
    )

    with pytest.raises(BuildError, match=r"from http://127\.0\.0\.1:9/debian") as caught:
        resolve(Cache(tmp_path), machine=Machine("debian", "bookworm", (source,)))
    assert "hunter2" not in f"{caught.value.message}{caught.value.context}{caught.value.hint}"
    left = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert b"hunter2" not in left


def test_a_machine_without_the_keyring_says_which_package_has_it(tmp_path: Path) -> None:
    machine = Machine("debian", "bookworm", (), keyrings=(tmp_path / "none",))

    with pytest.raises(BuildError, match="no keyring of Ubuntu on this machine") as caught:
        resolve(Cache(tmp_path), "3.12", suite="noble", machine=machine)
    assert "ubuntu-keyring" in caught.value.hint


def test_a_keyring_is_taken_from_the_machines_own_signed_archive(tmp_path: Path) -> None:
    """As an Ubuntu machine does for Debian: here Debian's own package, under another's name."""
    from launch_action.builders.layers.debian_keyring import find_keyring
    from launch_action.builders.layers.debian_suites import Distribution

    wanted = Distribution(
        "other", "Other", (), (), "debian-archive-removed-keys", "debian-archive-keyring"
    )
    rings = tmp_path / "rings"
    rings.mkdir()
    shutil.copy("/usr/share/keyrings/debian-archive-keyring.gpg", rings)
    machine = Machine("debian", "bookworm", (), keyrings=(rings,))

    found = find_keyring(wanted, machine, Cache(tmp_path / "cache"))

    assert (
        found.read_bytes()
        == Path("/usr/share/keyrings/debian-archive-removed-keys.gpg").read_bytes()
    )
