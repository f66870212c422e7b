"""W&B's guide "Create a launch job", section by section, with `launch-action` for `wandb`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.git_remotes import ACCOUNT, PASSWORD, USERNAME, GitServer, http_server, ssh_server
from support.program import Machine, succeeded
from support.registry import Running, running
from support.repositories import Work, git, make_repository
from support.services import push_layout

pytest_plugins = ["support.program_fixtures"]
pytestmark = [pytest.mark.network, pytest.mark.registry]

NAME = "wandb/launch-jobs.git"
DOCKERFILE = "FROM {base}\nWORKDIR /launch\nCOPY . /launch\n"
LOGIN = f"{USERNAME}:{quote(PASSWORD, safe='')}@"


@pytest.fixture
def jobs(tmp_path: Path, python_base: str) -> Work:
    """What the guide's repository has of it: one job, with a Dockerfile beside its script."""
    work = make_repository(tmp_path / "launch-jobs", remote=None)
    work.commit(
        {
            "jobs/hello_world/job.py": "print('hello from', __file__)\n",
            "jobs/hello_world/Dockerfile.wandb": DOCKERFILE.format(base=python_base),
            "jobs/other/train.py": "print('other')\n",
            "jobs/other/requirements.txt": "tomli==2.0.1\n",
            "jobs/other/pyproject.toml": '[project]\nname="x"\nversion="1"\ndependencies=["six"]\n',
            "jobs/toml/train.py": "print('toml')\n",
            "jobs/toml/pyproject.toml": '[project]\nname="x"\nversion="1"\n'
            'dependencies=["six==1.16.0"]\n',
        }
    )
    work.git("branch", "release")
    work.commit({"README.md": "another commit"})
    publish(work, tmp_path)
    return work


def publish(work: Work, root: Path) -> None:
    bare = root / "bare" / NAME
    git(root, "clone", "--quiet", "--mirror", str(work.path), str(bare))
    git(bare, "config", "uploadpack.allowFilter", "true")


@pytest.fixture
def server(jobs: Work, tmp_path: Path) -> Iterator[GitServer]:
    with http_server(tmp_path / "bare") as found:
        yield found


def plan(machine: Machine, cwd: Path, *arguments: str) -> dict[str, Any]:
    """What a build would do; for sections that are about names and choices."""
    return succeeded(machine.run("build", "--dry-run", "--json", *arguments, cwd=cwd)).document


def step(document: Mapping[str, Any], name: str) -> str:
    found: str = next(one["detail"] for one in document["plan"] if one["step"] == name)
    return found


# ---------------------------------------------------------------------------------- Git jobs


@pytest.mark.engine
def test_git_jobs_the_hello_world_of_the_guide(
    machine: Machine, jobs: Work, server: GitServer, python_base: str, tmp_path: Path
) -> None:
    """Section "Git jobs": the command as it is written, but for the address."""
    command = (
        "--uri", server.url(NAME), "--build-context", "jobs/hello_world",
        "--dockerfile", "Dockerfile.wandb", "--project", "hello-world",
        "--job-name", "hello-world", "--entry-point", "python job.py",
    )  # fmt: skip
    try:
        ran = machine.run("launch", *command, "--json", cwd=tmp_path)
    finally:
        subprocess.run(["docker", "image", "rm", "--force", python_base], capture_output=True)

    document = succeeded(ran).document
    assert "hello from /launch/job.py" in ran.err
    assert document["job_name"] == "hello-world"
    assert (document["run_status"], document["run_exit_code"]) == ("succeeded", 0)
    # "associated with the commit at the head of the repository's default branch"
    assert document["metadata"]["commit"] == jobs.git("rev-parse", "HEAD")
    assert document["metadata"]["builder"] == "buildkit"


@pytest.mark.parametrize("flag", ["-g", "--git-hash"])
@pytest.mark.parametrize("ref", ["release", "commit"])
def test_git_jobs_a_branch_or_a_commit(
    machine: Machine, jobs: Work, server: GitServer, tmp_path: Path, flag: str, ref: str
) -> None:
    """Section "Git jobs": `-g`, `--git-hash`."""
    commit = jobs.git("rev-parse", "release")

    found = plan(
        machine, tmp_path, "-u", server.url(NAME), flag, commit if ref == "commit" else ref,
        "-b", "jobs/other", "-E", "python train.py",
    )  # fmt: skip

    assert found["metadata"]["commit"] == commit


# --------------------------------------------------------------- Remote URL formats (table)


