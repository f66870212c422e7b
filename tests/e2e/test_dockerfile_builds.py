"""Dockerfiles, built by every rung of the ladder, with real engines."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import newer_engine as newer
from support.git_remotes import http_server
from support.images import stored_images
from support.newer_engine import Engine
from support.program import Ended, Machine, failed, succeeded
from support.repositories import Work, make_repository

from launch_action.core.job import read_job
from launch_action.core.store import JobStore
from launch_action.oci.layout import LayoutContent

pytestmark = [pytest.mark.engine, pytest.mark.registry]
pytest_plugins = ["support.program_fixtures"]

JOB = "hello-world"
DOCKERFILE = """\
ARG BASE=nothing
FROM $BASE
ARG WHO=nobody
RUN echo "built for $WHO" > /built
WORKDIR /launch
COPY . /launch
CMD ["cat", "/built"]
"""
# As little as an engine can build: no base is pulled, nothing is run.
SCRATCH = "FROM scratch\nCOPY . /app/\n"
IGNORED = "*.log\n!keep.log\nDockerfile.wandb\n"
OPTIONS = ("--job-name", JOB, "--entry-point", "python job.py", "--no-check-remote")


@pytest.fixture(scope="module", autouse=True)
def _no_base_is_left(engine: str, python_base: str) -> Iterator[None]:
    """The machine's own engine pulls the base, which is of this session alone."""
    yield
    subprocess.run(["docker", "image", "rm", "--force", python_base], capture_output=True)


