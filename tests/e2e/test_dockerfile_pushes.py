"""Images of Dockerfiles on their way: registries, builders elsewhere, secrets, kills."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support import newer_engine as newer
from support.bases import File, layer
from support.buildkit_proxy import CLIENT, DAEMON, buildkit_at
from support.images import stored_images
from support.loopback import certificates
from support.newer_engine import Engine
from support.program import Machine, failed, files_below, kill_group, succeeded
from support.registry import LOGIN, PASSWORD, USERNAME, running
from support.registry_proxy import Fault, Proxy, proxy_to
from support.repositories import Work, make_repository
from support.services import LocalRegistry
from support.versions import check_complete
from support.watching import watching

from launch_action.core.ports import Content
from launch_action.core.reference import Repository
from launch_action.oci.docker_config import DockerCredentials
from launch_action.oci.layout import LayoutContent
from launch_action.oci.registries import Registries

pytestmark = [pytest.mark.engine, pytest.mark.registry]
pytest_plugins = ["support.program_fixtures"]

JOB = "train"
OPTIONS = ("--job-name", JOB, "--entry-point", "python train.py", "--dockerfile", "Dockerfile",
           "--no-check-remote")  # fmt: skip
SECRET = "sw0rdfish-4711-hunter2"


@pytest.fixture
def machine(newer_engine: Engine, tmp_path: Path, shared_cache: Path) -> Machine:
    """A machine with the newer engine and buildx."""
    return Machine(tmp_path / "machine", shared_cache, newer_engine.environment())


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A Dockerfile that runs nothing, around a file that does not compress."""
    made = make_repository(tmp_path / "checkout")
    data = random.Random(1).randbytes(3 << 20)
    made.commit({"Dockerfile": "FROM scratch\nCOPY . /app/\n", "train.py": "", "data.bin": data})
    return made


def opened(
    address: str, name: str, *, login: bool = False, authority: Path | None = None
) -> Content:
    found = Registries(
        DockerCredentials({}, {address: LOGIN} if login else {}),
        environment={},
        note=lambda _: None,
        ca_file=str(authority or ""),
    )
    return found.open(Repository.parse(f"{address}/{name}"))


def aliases(content: Content) -> dict[str, str]:
    """What every alias names; all of it is read on the way."""
    return {str(tag): str(digest) for tag, digest in check_complete(content).items()}


# ---- registries ----------------------------------------------------------------------------------


def test_a_registry_with_a_password_gets_the_image(
    machine: Machine, work: Work, tmp_path: Path
) -> None:
    """By options, and by docker login; a base is pulled from there with the same login."""
    with running(tmp_path / "registry", password=True) as registry:
        first = ("--image", f"{registry.address}/base")
        login = ("--registry-username", USERNAME, "--registry-password", PASSWORD)
        refused = failed(machine.run("build", *OPTIONS, *first, cwd=work.path), 5)
        assert "docker login" in refused.hint
        succeeded(machine.run("build", *OPTIONS, *first, *login, cwd=work.path))
        assert "latest" in aliases(opened(registry.address, "base", login=True))

        work.commit({"Dockerfile": f"FROM {registry.address}/base:latest\nCOPY train.py /\n"})
        second = ("--image", f"{registry.address}/second")
        succeeded(machine.run("build", *OPTIONS, *second, *login, cwd=work.path))
        (image,) = stored_images(opened(registry.address, "second", login=True))
        assert "app/data.bin" in image.files()

        config = Path(machine.also["DOCKER_CONFIG"], "config.json")
        pair = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
        config.write_text(json.dumps({"auths": {registry.address: {"auth": pair}}}))
        try:
            third = ("--image", f"{registry.address}/third")
            succeeded(machine.run("build", *OPTIONS, *third, cwd=work.path))
        finally:
            config.unlink()
        assert "latest" in aliases(opened(registry.address, "third", login=True))
    assert machine.leftovers() == []


def test_a_registry_with_a_private_authority_gets_the_image(
    machine: Machine, work: Work, tmp_path: Path
) -> None:
    made = certificates(tmp_path / "certificates")
    with running(tmp_path / "registry", tls=made) as registry:
        image = ("--image", f"{registry.address}/train")
        failed(machine.run("build", *OPTIONS, *image, cwd=work.path), 5)
        trusted = ("--registry-ca", str(made.authority))
        succeeded(machine.run("build", *OPTIONS, *image, *trusted, cwd=work.path))

        assert "latest" in aliases(opened(registry.address, "train", authority=made.authority))


