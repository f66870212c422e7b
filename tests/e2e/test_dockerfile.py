"""The Dockerfile builds on a local base, and the image is the program.

It does what the action does, with the engine's socket mounted, for a workspace of anybody's.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import services
from support.engine import engine_socket
from support.repositories import git
from support.runner_commands import key_values
from support.services import LocalRegistry

ROOT = Path(__file__).parents[2]
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")

pytestmark = [pytest.mark.engine, pytest.mark.registry, pytest.mark.network]


def docker(*arguments: str) -> str:
    # The classic builder: every engine has it, without a plugin.
    env = os.environ | {"DOCKER_BUILDKIT": "0"}
    done = subprocess.run(
        ["docker", *arguments], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def image(registry: LocalRegistry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image, on a base that trusts the authorities that this machine trusts."""
    debian = f"{registry.address}/library/python:3.13-slim-trixie"
    services.push_layout(services.python_base_layout("trixie"), debian)
    folder = tmp_path_factory.mktemp("base")
    shutil.copy(CERTIFICATES, folder / "certificates.crt")
    (folder / "Dockerfile").write_text(
        f"FROM {debian}\nCOPY certificates.crt {CERTIFICATES}\nENV PIP_CERT={CERTIFICATES}\n"
    )
    base, name = f"launch-action-test-base:{os.getpid()}", f"launch-action-test:{os.getpid()}"
    docker("build", "--quiet", "--tag", base, str(folder))
    docker("build", "--quiet", "--build-arg", f"PYTHON_IMAGE={base}", "--tag", name, str(ROOT))
    yield name
    docker("image", "rm", "--force", name, base, debian)


def test_the_image_is_the_program(image: str) -> None:
    assert docker("run", "--rm", image, "--version").startswith("launch-action ")


def test_what_the_program_needs_is_in_it(image: str) -> None:
    for command in ("git", "uv", "ssh -V", "docker", "docker buildx version", "git lfs"):
        program, *arguments = command.split()
        given = arguments or ["--version"]
        docker("run", "--rm", "--entrypoint", program, image, *given)


def test_git_does_without_perl_what_the_program_asks_of_it(image: str) -> None:
    script = """
      set -e; cd /tmp; ! ls /usr/share/perl 2>/dev/null
      git init -q a; cd a; git config user.email a@b; git config user.name a
      echo x >f; git add .; git commit -qm x; git lfs install >/dev/null
      git -c protocol.file.allow=always submodule add -q /tmp/a sub; git submodule update --init
      git clone -q /tmp/a /tmp/b; git -C /tmp/b fetch -q --depth 1 origin; git archive HEAD | tar t
    """
    done = docker("run", "--rm", "--entrypoint", "sh", image, "-c", script)

    assert done.split() == ["f"]


def test_the_image_is_little_more_than_its_programs(image: str) -> None:
    size = int(docker("image", "inspect", "--format", "{{.Size}}", image))

    # Of it the base is 121, buildx 63, uv 37, docker 30.
    assert size < 400_000_000


def test_a_variable_with_a_hyphen_reaches_the_program(image: str) -> None:
    ask = "import os; print(os.environ['INPUT_BUILD-CONTEXT'])"
    given = ("--env", "INPUT_BUILD-CONTEXT=a b", "--entrypoint", "/opt/venv/bin/python")

    assert docker("run", "--rm", *given, image, "-c", ask) == "a b\n"


def test_no_installer_of_its_own_is_in_it(image: str) -> None:
    assert "pip" not in docker("run", "--rm", "--entrypoint", "ls", image, "/opt/venv/bin").split()


