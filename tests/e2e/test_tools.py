"""What is stored is an image to everybody else's tools: skopeo, umoci, Docker's engine, podman."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.program import Machine, succeeded
from support.repositories import make_repository
from support.services import LocalRegistry

pytest_plugins = ["support.program_fixtures"]

pytestmark = [pytest.mark.network, pytest.mark.registry]

JOB = "job-https___github.com_acme_mono-train.py"
SCRIPT = """\
import getpass, importlib.metadata, json, os, pathlib, subprocess, sys
import answers, six
pathlib.Path("written-beside-the-code").write_text("yes")
pathlib.Path.home().joinpath("written-at-home").write_text("yes")
print(json.dumps({
    "argv": sys.argv[1:],
    "cwd": os.getcwd(),
    "prefix": sys.prefix,
    "ids": [os.getuid(), os.getgid()],
    "user": getpass.getuser(),
    "home": str(pathlib.Path.home()),
    "answer": answers.ANSWER,
    "versions": {one.name: one.version for one in importlib.metadata.distributions()},
    "script": subprocess.check_output(["tqdm", "--version"], text=True).strip(),
    "damaged": [
        str(file) for one in importlib.metadata.distributions() for file in one.files or ()
        if file.hash and not file.locate().exists()
    ],
    "link": os.readlink("link"),
    "modes": [oct(os.stat(name).st_mode)[-3:] for name in ("run.sh", "train.py")],
}))
"""
EXPECTED = {
    "argv": ["--rate", "a b"],
    "cwd": "/app",
    "prefix": "/opt/venv",
    "ids": [1000, 0],
    "user": "job",
    "answer": 42,
    "versions": {"six": "1.16.0", "tqdm": "4.66.1"},
    "script": "4.66.1",
    "damaged": [],
    "link": "run.sh",
    "modes": ["755", "644"],
}


@dataclass(frozen=True, slots=True)
class Stored:
    """One job version, in a registry and in a directory."""

    image: str
    layout: Path
    document: dict[str, Any]


@pytest.fixture(scope="module")
def stored(
    tmp_path_factory: pytest.TempPathFactory,
    shared_cache: Path,
    registry: LocalRegistry,
    python_base: str,
) -> Stored:
    place = tmp_path_factory.mktemp("stored")
    work = make_repository(place / "checkout")
    work.write(
        {
            "train.py": SCRIPT,
            "run.sh": "#!/bin/sh\n",
            "src/answers.py": "ANSWER = 42\n",
            "requirements.txt": "six==1.16.0\ntqdm==4.66.1\n",
        }
    )
    (work.path / "run.sh").chmod(0o755)
    (work.path / "link").symlink_to("run.sh")
    work.commit()
    machine = Machine(place / "machine", shared_cache)
    options = (
        "-E", "python train.py --rate 'a b'", "--python", "3.11",
        "--base-image", python_base, "--json",
    )  # fmt: skip
    image = f"{registry.address}/acme/tools"
    pushed = machine.run("build", *options, "--image", image, cwd=work.path)
    local = machine.run("build", *options, cwd=work.path)
    assert succeeded(local).document["job_digest"] == succeeded(pushed).document["job_digest"]
    return Stored(image, machine.layout(JOB), pushed.document)


def run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, env=os.environ | (env or {}), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def check_job(output: str) -> None:
    """The job's own words: it ran as it is meant to."""
    said = json.loads(output)
    assert {name: said[name] for name in EXPECTED} == EXPECTED
    assert said["home"].startswith("/")


# ---- skopeo and umoci ----------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["registry", "layout"])
def test_skopeo_copies_the_version_whole(stored: Stored, tmp_path: Path, place: str) -> None:
    origin = f"docker://{stored.image}" if place == "registry" else f"oci:{stored.layout}"
    tls = ("--src-tls-verify=false",) if place == "registry" else ()

    run("skopeo", "copy", "--quiet", "--all", *tls, f"{origin}:latest", f"oci:{tmp_path}/copy:x")

    index = json.loads((tmp_path / "copy/index.json").read_text())
    assert [one["digest"] for one in index["manifests"]] == [stored.document["job_digest"]]


