"""Options of W&B Launch that are taken over: what their page says, and no other test shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.images import stored_images
from support.program import Machine, failed, succeeded
from support.repositories import Work
from support.services import LocalRegistry, push_layout
from support.wandb_api.server import WandbServer
from support.wandb_jobs import PROJECT, Registrar, Wandb, job_document

from launch_action.oci.layout import LayoutContent

pytest_plugins = ["support.program_fixtures", "support.wandb_fixtures"]

IMAGE = "ghcr.io/acme/trainer:1.2.3"


def test_a_name_that_is_not_safe_is_made_so_with_a_warning(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    plan = ("build", *options, "--dry-run", "--json")
    ended = succeeded(machine.run(*plan, "-J", "awesome job/name", cwd=work.path))

    assert ended.document["job_name"] == "awesome_job_name"
    assert "'awesome job/name' is recorded as 'awesome_job_name'" in ended.err


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (("-b", "jobs"), 3, "no directory 'jobs'"),
        (("-b", "../x"), 2, "outside the repository"),
        (("-D", "Dockerfile.wnadb"), 2, "no Dockerfile 'Dockerfile.wnadb'"),
        (("-D", "../Dockerfile"), 2, "outside the build context"),
        (("-B", "a b"), 2, "'a b'"),
        (("--service", "redis=sometimes"), 2, "not a policy of service 'redis': 'sometimes'"),
        (("--service", "redis"), 2, "not a service: 'redis'"),
    ],
)
def test_what_a_job_names_is_checked_when_it_is_recorded(
    here: Registrar, server: WandbServer, work: Work, more: tuple[str, ...], code: int, said: str
) -> None:
    work.commit({"Dockerfile.wandb": "FROM scratch\n"})

    assert said in failed(here.create(*more), code).error
    assert not here.machine.store.exists()
    assert server.operations == []


def test_an_option_of_another_command_is_told_by_its_commands(here: Registrar) -> None:
    ended = failed(here.run("run", "hello", "--service", "redis=always"), 2)
    assert "unrecognized arguments: --service" in ended.error
    assert "--service is an option of launch, build; see" in ended.hint
    assert (
        "--comment is an option of the action" in failed(here.run("run", "a", "--comment"), 2).hint
    )
    assert "did you mean '--queue'?" in failed(here.run("run", "a", "--queeu", "b"), 2).hint


def test_a_plan_of_a_recording_records_nothing(
    here: Registrar, server: WandbServer, work: Work
) -> None:
    plan = succeeded(here.create("--dry-run", "-a", "prod")).document
    (work.path / "train.py").write_text("print('dirty')\n")
    code = succeeded(here.run("job", "create", "code", ".", "-E", "python train.py", "--dry-run"))

    assert [one["step"] for one in plan["plan"]] == ["source", "job", "store", "alias", "register"]
    assert (plan["job"], plan["job_name"]) == (None, "hello")
    assert "prod" in plan["tags"]
    assert "job          job-code-checkout_train.py, entry point python train.py" in code.out
    failed(here.create("--dry-run", "-b", "nowhere"), 3)
    assert not here.machine.store.exists()
    assert server.operations == []


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_launch_config_is_a_file_of_any_suffix_or_a_text(
    machine: Machine, work: Work, options: tuple[str, ...], suffix: str
) -> None:
    config: dict[str, Any] = {"overrides": {"args": ["--fast", "1"]}, "resource": "local-process"}
    (work.path / f"launch.{suffix}").write_text(json.dumps(config))
    work.commit({"train.py": "import sys\nprint('got', *sys.argv[1:])\n"})
    launch = ("launch", *options, "-c")

    by_file = succeeded(machine.run(*launch, f"launch.{suffix}", cwd=work.path))
    by_text = succeeded(machine.run(*launch, json.dumps(config), cwd=work.path))
    assert "got --fast 1" in by_file.out
    assert "got --fast 1" in by_text.out


def test_services_are_recorded_as_w_b_records_them(
    here: Registrar, server: WandbServer, work: Work, tmp_path: Path
) -> None:
    services = ("-s", "redis=always", "--service", " db = never")
    wandb = Wandb(server, tmp_path / "wandb-home")
    wandb.command("job", "create", "-p", "demo", "-e", "acme", *services, "-n", "theirs",
                  "image", IMAGE)  # fmt: skip
    succeeded(here.create(*services))

    theirs = job_document(server, f"{PROJECT}/theirs:latest")
    ours = job_document(server, f"{PROJECT}/hello:latest")
    assert ours["services"] == theirs["services"] == {"redis": "always", "db": "never"}
    assert "redis" in wandb.command("job", "describe", f"{PROJECT}/hello:latest")
    described = succeeded(here.run("job", "describe", "hello:latest", "--json")).document
    assert described["wandb_job"]["services"] == ours["services"]
    told = succeeded(here.run("job", "describe", "hello:latest")).out
    assert "services redis=always, db=never" in told


def test_a_base_image_is_recorded_as_w_b_records_it(
    here: Registrar, server: WandbServer, tmp_path: Path
) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/main.py").write_text("")
    wandb = Wandb(server, tmp_path / "wandb-home")
    create = ("job", "create", "-p", "demo", "-e", "acme", "-B", "ghcr.io/acme/base:1",
              "-E", "python main.py")  # fmt: skip
    code = str(tmp_path / "code")
    wandb.command(*create, "-n", "theirs", "code", code)
    succeeded(here.run(*create, "-n", "ours", "code", code, "--json"))
    local = succeeded(here.create("-B", "deb:bookworm"))

    theirs = job_document(server, f"{PROJECT}/theirs:latest")["source"]
    ours = job_document(server, f"{PROJECT}/ours:latest")["source"]
    assert theirs["base_image"] == ours["base_image"] == "ghcr.io/acme/base:1"
    assert "'deb:bookworm' is of no registry, and is not recorded" in local.err
    assert "base_image" not in job_document(server, f"{PROJECT}/hello:latest")["source"]


@pytest.mark.registry
def test_what_is_recorded_of_a_job_its_build_has(
    machine: Machine, registry: LocalRegistry, python_base_layout: Path, work: Work
) -> None:
    base = f"{registry.address}/library/python-of-jobs:3.11"
    push_layout(python_base_layout, base)
    recorded = ("job", "create", "code", ".", "-n", "hello", "-E", "python train.py",
                "-r", "3.11", "-B", base)  # fmt: skip
    succeeded(machine.run(*recorded, "--service", "redis=always", cwd=work.path))
    built = succeeded(machine.run("build", "hello:latest", "--json", cwd=work.path)).document

    assert built["metadata"]["base"][0]["name"] == base
    described = succeeded(machine.run("job", "describe", built["job"], "--json", cwd=work.path))
    assert described.document["wandb_job"]["services"] == {"redis": "always"}
    ran = succeeded(machine.run("run", built["job"], "-r", "local-process", cwd=work.path))
    assert "an agent's on Kubernetes, and not started here: redis" in ran.err


@pytest.mark.engine
def test_no_git_directory_is_in_an_image(
    machine: Machine, work: Work, options: tuple[str, ...]
) -> None:
    work.commit({"Dockerfile": "FROM scratch\nCOPY . /app/\n"})
    for name, more in (("layers", options), ("docker", (*options[:2], "-D", "Dockerfile"))):
        succeeded(machine.run("build", *more, "-J", name, cwd=work.path))
        (image,) = stored_images(LayoutContent(machine.layout(name), name))
        names = {path.rpartition("/")[2] for path in image.files()}
        assert "train.py" in names
        assert ".git" not in names


def test_a_job_that_runs_here_has_no_services(here: Registrar, options: tuple[str, ...]) -> None:
    launch = ("launch", *options, "-r", "local-process")
    ended = failed(here.run(*launch, "--service", "redis=always"), 2)

    assert "--service is for an agent on Kubernetes, and no queue is named" in ended.error
    assert "--queue" in ended.hint
    assert not here.machine.store.exists()


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("--build", "is built before"),
        ("--repository", "--image names the repository"),
        ("--project-queue", "those of an --entity"),
    ],
)
def test_options_that_do_nothing_there_are_told(
    machine: Machine, work: Work, option: str, hint: str
) -> None:
    assert hint in failed(machine.run("launch", option, "x", cwd=work.path), 2).hint
