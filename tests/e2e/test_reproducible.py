"""One commit gives one job version: whoever builds it, wherever, and whatever was built before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tomli
from support.program import PROGRAM, Machine, files_below, succeeded
from support.repositories import Work, make_repository
from support.services import LocalRegistry

import launch_action

pytest_plugins = ["support.program_fixtures"]

pytestmark = pytest.mark.network

FILES = {
    "train.py": "import idna, six, tqdm\nprint(idna, six, tqdm)\n",
    "requirements.txt": "idna\nsix\ntqdm\n",
    "data/a b.txt": "x\n",
    "run.sh": "#!/bin/sh\n",
}
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")


def checkout(place: Path) -> Work:
    """The same commit every time: authors and times are fixed."""
    work = make_repository(place)
    work.write(FILES)
    (place / "run.sh").chmod(0o755)
    (place / "link").symlink_to("data")
    work.commit()
    return work


def build(
    machine: Machine, work: Work, *options: str, before: Sequence[str] = ()
) -> dict[str, Any]:
    ended = machine.run("build", "--json", *options, cwd=work.path, before=before)
    return succeeded(ended).document


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory, python_base_layout: Path) -> dict[str, Any]:
    """The version that a first user makes, from an empty cache."""
    place = tmp_path_factory.mktemp("reference")
    machine = Machine(place / "machine", also={"TZ": "UTC", "PYTHONHASHSEED": "1"})
    return build(machine, checkout(place / "checkout"), *options_for(python_base_layout))


def options_for(layout: Path) -> tuple[str, ...]:
    return ("-E", "python train.py", "--python", "3.11", "--base-image", f"oci:{layout}")


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    names = ("job_digest", "digest", "job_name")
    assert [one[name] for name in names] == [other[name] for name in names]


def test_another_directory_user_time_zone_and_umask(
    machine: Machine, tmp_path: Path, python_base_layout: Path
) -> None:
    """And another Python, as that user may have: without bytecode it has no part in the image."""
    given = (*options_for(python_base_layout), "--no-compile")
    reference = build(machine, checkout(tmp_path / "checkout"), *given)
    # pytest's directories are for this user alone, and so may the base's be.
    place = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    place.chmod(0o755)
    try:
        base = place / "another name of the base"
        shutil.copytree(python_base_layout, base)
        root = place / "deep er" / "machine"
        root.mkdir(parents=True)
        program, needed = program_of_anybody()
        also = {
            "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "2", "LANG": "C", "LC_ALL": "C",
            "USER": "somebody", "SOURCE_DATE_EPOCH": "1", "HOSTNAME": "other",
        }  # fmt: skip
        another = Machine(root, also=also | needed, program=program)
        another.environment()
        work = checkout(place / "another checkout")
        for folder in (root, root / "home", root / "tmp"):
            folder.chmod(0o777)
        other = (*NOBODY, *as_user()) if os.geteuid() == 0 else as_user()
        found = build(another, work, *options_for(base), "--no-compile", before=other)

        same(found, reference)
        assert found["cache_hit"] is False
        if os.geteuid() == 0:
            owners = {path.stat().st_uid for path in files_below(another.store)}
            assert owners == {65534}, "the other user built it"
    finally:
        shutil.rmtree(place)


def program_of_anybody() -> tuple[tuple[str, ...], dict[str, str]]:
    """The program as another user can start it, and variables for that.

    That user may be unable to reach the tests' own interpreter (in root's home): then a Python of
    the system serves, with the same packages.
    """
    if os.geteuid() != 0 or _starts(str(PROGRAM), "--version"):
        return (str(PROGRAM),), {}
    python = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    if not _starts(python, "--version"):
        pytest.skip(f"neither {PROGRAM} nor {python} can be started by another user")
    packages = [str(Path(name).parents[1]) for name in (launch_action.__file__, tomli.__file__)]
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"  # uv is there
    return (python, "-m", "launch_action"), {"PYTHONPATH": ":".join(packages), "PATH": path}


def _starts(*command: str) -> bool:
    whole = (*NOBODY, *as_user(), *command)
    return subprocess.run(whole, check=False, capture_output=True).returncode == 0


def as_user() -> tuple[str, ...]:
    return ("sh", "-c", 'umask 0077; exec "$@"', "sh")


def test_the_same_cache_again_in_another_store(
    reference: dict[str, Any], machine: Machine, tmp_path: Path, python_base_layout: Path
) -> None:
    options = options_for(python_base_layout)
    work = checkout(tmp_path / "checkout")
    first = build(machine, work, *options)
    warm = build(machine, work, *options, "--store", str(tmp_path / "other"))

    assert (first["cache_hit"], warm["cache_hit"]) == (False, False)
    same(first, reference)
    same(warm, reference)


def test_after_a_build_of_another_commit(
    reference: dict[str, Any], machine: Machine, tmp_path: Path, python_base_layout: Path
) -> None:
    options = options_for(python_base_layout)
    work = checkout(tmp_path / "checkout")
    wanted = work.git("rev-parse", "HEAD")
    work.commit({"requirements.txt": "idna\n", "train.py": "import idna\n"})
    build(machine, work, *options)
    work.git("checkout", "--quiet", wanted)

    same(build(machine, work, *options), reference)


@pytest.mark.registry
def test_a_registry_and_a_directory_hold_the_same_version(
    reference: dict[str, Any],
    tmp_path: Path,
    registry: LocalRegistry,
    python_base_layout: Path,
) -> None:
    machine = Machine(tmp_path / "machine")
    image = f"{registry.address}/acme/same"
    work = checkout(tmp_path / "checkout")
    found = build(machine, work, *options_for(python_base_layout), "--image", image)

    same(found, reference)
    assert found["job"] == f"{image}@{reference['job_digest']}"


@pytest.mark.registry
def test_a_fresh_machine_takes_the_layers_of_the_last_version(
    tmp_path: Path, registry: LocalRegistry, python_base: str
) -> None:
    """Nothing but the project's own code moves: neither wheels nor the base are fetched."""
    options = ("-E", "python train.py", "--python", "3.11", "--base-image", python_base)
    target = ("--image", f"{registry.address}/acme/fresh")
    work = checkout(tmp_path / "checkout")
    build(Machine(tmp_path / "first"), work, *options, *target)
    work.commit({"train.py": "import idna, six, tqdm\nprint('changed')\n"})

    away = {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1", "UV_HTTP_RETRIES": "0"}
    fresh = Machine(tmp_path / "fresh", also=away)
    ended = succeeded(fresh.run("build", "--json", *options, *target, cwd=work.path))
    rebuilt = Machine(tmp_path / "rebuilt")
    anew = build(rebuilt, work, *options, "--image", f"{registry.address}/acme/anew")

    assert "resolve" not in ended.document["metadata"]["timings"]
    assert ended.document["metadata"]["bytes_sent"] < 100_000
    assert ended.document["digest"] == anew["digest"]


@pytest.mark.registry
@pytest.mark.parametrize("place", ["registry", "directory"])
def test_programs_at_once_make_whole_versions(
    tmp_path: Path, registry: LocalRegistry, python_base_layout: Path, place: str
) -> None:
    """One cache, one store: twice the same commit and another, all from nothing."""
    machine = Machine(tmp_path / "machine")
    options = options_for(python_base_layout)
    image = f"{registry.address}/acme/at-once"
    options += ("--image", image) if place == "registry" else ()
    works = [checkout(tmp_path / f"{n}") for n in range(3)]
    works[2].commit({"train.py": "print('other')\n"})
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda work: build(machine, work, *options), works))

    same(found[0], found[1])
    assert len({one["job_digest"] for one in found}) == 2
    for one, work in zip(found, works, strict=True):
        again = build(machine, work, *options)
        assert again["cache_hit"] is True
        same(again, one)


def test_from_a_directory_below_and_from_a_linked_worktree(
    reference: dict[str, Any], machine: Machine, tmp_path: Path, python_base_layout: Path
) -> None:
    options = options_for(python_base_layout)
    work = checkout(tmp_path / "checkout")
    work.git("worktree", "add", "--quiet", "--detach", str(tmp_path / "linked"))

    below = machine.run("build", "--json", *options, cwd=work.path / "data")
    linked = machine.run("build", "--json", *options, cwd=tmp_path / "linked")
    elsewhere = machine.run("build", "--json", *options, "-C", "checkout/data", cwd=tmp_path)

    for ended in (below, linked, elsewhere):
        same(succeeded(ended).document, reference)