def test_remote_url_formats_https_with_user_name_and_password(
    machine: Machine, jobs: Work, tmp_path: Path
) -> None:
    """Table "https: user name and password": the recorded address keeps its protocol alone."""
    with http_server(tmp_path / "bare", login=ACCOUNT) as server:
        created = machine.run(
            "job", "create", "git", server.url(NAME, LOGIN), "-E", "python train.py",
            "-b", "jobs/other", "--json", cwd=tmp_path,
        )  # fmt: skip
        assert recorded(machine, created.document)["git"]["remote"] == server.url(NAME)
    assert PASSWORD not in created.out + created.err


def test_remote_url_formats_ssh_with_a_key(machine: Machine, jobs: Work, tmp_path: Path) -> None:
    """Table "ssh: an ssh key"."""
    with ssh_server(tmp_path / "sshd") as server:
        address = server.url(tmp_path / "bare" / NAME)
        keyed = replace(machine, also={"LAUNCH_ACTION_SSH_KEY": server.key.read_text()})
        created = keyed.run(
            "job", "create", "git", address, "-E", "python train.py", "-b", "jobs/other",
            "--ssh-known-hosts", str(server.known_hosts), "--json", cwd=tmp_path,
        )  # fmt: skip
    assert recorded(machine, succeeded(created).document)["git"]["remote"] == address


def recorded(machine: Machine, document: Mapping[str, Any]) -> dict[str, Any]:
    """The source in the job document."""
    job = f"{document['job_name']}@{document['job_digest']}"
    shown = succeeded(machine.run("job", "describe", job, "--json", cwd=machine.root))
    found: dict[str, Any] = shown.document["wandb_job"]["source"]
    return found


# ------------------------------------------------------------------------ Code artifact jobs


def test_code_artifact_jobs_the_quickstart_of_the_guide(
    machine: Machine, options: tuple[str, ...], tmp_path: Path
) -> None:
    """Section "Code artifact jobs": both files and the command as they are written."""
    folder = tmp_path / "empty"
    folder.mkdir()
    (folder / "main.py").write_text(
        'import wandb\n\nwith wandb.init() as run:\n    run.log({"metric": 0.5})\n'
    )
    (folder / "requirements.txt").write_text("wandb>=0.17.1\n")
    command = (
        "--uri", ".", "--job-name", "hello-world-code", "--project", "launch-quickstart",
        "--entry-point", "python main.py",
    )  # fmt: skip

    ran = machine.run(
        "launch", *command, *options[2:], "-r", "local-process", "--json", cwd=folder, timeout=400
    )

    document = succeeded(ran).document
    assert document["job_name"] == "hello-world-code"
    assert document["metrics"]["metric"] == 0.5
    source = recorded(machine, document)
    assert source["artifact"].startswith("launch-action-artifact://code-hello-world-code@")
    # "the entry point is python main.py, requirements.txt is installed"
    shown = succeeded(machine.run("job", "describe", "hello-world-code", "--json", cwd=folder))
    assert "wandb" in shown.document["packages"]
    assert shown.document["entrypoint"] == ["python", "main.py"]


# -------------------------------------------------------------------------------- Image jobs


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, python_base_layout: Path) -> Iterator[Running]:
    """What stands for Docker Hub here: a mirror of it that has the guide's image."""
    with running(tmp_path_factory.mktemp("hub")) as found:
        push_layout(python_base_layout, f"{found.address}/wandb/job_hello_world:main")
        yield found


@pytest.mark.engine
def test_image_jobs_the_image_of_the_guide(machine: Machine, hub: Running, tmp_path: Path) -> None:
    """Section "Image jobs": the command as it is written; then an entry point of one's own."""
    command = ("--docker-image", "wandb/job_hello_world:main", "--project", "hello-world")
    mirror = ("--registry-mirror", f"http://{hub.address}")

    ran = machine.run("launch", *command, *mirror, "--json", cwd=tmp_path)
    own = machine.run(
        "launch", *command, *mirror, "-E", "python3 -c 'print(6 * 7)'", "--json", cwd=tmp_path
    )

    document = succeeded(ran).document
    assert document["job_name"] == "job-wandb_job_hello_world"
    assert document["run_status"] == "succeeded"  # "the default entry point": its python3, no input
    # "the version alias is added automatically as an alias of the job"
    assert "main" in document["tags"]
    assert recorded(machine, document)["image"].startswith("wandb/job_hello_world@sha256:")
    assert "42" in succeeded(own).err.splitlines()


