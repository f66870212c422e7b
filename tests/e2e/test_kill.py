"""Killed or interrupted at any moment: the store stays whole, and the same command completes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.bases import OFFICIAL_ENV, OFFICIAL_HISTORY, PROGRAM, layer, put_image
from support.index import make_wheel, serve_index
from support.jobs import eventually
from support.program import Ended, Machine, files_below, kill_group, succeeded
from support.repositories import Work, make_repository
from support.services import LocalRegistry
from support.versions import check_complete

from launch_action.core.ports import Content
from launch_action.core.reference import Repository
from launch_action.oci.docker_config import DockerCredentials
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

pytest_plugins = ["support.program_fixtures"]

JOB = "job-https___github.com_acme_mono-train.py"


@dataclass(frozen=True, slots=True)
class Scene:
    """A commit to build on a small base, and what an undisturbed build gives, in how long."""

    work: Work
    options: tuple[str, ...]
    digest: str
    seconds: float

    def moments(self, count: int) -> list[float]:
        """Moments of a build, one at random in each of so many equal parts."""
        length = self.seconds / count
        return [(at + random.random()) * length for at in range(count)]


def noise(megabytes: int) -> bytes:
    return random.Random(megabytes).randbytes(megabytes << 20)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    place = tmp_path_factory.mktemp("scene")
    base = LayoutContent(place / "base", "base")
    files = layer({"usr/local/bin/python3.11": PROGRAM})
    put_image(base, [files, layer({})], tag="base", env=OFFICIAL_ENV, history=OFFICIAL_HISTORY)
    with serve_index() as index:
        for name in ("light-demo", "heavy-demo"):
            module = name.replace("-", "_")
            data = noise(6) if name == "heavy-demo" else b"x"
            index.add(make_wheel(name, "1.0", files={f"{module}/data.bin": data}))
        work = make_repository(place / "checkout")
        work.commit(
            {
                "requirements.txt": f"--index-url {index.url}\nlight-demo\nheavy-demo\n",
                "train.py": "print('hello')\n",
                "data.bin": noise(5),
            }
        )
        options = (
            "--entry-point", "python train.py", "--python", "3.11",
            "--base-image", f"oci:{place / 'base'}",
        )  # fmt: skip
        machine = Machine(place / "machine")
        ended = succeeded(machine.run("build", "--json", *options, cwd=work.path))
        yield Scene(work, options, ended.document["job_digest"], ended.seconds)


def disturb(machine: Machine, scene: Scene, moment: float, *target: str) -> None:
    """Start the build and kill it, with all that it started, after so many seconds."""
    command = ("build", "--json", *scene.options, *target)
    with machine.started(*command, cwd=scene.work.path) as child:
        time.sleep(moment)
        kill_group(child.pid)


def complete(machine: Machine, scene: Scene, *target: str) -> Ended:
    command = ("build", "--json", *scene.options, *target)
    return succeeded(machine.run(*command, cwd=scene.work.path))


def aliases(content: Content) -> dict[str, str]:
    """What every alias names, all of it read."""
    return {str(tag): str(digest) for tag, digest in check_complete(content).items()}


def open_registry(address: str, name: str) -> Content:
    registries = Registries(DockerCredentials({}, {}), environment={}, note=lambda _: None)
    return registries.open(Repository.parse(f"{address}/{name}"))


def test_killed_while_it_builds_into_an_empty_directory(scene: Scene, tmp_path: Path) -> None:
    for number, moment in enumerate(scene.moments(5)):
        machine = Machine(tmp_path / f"{number}")
        disturb(machine, scene, moment)
        layout = machine.layout(JOB)
        if layout.exists():
            assert set(aliases(LayoutContent(layout, JOB)).values()) <= {scene.digest}, moment

        assert complete(machine, scene).document["job_digest"] == scene.digest
        assert aliases(LayoutContent(layout, JOB))["latest"] == scene.digest
        assert_tidy(layout)


def test_killed_again_and_again_over_an_older_version(scene: Scene, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    work = scene.work
    newest = work.git("rev-parse", "HEAD")
    older = work.commit({"train.py": "print('another')\n"})
    first = complete(machine, scene).document["job_digest"]
    work.git("checkout", "--quiet", newest, "-B", "main")
    try:
        for moment in scene.moments(10):
            shutil.rmtree(machine.cache_directory, ignore_errors=True)
            disturb(machine, scene, moment)
            found = aliases(LayoutContent(machine.layout(JOB), JOB))
            assert found["latest"] in (first, scene.digest), moment
            assert found[f"sha-{older}"] == first
    finally:
        work.git("checkout", "--quiet", newest, "-B", "main")

    assert complete(machine, scene).document["job_digest"] == scene.digest
    assert aliases(LayoutContent(machine.layout(JOB), JOB))["latest"] == scene.digest
    assert_tidy(machine.layout(JOB))


@pytest.mark.registry
def test_killed_while_it_pushes(scene: Scene, tmp_path: Path, registry: LocalRegistry) -> None:
    for number, moment in enumerate(scene.moments(5)):
        machine, name = Machine(tmp_path / f"{number}"), f"kill/at-{number}"
        target = ("--image", f"{registry.address}/{name}")
        disturb(machine, scene, moment, *target)
        found = aliases(open_registry(registry.address, name))
        assert set(found.values()) <= {scene.digest}, moment

        assert complete(machine, scene, *target).document["job_digest"] == scene.digest
        assert aliases(open_registry(registry.address, name))["latest"] == scene.digest


def assert_tidy(layout: Path) -> None:
    """Nothing is in the directory but an OCI layout, blobs named by digest, and our own state.

    What a killed run was writing lies there, and is swept when it is old.
    """
    for path in files_below(layout):
        name, folder = path.name, path.parent.name
        if folder == "sha256":
            assert len(name) == 64, path
        else:
            assert folder == ".launch-action" or name in ("index.json", "oci-layout"), path


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_interrupted_it_cleans_up(
    scene: Scene, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    codes: list[int] = []
    latest = scene.seconds
    while len(codes) < 20 and codes.count(code) < 3:
        at = len(codes)
        machine = Machine(tmp_path / f"{at}")
        moment = latest * (0.3 + 0.618 * at % 0.7)  # all over the build, in no order
        with machine.started("build", *scene.options, cwd=scene.work.path) as child:
            time.sleep(moment)
            if number == signal.SIGINT:
                os.killpg(child.pid, number)  # as a terminal does
            else:
                child.send_signal(number)
            _, err = child.communicate(timeout=20)
        codes.append(child.returncode)
        # A machine may have more to do, or less, than when the time was taken.
        latest *= {0: 0.8, -number: 1.2}.get(child.returncode, 1)
        text = err.decode()
        # While the interpreter itself starts or ends, the signal does what it does by default.
        assert child.returncode in (code, -number, 0), text
        assert child.returncode == -number or "Traceback" not in text
        assert machine.leftovers() == [], text
        for folder in (machine.cache_directory, machine.store):
            partial = [path for path in folder.rglob("*") if "partial" in path.name]
            assert partial == [], text
        if machine.layout(JOB).exists():
            assert_tidy(machine.layout(JOB))
    assert codes.count(code) >= 3, codes


WAITS = """\
import os, pathlib, signal, subprocess, time
child = subprocess.Popen(["sleep", "600"])
pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"], "pids").write_text(f"{os.getpid()} {child.pid}")
print("waiting", flush=True)
time.sleep(600)
"""


def state(pid: str) -> str:
    """A process's state: `Z` has ended and waits for its parent; empty when it is gone."""
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_job_ends_with_the_program(
    machine: Machine, work: Work, options: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    work.commit({"train.py": WAITS})
    command = ("launch", "-r", "local-process", *options)
    with machine.started(*command, cwd=work.path) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"waiting\n"
        child.send_signal(number)
        _, err = child.communicate(timeout=30)

    assert child.returncode == code, err.decode()
    assert machine.leftovers() == []
    (outputs,) = (work.path / "launch-output").iterdir()
    for pid in (outputs / "pids").read_text().split():
        assert state(pid) in ("", "Z")


def processes_about(text: str) -> list[str]:
    """The command lines of this machine's processes that name something."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        found += [words] if text in words else []
    return found


@pytest.fixture
def silent_remote() -> Iterator[str]:
    """A repository's address where somebody listens and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mono.git"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("command", ["fetch", "check"])
def test_a_remote_that_never_answers_keeps_nobody(
    machine: Machine, tmp_path: Path, silent_remote: str, command: str, number: signal.Signals
) -> None:
    work = make_repository(tmp_path / "mono", remote=silent_remote)
    work.commit({"train.py": ""})
    path = silent_remote if command == "fetch" else str(work.path)
    arguments = ("job", "create", "git", path, "--entry-point", "python train.py")
    with machine.started(*arguments, cwd=tmp_path) as child:
        while not processes_about(f"git-remote-http origin {silent_remote}"):
            assert child.poll() is None
            time.sleep(0.05)
        child.send_signal(number)
        _, err = child.communicate(timeout=20)

    assert child.returncode == 128 + number, err.decode()
    assert machine.leftovers() == []
    assert eventually(lambda: not processes_about(silent_remote))


def test_a_build_that_fails_waits_for_no_remote(
    machine: Machine, tmp_path: Path, silent_remote: str
) -> None:
    work = make_repository(tmp_path / "mono", remote=silent_remote)
    work.commit({"train.py": ""})

    options = ("--entry-point", "python train.py", "--python", "3.11")
    ended = machine.run("build", *options, "--base-image", "oci:nowhere", cwd=work.path, timeout=20)

    assert ended.code == 4, ended.err
    assert machine.leftovers() == []
    assert eventually(lambda: not processes_about(silent_remote))