OWNER = 4711
SCRIPT = """\
import os, pathlib
print("data:", pathlib.Path("/data/numbers.txt").read_text())
(pathlib.Path(os.environ["LAUNCH_OUTPUT_DIR"]) / "metrics.json").write_text('{"accuracy": 0.5}')
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A step `uses: docker://...` as GitHub's runner starts it; `root` is the runner's folder."""

    image: str
    base: str
    root: Path

    def inputs(self, *options: str) -> dict[str, str]:
        """A job on the base of the tests, with more options."""
        base = (f"base-image={self.base}", "python=3.11")
        return {"entry-point": "python train.py", "build-options": "\n".join((*base, *options))}

    def run(
        self, inputs: Mapping[str, str], *arguments: str, **also: str
    ) -> subprocess.CompletedProcess[str]:
        files = {"OUTPUT": "output", "STEP_SUMMARY": "summary"}
        given = {
            "GITHUB_ACTIONS": "true", "CI": "true", "HOME": "/github/home",
            "GITHUB_WORKSPACE": "/github/workspace", "GITHUB_EVENT_NAME": "push",
            "GITHUB_REF": "refs/heads/main", "GITHUB_REF_NAME": "main", "GITHUB_REF_TYPE": "branch",
            "GITHUB_REPOSITORY": "acme/mono", "RUNNER_TEMP": "/github/runner_temp",
            **{f"GITHUB_{name}": f"/github/file_commands/{file}" for name, file in files.items()},
            **{f"INPUT_{name.upper()}": value for name, value in inputs.items()},
            **also,
        }  # fmt: skip
        variables = [word for name in given for word in ("--env", name)]
        folders = ("workspace", "home", "file_commands", "runner_temp")
        mounts = [w for name in folders for w in ("-v", f"{self.root / name}:/github/{name}")]
        socket = ("-v", f"{engine_socket()}:/var/run/docker.sock")
        return subprocess.run(
            ["docker", "run", "--rm", "--network=host", "--workdir=/github/workspace", *variables,
             *mounts, *socket, self.image, *arguments],
            env=os.environ | given, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    @property
    def outputs(self) -> dict[str, str]:
        return dict(key_values((self.root / "file_commands" / "output").read_text("utf-8")))

    def owners(self) -> set[int]:
        """Who owns what lies in the folders now."""
        return {path.lstat().st_uid for path in self.root.rglob("*")}


@pytest.fixture
def step(image: str, python_base: str, tmp_path: Path) -> Step:
    """A workspace and a home that belong to neither root nor us."""
    root = tmp_path / "runner"
    workspace = root / "workspace"
    for folder in (workspace, root / "home", root / "file_commands", root / "runner_temp"):
        folder.mkdir(parents=True)
    for name in ("output", "summary"):
        (root / "file_commands" / name).touch()
    (workspace / "train.py").write_text(SCRIPT)
    dockerfile = f"FROM {python_base}\nWORKDIR /app\nCOPY . .\nENTRYPOINT python train.py\n"
    (workspace / "Dockerfile.job").write_text(dockerfile)
    (workspace / "data").mkdir()
    (workspace / "data" / "numbers.txt").write_text("1 2 3")
    git(workspace, "init", "--quiet", "--initial-branch=main")
    git(workspace, "remote", "add", "origin", "https://github.com/acme/mono.git")
    git(workspace, "add", ".")
    git(workspace, "commit", "--quiet", "--message=one")
    for path in (root, *root.rglob("*")):
        os.chown(path, OWNER, OWNER, follow_symlinks=False)
    return Step(image, python_base, root)


def test_a_step_builds_and_leaves_no_file_of_root(step: Step) -> None:
    done = step.run(step.inputs("store=/github/runner_temp/store"))

    assert done.returncode == 0, done.stdout + done.stderr
    assert step.outputs["job-name"] == "job-https___github.com_acme_mono-train.py"
    assert step.owners() == {OWNER}


def test_a_step_runs_a_container_beside_itself_and_mounts_what_is_here(step: Step) -> None:
    """The engine knows the workspace by another name than the program does."""
    limits = json.dumps({"local-container": {"volume": "./data:/data:ro"}})
    options = ("resource=local-container", f"resource-args={limits}", "store=/tmp/store")
    done = step.run(step.inputs(*options) | {"run": "true"})

    assert done.returncode == 0, done.stdout + done.stderr
    assert "data: 1 2 3" in done.stdout
    assert json.loads(step.outputs["metrics"]) == {"accuracy": 0.5}
    assert step.owners() == {OWNER}


def test_a_folder_of_the_container_alone_cannot_be_mounted(step: Step) -> None:
    limits = json.dumps({"local-container": {"volume": "/etc:/data:ro"}})
    options = ("resource=local-container", f"resource-args={limits}", "store=/tmp/store")
    done = step.run(step.inputs(*options) | {"run": "true"})

    assert done.returncode == 7, done.stdout + done.stderr
    assert "'/etc' is in this container alone" in done.stdout


def test_a_step_builds_a_dockerfile_with_the_engine_it_is_given(step: Step) -> None:
    done = step.run({"entry-point": "python train.py", "dockerfile": "Dockerfile.job",
                     "build-options": "store=/github/runner_temp/store"})  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(step.outputs["metadata"])["builder"] == "buildkit"
    assert step.owners() == {OWNER}


def test_the_first_process_of_a_container_obeys_the_signals_that_end_it(step: Step) -> None:
    """The kernel gives such a process no handlers: without its own it would have to be killed."""
    with socket.socket() as silent, ThreadPoolExecutor() as pool:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        base = f"base-image=127.0.0.1:{silent.getsockname()[1]}/library/python:3.11"
        options = f"{base}\npython=3.11\nstore=/tmp/store"
        running = pool.submit(
            step.run, {"entry-point": "python train.py", "build-options": options}
        )
        while "job-name" not in step.outputs:
            assert not running.done(), running.result()
            time.sleep(0.1)
        (container,) = docker("ps", "--quiet", "--filter", f"ancestor={step.image}").split()
        docker("kill", "--signal", "TERM", container)
        done = running.result()

    assert done.returncode == 143, done.stdout + done.stderr
    assert "cancelled" in (step.root / "file_commands" / "summary").read_text()


def test_the_inputs_of_a_composite_step_are_read_as_well(step: Step) -> None:
    document = json.dumps(step.inputs("store=/tmp/store"))
    done = step.run({}, "action", LAUNCH_INPUTS=document)

    assert done.returncode == 0, done.stdout + done.stderr
    assert step.outputs["job-name"] == "job-https___github.com_acme_mono-train.py"


def test_the_command_line_is_there_for_other_ci(step: Step) -> None:
    done = subprocess.run(
        ["docker", "run", "--rm", "--network=host", "--env=HOME=/nowhere",
         "--volume", f"{step.root / 'workspace'}:/builds/acme", "--workdir=/builds/acme",
         step.image, "build", "--json", "--entry-point=python train.py", "--store=/builds/acme/s",
         f"--base-image={step.base}", "--python=3.11"],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["job_name"] == "job-https___github.com_acme_mono-train.py"
    assert step.owners() == {OWNER}


def test_the_example_runs_a_job_beside_its_own_container(step: Step) -> None:
    data = step.root / "data" / "launch-action"
    data.mkdir(parents=True)
    os.chown(data, OWNER, OWNER)  # as if the workspace's owner had started the script
    given = {
        "LAUNCH_ACTION": step.image, "DOCKER_CONFIG": str(step.root / "logins"),
        "XDG_DATA_HOME": str(data.parent),
    }  # fmt: skip
    limits = json.dumps({"local-container": {"volume": "./data:/data:ro"}})
    done = subprocess.run(
        [ROOT / "examples" / "docker-run", "--entry-point", "python train.py", "--python=3.11",
         f"--base-image={step.base}", "--resource=local-container", "--resource-args", limits],
        cwd=step.root / "workspace", env=os.environ | given,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "data: 1 2 3" in done.stdout
    assert "succeeded" in done.stdout