@pytest.fixture
def proxy(registry: LocalRegistry) -> Iterator[Proxy]:
    with proxy_to(registry.address) as made:
        yield made


PASSING = [
    Fault("status", "PUT", "/blobs/uploads/", status=500),
    Fault("status", "POST", "/blobs/uploads/", status=429, headers={"Retry-After": "0"}),
    Fault("reset", "PUT", "/blobs/uploads/", at=100_000),
    Fault("lose", "PUT", "/blobs/uploads/"),
    Fault("status", "PUT", "/manifests/", status=503),
    Fault("reset", "PUT", "/manifests/latest"),
    Fault("truncate", "GET", "/manifests/", at=10),
]


def test_a_push_survives_a_bad_network(
    machine: Machine, work: Work, registry: LocalRegistry, proxy: Proxy
) -> None:
    proxy.faults = [Fault(f.kind, f.method, f.path, 1, f.at, f.status, f.headers) for f in PASSING]
    ended = succeeded(
        machine.run("build", "--json", *OPTIONS, "--image", f"{proxy.address}/bad", cwd=work.path)
    )

    assert [fault for fault in proxy.faults if fault.method != "GET"] == []
    assert set(aliases(opened(registry.address, "bad")).values()) == {ended.document["job_digest"]}
    (image,) = stored_images(opened(registry.address, "bad"))
    assert image.files()["app/data.bin"].data == (work.path / "data.bin").read_bytes()


# What BuildKit says when it has lost something of its cache, before it goes on as ever.
LOSES = """\
#!/bin/sh
case "$*" in
"buildx build"*--output*)
  echo "$@" >> {folder}/builds
  if [ "$(wc -l < {folder}/builds)" = 1 ]; then
    echo "ERROR: failed to solve: failed to commit a1 to b2 during finalize: failed to stat" \\
      "active key during commit: snapshot 16qajjgj does not exist: not found" >&2
    exit 1
  fi ;;
esac
exec {docker} "$@"
"""


def test_what_buildkit_lost_of_its_cache_is_made_anew(
    machine: Machine, work: Work, registry: LocalRegistry, tmp_path: Path
) -> None:
    folder = tmp_path / "client"
    folder.mkdir()
    path = machine.environment()["PATH"]
    real = shutil.which("docker", path=path)
    (folder / "docker").write_text(LOSES.format(folder=folder, docker=real))
    (folder / "docker").chmod(0o755)
    command = ("build", "--json", *OPTIONS, "--image")
    whole = succeeded(machine.run(*command, f"{registry.address}/kept", cwd=work.path))

    losing = replace(machine, also={**machine.also, "PATH": f"{folder}:{path}"})
    ended = succeeded(losing.run(*command, f"{registry.address}/lost", cwd=work.path))

    assert "snapshot 16qajjgj does not exist: not found; try 2 of 4" in ended.err
    first, second = (folder / "builds").read_text().splitlines()
    assert "--no-cache" not in first
    assert "--no-cache" in second
    assert ended.document["job_digest"] == whole.document["job_digest"]


@pytest.mark.parametrize("path", ["/blobs/uploads/", "/manifests/sha256"])
def test_a_push_that_cannot_be_ends_without_a_tag(
    machine: Machine, work: Work, registry: LocalRegistry, proxy: Proxy, path: str
) -> None:
    name = f"never{path.count('m')}"
    body = json.dumps({"errors": [{"code": "DENIED", "message": "quota is used up"}]}).encode()
    proxy.faults = [Fault("status", "PUT", path, times=99, status=403, body=body)]
    command = ("build", *OPTIONS, "--image", f"{proxy.address}/{name}")
    ended = failed(machine.run(*command, cwd=work.path), 5)

    assert "quota is used up" in ended.error
    assert [tag for tag in registry.tags(name) if not tag.startswith("key-")] == []
    proxy.faults.clear()
    succeeded(machine.run(*command, cwd=work.path))
    assert "latest" in aliases(opened(registry.address, name))


# ---- builders elsewhere, and of our own ----------------------------------------------------------


def missing_privileges() -> str:
    """Why the machine's engine cannot start what a docker-container builder is; empty if it can."""
    name = f"launch-action-test-privileged:{os.getpid()}"
    subprocess.run(
        ["docker", "import", "-", name], input=layer({"f": File(b"")}), capture_output=True
    )
    try:
        made = subprocess.run(
            ["docker", "run", "--rm", "--privileged", "--network=none", name, "/f"],
            capture_output=True,
            text=True,
        )
    finally:
        docker("image", "rm", "--force", name)
    return "no privileged container" if "unable to apply caps" in made.stderr else ""