@pytest.mark.parametrize("place", ["registry", "layout"])
def test_skopeo_sees_an_image_of_this_platform(stored: Stored, place: str) -> None:
    origin = f"docker://{stored.image}" if place == "registry" else f"oci:{stored.layout}"
    tls = ("--tls-verify=false",) if place == "registry" else ()

    config = json.loads(run("skopeo", "inspect", "--config", *tls, f"{origin}:latest"))

    assert config["config"]["User"] == "1000:0"
    assert config["config"]["Entrypoint"] == ["python", "train.py", "--rate", "a b"]
    assert config["config"]["WorkingDir"] == "/app"
    text = json.dumps(config)
    assert stored.document["metadata"]["commit"] not in text, "the image is the content's alone"


def test_every_alias_can_be_copied_by_its_name(stored: Stored, tmp_path: Path) -> None:
    for alias in stored.document["tags"]:
        source = f"docker://{stored.image}:{alias}"
        run(
            "skopeo", "copy", "--quiet", "--src-tls-verify=false", source, f"dir:{tmp_path}/{alias}"
        )


def test_umoci_unpacks_the_image(stored: Stored, tmp_path: Path) -> None:
    # umoci takes no index with more than one manifest in it: skopeo chooses the platform's.
    run("skopeo", "copy", "--quiet", f"oci:{stored.layout}:latest", f"oci:{tmp_path}/one:x")
    rootless = () if os.geteuid() == 0 else ("--rootless",)
    run("umoci", "unpack", *rootless, "--image", f"{tmp_path}/one:x", f"{tmp_path}/bundle")

    root = tmp_path / "bundle" / "rootfs"
    assert (root / "app/train.py").read_text() == SCRIPT
    assert (root / "app/link").readlink() == Path("run.sh")
    assert (root / "opt/venv/bin/python").is_symlink()
    if os.geteuid() == 0:
        found = (root / "app/run.sh").stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (1000, 0, 0o755)
    process = json.loads((tmp_path / "bundle" / "config.json").read_text())["process"]
    assert process["args"] == ["python", "train.py", "--rate", "a b"]
    assert process["user"]["uid"] == 1000


# ---- engines -------------------------------------------------------------------------------------


@pytest.mark.engine
def test_the_engine_pulls_and_runs_it(stored: Stored, engine: str) -> None:
    image = f"{stored.image}:latest"
    run("docker", "pull", "--quiet", image)
    try:
        run("docker", "pull", "--quiet", stored.document["image"])
        check_job(run("docker", "run", "--rm", "--network=none", image))
        other = ("docker", "run", "--rm", "--network=none", "--user=4711:0", image)
        assert json.loads(run(*other))["ids"] == [4711, 0], "any user of group 0 may write"
    finally:
        run("docker", "image", "rm", "--force", image)


@pytest.mark.engine
def test_the_program_runs_it_in_the_engine(
    stored: Stored, engine: str, tmp_path: Path, shared_cache: Path
) -> None:
    machine = Machine(tmp_path / "machine", shared_cache)
    command = ("run", "--json", "-r", "local-container", f"{stored.image}:latest")
    ended = machine.run(*command, cwd=tmp_path)

    assert succeeded(ended).document["run_status"] == "succeeded"
    (line,) = (line for line in ended.err.splitlines() if line.startswith('{"argv"'))
    check_job(line)


@pytest.fixture
def podman() -> Iterator[Sequence[str]]:
    """podman with a storage of its own."""
    if not shutil.which("podman"):
        pytest.skip("podman is not installed")
    place = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    yield (
        "podman", f"--root={place}/root", f"--runroot={place}/run",
        "--cgroup-manager=cgroupfs", "--events-backend=file",
    )  # fmt: skip
    # podman mounts its storage onto itself, so that mounts in it are its own.
    subprocess.run(["umount", f"{place}/root/overlay"], check=False, capture_output=True)
    shutil.rmtree(place)


def test_podman_pulls_and_runs_it(stored: Stored, podman: Sequence[str]) -> None:
    image = f"{stored.image}:latest"
    run(*podman, "pull", "--quiet", "--tls-verify=false", image)

    # Limits that also a container within a container may set, no network of its own.
    limits = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--network=none")
    check_job(run(*podman, "run", "--rm", *limits, image))