@pytest.fixture(scope="module", params=["20 by its API", "20", "newer by its API", "newer"])
def rung(
    request: pytest.FixtureRequest,
    engine: str,
    newer_engine: Engine,
    engine_packages: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Mapping[str, str]:
    """The environment in which one rung of the ladder is what there is."""
    folder = tmp_path_factory.mktemp("rung")
    match request.param:
        case "20 by its API":
            return newer.without_docker(folder)
        case "20":
            return newer.buildx_for(engine_packages, folder)
        case kind:
            return newer_engine.environment(buildx=kind == "newer")


@pytest.fixture
def buildx(newer_engine: Engine, tmp_path: Path, shared_cache: Path) -> Machine:
    """A machine with the newer engine and buildx."""
    return Machine(tmp_path / "machine", shared_cache, newer_engine.environment())


@pytest.fixture
def checkout(tmp_path: Path) -> Work:
    """A repository with the example of W&B Launch's own guide."""
    work = make_repository(tmp_path / "checkout")
    folder = work.path / "jobs" / "hello_world"
    work.write(
        {
            "jobs/hello_world/job.py": "print('hello')\n",
            "jobs/hello_world/run.sh": "#!/bin/sh\n",
            "jobs/hello_world/a.log": "not wanted",
            "jobs/hello_world/keep.log": "wanted",
            "jobs/hello_world/.dockerignore": "never read: the Dockerfile has its own",
            "jobs/hello_world/Dockerfile.wandb.dockerignore": IGNORED,
            "jobs/hello_world/Dockerfile.wandb": DOCKERFILE,
        }
    )
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("job.py")
    work.commit()
    work.write({"jobs/hello_world/dirty.txt": "not in the commit"})
    return work


def content(machine: Machine, job: str = JOB) -> LayoutContent:
    return LayoutContent(machine.layout(job), job)


def document(machine: Machine, job: str = JOB) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The job document of the latest version, and its frozen requirements."""
    store = JobStore(content(machine, job))
    data, frozen = store.job_files(store.load("latest"))
    read_job(data, job)
    return json.loads(data), tuple(frozen.decode().splitlines())


def test_every_rung_builds_the_commits_tree(
    rung: Mapping[str, str], checkout: Work, tmp_path: Path, shared_cache: Path, python_base: str
) -> None:
    machine = Machine(tmp_path / "machine", shared_cache, rung)
    command = (
        "build", "--json", *OPTIONS, "--build-context", "jobs/hello_world",
        "--dockerfile", "Dockerfile.wandb", "--build-arg", f"BASE={python_base}",
        "--build-arg", "WHO=you",
    )  # fmt: skip
    ended = succeeded(machine.run(*command, cwd=checkout.path))

    (image,) = stored_images(content(machine))
    files = image.files(layers=slice(1, None))
    assert files["built"].data == b"built for you\n"
    app = {p.removeprefix("launch/"): f for p, f in files.items() if p.startswith("launch/")}
    app.pop("", None)
    # Without a session the Dockerfile has no way into the build but through the context.
    apart = {".launch-action.Dockerfile"} & app.keys()
    assert app.keys() - apart == {
        "job.py", "run.sh", "keep.log", "link", ".dockerignore", "Dockerfile.wandb.dockerignore",
    }  # fmt: skip
    assert (app["run.sh"].mode, app["job.py"].mode) == ("755", "644")
    assert app["link"].target == "job.py"
    assert image.config["config"]["Cmd"] == ["cat", "/built"]
    found, _ = document(machine)
    assert found["source"]["dockerfile"] == "Dockerfile.wandb"
    assert found["source"]["build_context"] == "jobs/hello_world"
    assert found["runtime"] == "3.11"
    own = found["_launch_action"]
    assert own["builder"] == "buildkit"
    assert own["base"] == [
        {"name": python_base, "identity": ended.document["metadata"]["base"][0]["identity"]}
    ]
    assert machine.leftovers() == []

    # Nothing that could build is asked for what is there already.
    nowhere = {
        **rung,
        "DOCKER_HOST": "unix:///nowhere",
        "PATH": newer.without_docker(tmp_path)["PATH"],
    }
    again = succeeded(Machine(machine.root, shared_cache, nowhere).run(*command, cwd=checkout.path))
    assert again.document["cache_hit"] is True
    assert again.document["job_digest"] == ended.document["job_digest"]


def test_the_guides_command_ends_with_the_job_having_run(
    machine: Machine, python_base: str, tmp_path: Path
) -> None:
    """The first command of W&B's guide, word for word but for the address of the repository."""
    dockerfile = f'FROM {python_base}\nCOPY . /launch\nWORKDIR /launch\nCMD ["false"]\n'
    machine.root.mkdir()
    with http_server(tmp_path / "remote") as server:
        commit = server.commit(
            "launch-jobs",
            {
                "jobs/hello_world/Dockerfile.wandb": dockerfile,
                "jobs/hello_world/job.py": "import os\nprint('Hello from', os.getcwd())\n",
            },
        )
        command = (
            f'launch --uri "{server.url("launch-jobs")}" --build-context jobs/hello_world '
            '--dockerfile Dockerfile.wandb --project "hello-world" --job-name "hello-world" '
            '--entry-point "python job.py"'
        )
        ended = succeeded(machine.run(*shlex.split(command), cwd=machine.root))

    assert "Hello from /launch\n" in ended.out
    assert "succeeded, exit code 0" in ended.out
    found, _ = document(machine, "hello-world")
    assert found["source"]["git"] == {"remote": server.url("launch-jobs"), "commit": commit}


def test_a_dockerfile_beside_the_script_makes_its_folder_the_context(
    checkout: Work, buildx: Machine
) -> None:
    checkout.commit({"jobs/hello_world/Dockerfile.wandb": SCRATCH})
    ended = succeeded(
        buildx.run(
            "build",
            "--json",
            "--entry-point",
            "python jobs/hello_world/job.py --fast",
            cwd=checkout.path,
        )
    )

    job = "job-https___github.com_acme_mono-jobs_hello_world_job.py"
    assert ended.document["job_name"] == job
    assert "lies beside the script" in ended.document["metadata"]["reason"]
    found, frozen = document(buildx, job)
    assert found["source"]["entrypoint"] == ["python", "job.py", "--fast"]
    assert (found["source"]["build_context"], found["source"]["dockerfile"]) == (
        "jobs/hello_world",
        "Dockerfile.wandb",
    )
    assert (found["runtime"], frozen) == ("", ())
    (image,) = stored_images(content(buildx, job))
    assert "app/job.py" in image.files()


@pytest.mark.network
def test_both_builders_give_the_same_environment(
    tmp_path: Path, buildx: Machine, python_base: str
) -> None:
    work = make_repository(tmp_path / "project")
    work.commit({"requirements.txt": "six==1.16.0\nidna==3.4\n", "train.py": "print('x')\n"})
    found = {}
    for builder in ("layers", "buildkit"):
        command = (
            "build", "--json", "--builder", builder, "--base-image", python_base,
            "--python", "3.11", "--job-name", builder, "--entry-point", "python train.py",
        )  # fmt: skip
        succeeded(buildx.run(*command, cwd=work.path))
        (image,) = stored_images(content(buildx, builder))
        job, frozen = document(buildx, builder)
        inner = image.config["config"]
        installed = {
            path.split("/")[-2]
            for path in image.files(layers=slice(1, None))
            if path.endswith(".dist-info/METADATA")
        }
        environment = dict(item.partition("=")[::2] for item in inner["Env"])
        found[builder] = {
            "installed": installed,
            "frozen": frozen,
            "recorded": (job["runtime"], job["source"]["entrypoint"]),
            "started": (inner["Entrypoint"], inner["WorkingDir"], inner["User"]),
            "environment": {n: environment[n] for n in ("PATH", "VIRTUAL_ENV", "HOME", "USER")},
        }

    assert found["layers"] == found["buildkit"]
    assert found["layers"]["frozen"] == ("idna==3.4", "six==1.16.0")


def test_several_platforms_are_one_index(checkout: Work, buildx: Machine) -> None:
    checkout.commit({"Dockerfile": "FROM scratch\nARG TARGETARCH\nLABEL a=$TARGETARCH\nCOPY . /\n"})
    ended = succeeded(
        buildx.run(
            "build",
            "--json",
            *OPTIONS,
            "--dockerfile",
            "Dockerfile",
            "--platform",
            "linux/amd64,linux/arm64",
            cwd=checkout.path,
        )
    )

    images = list(stored_images(content(buildx)))
    assert [one.config["config"]["Labels"]["a"] for one in images] == ["amd64", "arm64"]
    assert ended.document["digest"] == ended.document["job_digest"]


def test_what_is_asked_of_the_image_is_in_it(checkout: Work, buildx: Machine) -> None:
    checkout.commit({"Dockerfile": "FROM scratch AS one\nCOPY jobs /\nFROM one AS two\nUSER 1\n"})
    succeeded(
        buildx.run(
            "build",
            *OPTIONS,
            "--dockerfile",
            "Dockerfile",
            "--target",
            "one",
            "--label",
            "a=b c",
            "--annotation",
            "dev.x=y",
            "--sbom",
            "--provenance",
            cwd=checkout.path,
        )
    )

    (image,) = stored_images(content(buildx))
    assert image.config["config"]["Labels"] == {"a": "b c"}
    assert "User" not in image.config["config"]
    assert image.manifest.annotations()["dev.x"] == "y"
    version = JobStore(content(buildx)).load("latest")
    assert len(version.attestations) == 1


def test_the_same_content_is_the_same_image_wherever_it_is_built(
    checkout: Work, buildx: Machine, tmp_path: Path, python_base: str, newer_engine: Engine
) -> None:
    checkout.commit({"Dockerfile": f"FROM {python_base}\nCOPY jobs /jobs\n"})
    digests = []
    for number in range(2):
        newer_engine.docker("builder", "prune", "--all", "--force")
        machine = Machine(tmp_path / f"{number}", buildx.cache, buildx.also)
        command = ("build", "--json", *OPTIONS, "--dockerfile", "Dockerfile")
        digests.append(succeeded(machine.run(*command, cwd=checkout.path)).document["digest"])

    assert digests[0] == digests[1]


STEP = """\
FROM {base}
RUN {ssh} (grep name.example /etc/hosts; ulimit -n; df -k /dev/shm | tail -1) > /seen
"""


@pytest.mark.parametrize("kind", ["newer", "newer by its API"])
def test_steps_are_run_as_asked(
    kind: str, checkout: Work, newer_engine: Engine, tmp_path: Path, shared_cache: Path,
    python_base: str,
) -> None:  # fmt: skip
    ssh = kind == "newer"
    environment = newer_engine.environment(buildx=ssh)
    mount = "--mount=type=ssh test -S $SSH_AUTH_SOCK &&" if ssh else ""
    checkout.commit({"Dockerfile": STEP.format(base=python_base, ssh=mount)})
    options = (
        "--add-host", "name.example:192.0.2.7", "--ulimit", "nofile=333:444", "--shm-size", "7m",
        "--network", "none", *(("--ssh", "default") if ssh else ()),
    )  # fmt: skip
    with agent(tmp_path) as socket:
        also = {**environment, "SSH_AUTH_SOCK": socket}
        machine = Machine(tmp_path / "machine", shared_cache, also)
        command = ("build", *OPTIONS, "--dockerfile", "Dockerfile", *options)
        succeeded(machine.run(*command, cwd=checkout.path))

    (image,) = stored_images(content(machine))
    host, limit, memory = image.files(layers=slice(1, None))["seen"].data.decode().splitlines()
    assert host.split() == ["192.0.2.7", "name.example"]
    assert limit == "333"
    assert memory.split()[1] == str(7 * 1024)


@contextmanager
def agent(folder: Path) -> Iterator[str]:
    """An SSH agent with a key; its socket."""
    key, socket = folder / "key", str(folder / "agent")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as child:
        while not Path(socket).exists():
            time.sleep(0.02)
        env = {**os.environ, "SSH_AUTH_SOCK": socket}
        subprocess.run(["ssh-add", "-q", key], env=env, check=True)
        try:
            yield socket
        finally:
            child.terminate()


def test_a_name_that_buildkit_does_not_take_is_told(checkout: Work, buildx: Machine) -> None:
    checkout.commit({"bad-\udcff": "x", "Dockerfile": SCRATCH})
    ended = run_failing(buildx, checkout, 4, "--dockerfile", "Dockerfile")

    assert "not UTF-8: 'bad-\\udcff'" in ended.error


def test_checks_become_warnings_at_the_dockerfiles_line(checkout: Work, buildx: Machine) -> None:
    checkout.commit({"docker/x": "FROM scratch as a\nCOPY . /\nmaintainer me\n"})
    ended = succeeded(
        buildx.run("build", *OPTIONS, "--dockerfile", "docker/x", "--check", cwd=checkout.path)
    )

    assert "warning: docker/x:1: FromAsCasing" in ended.err
    assert "warning: docker/x:3: MaintainerDeprecated" in ended.err


def test_a_registry_cache_is_written_and_read(
    checkout: Work, buildx: Machine, registry: Any, newer_engine: Engine, tmp_path: Path
) -> None:
    name = "cache/hello"
    checkout.commit({"Dockerfile": "FROM scratch\nCOPY jobs /\n"})
    command = (
        "build", *OPTIONS, "--dockerfile", "Dockerfile", "--image", f"{registry.address}/{name}",
        "--cache-from", "registry", "--cache-to", "registry",
    )  # fmt: skip
    succeeded(buildx.run(*command, cwd=checkout.path))
    assert "buildcache" in registry.tags(name)

    newer_engine.docker("builder", "prune", "--all", "--force")
    checkout.commit({"Dockerfile": "FROM scratch\nCOPY jobs /\nLABEL a=b\n"})
    other = Machine(tmp_path / "other", buildx.cache, buildx.also)
    ended = succeeded(other.run(*command, cwd=checkout.path))
    assert "importing cache manifest" in ended.err


# ---- failures ------------------------------------------------------------------------------------


def run_failing(machine: Machine, work: Work, code: int, *options: str) -> Ended:
    ended = failed(machine.run("build", *OPTIONS, *options, cwd=work.path), code)
    assert machine.leftovers() == []
    stored = content(machine)
    assert stored.tags() == ()
    return ended


def test_a_step_that_fails_is_told_with_its_line(
    checkout: Work, rung: Mapping[str, str], tmp_path: Path, shared_cache: Path, python_base: str
) -> None:
    machine = Machine(tmp_path / "machine", shared_cache, rung)
    checkout.commit({"Dockerfile": f"FROM {python_base}\nRUN echo no way; exit 3\n"})
    ended = run_failing(machine, checkout, 4, "--dockerfile", "Dockerfile")

    assert ended.error.startswith("Dockerfile:2: ")
    assert "echo no way" in ended.error
    assert "no way" in ended.err


@pytest.mark.parametrize(
    ("dockerfile", "options", "code", "error"),
    [
        ("FROM $NOTHING", (), 4, "base name ($NOTHING) should not be blank"),
        ("FROM {registry}/gone:1", (), 4, "no such base image: {registry}/gone:1"),
        ("FROM scratch\nNOTHING x\n", (), 4, "unknown instruction: NOTHING"),
        ("", (), 4, "Dockerfile"),
        ("FROM scratch\nCOPY gone /\n", (), 4, "gone"),
        ("FROM scratch\nCOPY . /\n", ("--target", "gone"), 4, "gone"),
        ("FROM scratch\nCOPY . /\n", ("--secret", "id=a,src=gone"), 2, "cannot read 'gone'"),
    ],
)
def test_what_cannot_be_built_is_one_line(
    checkout: Work,
    buildx: Machine,
    registry: Any,
    dockerfile: str,
    options: tuple[str, ...],
    code: int,
    error: str,
) -> None:
    checkout.commit({"Dockerfile": dockerfile.replace("{registry}", registry.address)})
    ended = run_failing(buildx, checkout, code, "--dockerfile", "Dockerfile", *options)

    assert error.replace("{registry}", registry.address) in ended.error


def test_without_buildx_a_secret_is_refused_by_name(
    checkout: Work, tmp_path: Path, shared_cache: Path, engine: str
) -> None:
    machine = Machine(tmp_path / "machine", shared_cache, newer.without_docker(tmp_path))
    checkout.commit({"Dockerfile": SCRATCH})
    ended = run_failing(machine, checkout, 2, "--dockerfile", "Dockerfile", "--secret", "a=hunter2")

    assert "'secret' needs docker buildx" in ended.error
    assert "buildx" in ended.hint
    assert "hunter2" not in ended.err


def test_with_no_engine_at_all_the_way_out_is_told(
    checkout: Work, tmp_path: Path, shared_cache: Path
) -> None:
    nothing = {**newer.without_docker(tmp_path), "DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    checkout.commit({"Dockerfile": SCRATCH})
    machine = Machine(tmp_path / "machine", shared_cache, nothing)
    ended = run_failing(machine, checkout, 4, "--dockerfile", "Dockerfile")

    assert "no Docker engine answers" in ended.error
    assert "--builder layers" in ended.hint


def test_a_builder_that_cannot_be_made_is_told_and_leaves_nothing(
    checkout: Work, tmp_path: Path, shared_cache: Path, engine_packages: Path, engine: str
) -> None:
    environment = newer.buildx_for(engine_packages, tmp_path)
    # A name that no registry has, on this machine's own loopback: nothing is asked of the network.
    environment["LAUNCH_ACTION_BUILDKIT_IMAGE"] = "127.0.0.1:1/buildkit:none"
    checkout.commit({"Dockerfile": SCRATCH})
    machine = Machine(tmp_path / "machine", shared_cache, environment)
    ended = run_failing(
        machine, checkout, 4, "--dockerfile", "Dockerfile",
        "--platform", "linux/amd64,linux/arm64",
    )  # fmt: skip

    assert "'platform' needs a docker-container builder" in ended.error
    instances = tmp_path / "config" / "buildx" / "instances"
    assert not [p for p in instances.iterdir() if p.name.startswith("launch-action")]


@pytest.fixture(autouse=True)
def _no_image_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """What was loaded into an engine for us alone is removed again."""
    yield
    if "newer_engine" in request.fixturenames:
        engine: Engine = request.getfixturevalue("newer_engine")
        assert engine.docker("image", "ls", "--quiet", "--filter", "dangling=true") == ""