@pytest.fixture
def remote(newer_engine: Engine, machine: Machine, tmp_path: Path) -> Iterator[Machine]:
    """A machine whose current builder is a remote one."""
    settings = {**machine.also, "BUILDX_CONFIG": str(tmp_path / "buildx")}
    with buildkit_at(newer_engine.address, tmp_path / "buildkit.sock") as address:
        create = ["docker", "buildx", "create", "--use", "--name=far", "--driver=remote", address]
        subprocess.run(create, env={**os.environ, **settings}, check=True, capture_output=True)
        yield Machine(machine.root, machine.cache, settings)


def test_a_builder_elsewhere_pushes_by_digest_and_is_tried_again(
    remote: Machine, work: Work, registry: LocalRegistry, proxy: Proxy
) -> None:
    # More than the builder itself tries.
    proxy.faults = [Fault("status", "PUT", "/manifests/sha256", times=8, status=503)]
    command = ("build", "--json", *OPTIONS, "--image", f"{proxy.address}/far")
    ended = succeeded(remote.run(*command, cwd=work.path))

    assert "driver remote" in ended.err
    assert "pushing layers" in ended.err
    assert "try 2 of 4" in ended.err
    content = opened(registry.address, "far")
    assert set(aliases(content).values()) == {ended.document["job_digest"]}
    (image,) = stored_images(content)
    assert image.files()["app/data.bin"].data == (work.path / "data.bin").read_bytes()
    again = succeeded(remote.run(*command, cwd=work.path))
    assert again.document["cache_hit"] is True


def test_a_builder_elsewhere_that_is_refused_says_what_to_grant(
    remote: Machine, work: Work, registry: LocalRegistry, proxy: Proxy
) -> None:
    proxy.faults = [Fault("status", "POST", "/blobs/uploads/", times=99, status=403)]
    command = ("build", *OPTIONS, "--image", f"{proxy.address}/refused")
    ended = failed(remote.run(*command, cwd=work.path), 5)

    assert "403" in ended.error
    assert "docker login" in ended.hint
    assert registry.tags("refused") == []


def test_a_builder_elsewhere_hands_over_what_goes_into_a_directory(
    remote: Machine, work: Work
) -> None:
    succeeded(remote.run("build", *OPTIONS, cwd=work.path))

    (image,) = stored_images(LayoutContent(remote.layout(JOB), JOB))
    assert "app/train.py" in image.files()


def test_a_builder_is_made_where_one_is_needed_and_removed(
    work: Work,
    newer_engine: Engine,
    engine_packages: Path,
    engine: str,
    python_base: str,
    tmp_path: Path,
    shared_cache: Path,
) -> None:
    """The machine's engine alone cannot build for two platforms."""
    if lacking := missing_privileges():
        pytest.skip(f"engine: {lacking} can be started here, which the builder's is")
    name = f"launch-action-test-buildkit:{os.getpid()}"
    environment = newer.buildx_for(engine_packages, tmp_path / "client")
    environment["LAUNCH_ACTION_BUILDKIT_IMAGE"] = name
    folder = tmp_path / "image"
    folder.mkdir()
    with buildkit_at(newer_engine.address) as address:
        (folder / "buildctl").write_text(CLIENT.format(port=address.rpartition(":")[2]))
        (folder / "buildkitd").write_text(DAEMON)
        for program in folder.iterdir():
            program.chmod(0o755)
        (folder / "Dockerfile").write_text(
            f'FROM {python_base}\nCOPY build* /usr/bin/\nENTRYPOINT ["buildkitd"]\n'
        )
        docker("build", "--quiet", "--tag", name, str(folder))
        try:
            machine = Machine(tmp_path / "machine", shared_cache, environment)
            two = ("--platform", "linux/amd64,linux/arm64")
            ended = succeeded(machine.run("build", *OPTIONS, *two, cwd=work.path))
        finally:
            docker("image", "rm", "--force", name)

    assert "a docker-container builder is created" in ended.err
    assert len(list(stored_images(LayoutContent(machine.layout(JOB), JOB)))) == 2
    instances = tmp_path / "client" / "config" / "buildx" / "instances"
    assert list(instances.iterdir()) == []
    assert docker("ps", "--all", "--quiet", "--filter", "name=buildx_buildkit_launch-action") == ""