# ------------------------------------------------------------------------- Launch job names


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (
            ("-b", "jobs/hello_world", "-E", "python job.py", "--builder", "layers"),
            "job-{remote}-jobs_hello_world_job.py",
        ),
        (("-b", "jobs/other", "-E", "python train.py"), "job-{remote}-jobs_other_train.py"),
    ],
)
def test_launch_job_names_of_git(
    machine: Machine, server: GitServer, tmp_path: Path, arguments: tuple[str, ...], name: str
) -> None:
    """Table "Launch job names", GitHub: `job-<git-remote-url>-<path-to-script>`."""
    remote = f"https___127.0.0.1_{server.port}_wandb_launch-jobs"

    found = plan(machine, tmp_path, "-u", server.url(NAME), *arguments)

    assert found["job_name"] == name.format(remote=remote)


def test_launch_job_names_of_code_and_images_and_ones_own(
    machine: Machine, hub: Running, tmp_path: Path
) -> None:
    """Table "Launch job names", code artifact and image; tab "Environment variable"."""
    folder = tmp_path / "quickstart"
    folder.mkdir()
    (folder / "main.py").write_text("print(1)\n")
    code = ("-u", str(folder), "-E", "python main.py")
    named = replace(machine, also={"WANDB_JOB_NAME": "awesome-job-name"})
    image = ("-d", "wandb/job_hello_world:main", "--registry-mirror", f"http://{hub.address}")

    assert plan(machine, tmp_path, *code)["job_name"] == "job-code-quickstart_main.py"
    assert plan(machine, tmp_path, *image)["job_name"] == "job-wandb_job_hello_world"
    assert plan(named, tmp_path, *code)["job_name"] == "awesome-job-name"
    assert plan(named, tmp_path, *image)["job_name"] == "awesome-job-name"
    empty = replace(machine, also={"WANDB_JOB_NAME": ""})
    assert plan(empty, tmp_path, *code)["job_name"] == "job-code-quickstart_main.py"


# -------------------------------------------------------------------------- Containerization


def test_build_context_is_a_directory_of_the_source(
    machine: Machine, server: GitServer, tmp_path: Path
) -> None:
    """Section "Build context": the source's root by default, a directory of it with the option."""
    whole = plan(machine, tmp_path, "-u", server.url(NAME), "-E", "python jobs/other/train.py")
    part = plan(
        machine, tmp_path, "-u", server.url(NAME), "-b", "jobs/other", "-E", "python train.py"
    )

    assert "root, 8 files" in step(whole, "source")
    assert "directory jobs/other, 3 files" in step(part, "source")
    assert whole["job_name"] == part["job_name"]


def test_dockerfile_is_relative_to_the_build_context(
    machine: Machine, server: GitServer, tmp_path: Path
) -> None:
    """Section "Dockerfile": a path from the build context; without one the default build."""
    arguments = ("-u", server.url(NAME), "-b", "jobs/hello_world", "-E", "python job.py")

    named = plan(machine, tmp_path, *arguments, "-D", "Dockerfile.wandb")
    default = plan(
        machine, tmp_path, "-u", server.url(NAME), "-b", "jobs/other", "-E", "python train.py"
    )

    assert step(named, "build").startswith("buildkit: ")
    assert step(default, "build").startswith("layers: ")
    missing = machine.run(
        "build", "--dry-run", *arguments, "-D", "jobs/hello_world/Dockerfile.wandb", cwd=tmp_path
    )
    assert missing.code != 0


def test_requirements_file_comes_before_pyproject(
    machine: Machine, server: GitServer, tmp_path: Path
) -> None:
    """Section "Requirements file": requirements.txt at the context's root, else pyproject.toml."""
    text = plan(
        machine, tmp_path, "-u", server.url(NAME), "-b", "jobs/other", "-E", "python train.py"
    )
    toml = plan(
        machine, tmp_path, "-u", server.url(NAME), "-b", "jobs/toml", "-E", "python train.py"
    )

    assert step(text, "dependencies").startswith("requirements.txt")
    assert step(toml, "dependencies").startswith("pyproject.toml")


def test_a_job_is_created_without_being_run(
    machine: Machine, server: GitServer, tmp_path: Path
) -> None:
    """The alert at the top: `wandb job create` makes a job and submits nothing."""
    created = machine.run(
        "job", "create", "-n", "hello", "-E", "python train.py", "-b", "jobs/other", "-a", "ci",
        "git", server.url(NAME), "--json", cwd=tmp_path,
    )  # fmt: skip

    document = succeeded(created).document
    assert (document["job_name"], document["run_id"], document["image"]) == ("hello", None, None)
    assert "ci" in document["tags"]
    listed = succeeded(machine.run("job", "list", "--json", cwd=tmp_path)).document["versions"]
    assert [one["job"] for one in listed] == [document["job"]]
    assert json.dumps(listed).count("ci") >= 1