def docker(*arguments: str) -> str:
    """The machine's own engine, by its classic builder."""
    env = {**os.environ, "DOCKER_BUILDKIT": "0"}
    done = subprocess.run(["docker", *arguments], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


# ---- secrets -------------------------------------------------------------------------------------


def test_a_secret_is_given_to_the_build_and_left_nowhere(
    machine: Machine, work: Work, python_base: str, tmp_path: Path, registry: LocalRegistry
) -> None:
    (tmp_path / "token").write_text(f"file-{SECRET}\n")
    work.commit(
        {
            "Dockerfile": (
                f"FROM {python_base}\n"
                "RUN --mount=type=secret,id=value --mount=type=secret,id=file "
                "--mount=type=secret,id=variable,env=HERE "
                "cat /run/secrets/value /run/secrets/file; echo $HERE; "
                "cat /run/secrets/* | sha256sum > /sum; sleep 1\n"
            )
        }
    )
    also = {**machine.also, "TOKEN": f"variable-{SECRET}"}
    secrets = (
        f"value=value-{SECRET}", f"id=file,src={tmp_path / 'token'}", "id=variable,env=TOKEN",
    )  # fmt: skip
    inputs = json.dumps(
        {
            "entry-point": "python train.py", "dockerfile": "Dockerfile", "job-name": JOB,
            "image": f"{registry.address}/secrets", "secret": "\n".join(secrets),
        }
    )  # fmt: skip
    (tmp_path / "output").touch()
    step = {
        "GITHUB_ACTIONS": "true", "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_EVENT_NAME": "push", "GITHUB_REF": "refs/heads/main",
    }  # fmt: skip
    run = Machine(machine.root, machine.cache, {**also, **step, "LAUNCH_INPUTS": inputs})
    with watching() as watched:
        ended = run.run("action", cwd=work.path)
    assert ended.code == 0, ended.err + ended.out

    (image,) = stored_images(opened(registry.address, "secrets"), "main")
    assert len(image.files(layers=slice(1, None))["sum"].data) > 64
    told = ended.out.replace(f"::add-mask::value-{SECRET}\n", "") + ended.err
    assert "***" in told
    assert SECRET not in told
    assert SECRET.encode() not in b"".join(watched.lines)
    assert any(b"--secret=id=value,src=/proc/" in line for line in watched.lines)
    for path in (*files_below(registry.directory), *files_below(machine.root)):
        assert SECRET.encode() not in path.read_bytes(), path
    for file in image.files(layers=slice(1, None)).values():
        assert SECRET.encode() not in file.data
    assert machine.leftovers() == []


# ---- interrupted ---------------------------------------------------------------------------------


def test_killed_at_any_moment_the_next_run_completes(
    machine: Machine, work: Work, registry: LocalRegistry
) -> None:
    command = ("build", "--json", *OPTIONS)
    first = succeeded(machine.run(*command, "--image", f"{registry.address}/whole", cwd=work.path))
    for number in range(10):
        name = f"killed/at-{number}"
        target = ("--image", f"{registry.address}/{name}", "--no-cache")
        moment = first.seconds * (number + random.random()) / 10
        with machine.started(*command, *target, cwd=work.path) as child:
            time.sleep(moment)
            kill_group(child.pid)
        found = opened(registry.address, name)
        assert len(set(aliases(found).values())) <= 1, moment

        ended = succeeded(machine.run(*command, *target[:2], cwd=work.path))
        assert set(aliases(found).values()) == {ended.document["job_digest"]}
        assert ended.document["digest"] == first.document["digest"]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_interrupted_the_build_ends_too(
    machine: Machine, work: Work, python_base: str, number: signal.Signals, code: int
) -> None:
    work.commit({"Dockerfile": f"FROM {python_base}\nRUN echo started; sleep 600\n"})
    with machine.started("build", *OPTIONS, cwd=work.path) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if b"started" in line and b"RUN" not in line:
                break
        child.send_signal(number)
        _, err = child.communicate(timeout=60)

    assert child.returncode == code, err.decode()
    assert machine.leftovers() == []
    waiting = [p.name for p in Path("/proc").iterdir() if p.name.isdigit() and _sleeps(p)]
    until = time.monotonic() + 30
    while waiting and time.monotonic() < until:
        time.sleep(0.2)
        waiting = [name for name in waiting if _sleeps(Path("/proc", name))]
    assert waiting == []


def _sleeps(process: Path) -> bool:
    try:
        return b"echo started; sleep 600" in (process / "cmdline").read_bytes()
    except OSError:
        return False
